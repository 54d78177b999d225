package runtimeapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

type posted struct {
	path   string
	header http.Header
	body   string
}

// serve answers GET with `event` and its headers, and POST with `status`, and keeps what is posted.
func serve(t *testing.T, status int, event string, headers map[string]string) (*Client, *[]posted) {
	t.Helper()
	var posts []posted
	server := httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Method == http.MethodPost {
			body, _ := io.ReadAll(request.Body)
			posts = append(posts, posted{request.URL.Path, request.Header, string(body)})
			writer.WriteHeader(status)
			_, _ = io.WriteString(writer, "what it says\n")
			return
		}
		for name, value := range headers {
			writer.Header().Set(name, value)
		}
		_, _ = io.WriteString(writer, event)
	}))
	t.Cleanup(server.Close)
	return New(strings.TrimPrefix(server.URL, "http://")), &posts
}

var headers = map[string]string{
	"Lambda-Runtime-Aws-Request-Id":       "the-id",
	"Lambda-Runtime-Deadline-Ms":          "1700000000123",
	"Lambda-Runtime-Invoked-Function-Arn": "arn:x",
	"Lambda-Runtime-Trace-Id":             "Root=1",
	"Lambda-Runtime-Client-Context":       `{"a":"ž"}`,
	"Lambda-Runtime-Cognito-Identity":     `{}`,
	"Lambda-Runtime-Aws-Tenant-Id":        "tenant",
	"Lambda-Runtime-Invocation-Id":        "nonce",
}

func TestAnInvocationHasWhatTheHeadersSay(t *testing.T) {
	client, _ := serve(t, 202, `{"e":1}`, headers)

	got, err := client.Next()

	if err != nil {
		t.Fatal(err)
	}
	if string(got.Event) != `{"e":1}` || got.RequestID != "the-id" || got.DeadlineMS != 1700000000123 ||
		got.FunctionARN != "arn:x" || got.TraceID != "Root=1" || got.ClientContext != `{"a":"ž"}` ||
		got.CognitoIdentity != "{}" || got.TenantID != "tenant" {
		t.Errorf("got %+v", got)
	}
}

func TestAnEventWithoutARequestIDCannotBeAnswered(t *testing.T) {
	client, _ := serve(t, 202, "{}", nil)

	if _, err := client.Next(); err == nil {
		t.Error("it was taken")
	}
}

func TestTheInvocationIDIsSentBack(t *testing.T) {
	client, posts := serve(t, 202, "{}", headers)
	invocation, _ := client.Next()

	if err := client.Respond(invocation, []byte("1"), "application/json"); err != nil {
		t.Fatal(err)
	}
	if err := client.Fail(invocation, Failf("Mine.Type", "a %s", "text")); err != nil {
		t.Fatal(err)
	}

	paths := []string{"/2018-06-01/runtime/invocation/the-id/response", "/2018-06-01/runtime/invocation/the-id/error"}
	for i, post := range *posts {
		if post.path != paths[i] || post.header.Get("Lambda-Runtime-Invocation-Id") != "nonce" {
			t.Errorf("got %+v", post)
		}
	}
	failed := (*posts)[1]
	if failed.header.Get("Lambda-Runtime-Function-Error-Type") != "Mine.Type" ||
		failed.body != `{"errorMessage":"a text","errorType":"Mine.Type","stackTrace":[]}` {
		t.Errorf("got %+v", failed)
	}
}

func TestWithoutAnInvocationIDNoneIsSent(t *testing.T) {
	client, posts := serve(t, 202, "{}", map[string]string{"Lambda-Runtime-Aws-Request-Id": "the-id"})
	invocation, _ := client.Next()

	_ = client.Respond(invocation, nil, "application/json")

	if _, has := (*posts)[0].header["Lambda-Runtime-Invocation-Id"]; has {
		t.Error("it was sent")
	}
}

func TestARefusalConcernsOneAnswerAndOtherErrorsEverything(t *testing.T) {
	for status, isRefusal := range map[int]bool{400: true, 403: true, 410: true, 413: true, 500: false} {
		client, _ := serve(t, status, "{}", headers)
		invocation, _ := client.Next()

		err := client.Respond(invocation, []byte("1"), "application/json")

		var refusal *Refusal
		if err == nil || errors.As(err, &refusal) != isRefusal {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

func TestATypeThatIsNoHeaderIsLeftOutOfThem(t *testing.T) {
	client, posts := serve(t, 202, "{}", headers)

	_ = client.FailInit(Failf("two\r\nlines", "text"))

	post := (*posts)[0]
	if _, has := post.header["Lambda-Runtime-Function-Error-Type"]; has || !strings.Contains(post.body, `two\r\nlines`) {
		t.Errorf("got %+v", post)
	}
}

func TestAnErrorDocumentIsKnownByItsFields(t *testing.T) {
	for text, is := range map[string]bool{
		`{"errorType":"A"}`:                 true,
		` {"errorMessage":"m","more":[1]} `: true,
		`{"errorType":1}`:                   false,
		`{"error":"A"}`:                     false,
		`["errorType"]`:                     false,
		`{"errorType":"A"} and more`:        false,
		``:                                  false,
	} {
		failure := AsFailure([]byte(text))
		if (failure != nil) != is {
			t.Errorf("%q: got %+v", text, failure)
		}
		if failure != nil && !json.Valid(failure.document()) {
			t.Errorf("%q: posted as %s", text, failure.document())
		}
	}
}
