// Package runtimeapi is the client's side of Lambda's Runtime API, version 2018-06-01.
//
// It asks for events and posts what became of them; what is done with an event is for the
// runtimes beside this to say. Times are those of the API: milliseconds since 1970.
package runtimeapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxResponse is the largest answer that Lambda takes, in bytes: 6 MiB and 100 bytes.
const MaxResponse = 6*1024*1024 + 100

// An Invocation is one event and what the API says about it. Texts are empty where it says nothing.
type Invocation struct {
	Event           []byte
	RequestID       string
	DeadlineMS      int64
	FunctionARN     string
	TraceID         string
	ClientContext   string // JSON
	CognitoIdentity string // JSON
	TenantID        string
	// A nonce. Where there is one it is sent back with the answer, so that an answer that comes
	// too late is not taken for that of a second try with the same request id.
	invocationID string
}

// A Client talks to one Runtime API, over one connection that it keeps.
type Client struct {
	base string
	http *http.Client
}

// New makes a client of the API at host:port.
func New(address string) *Client {
	return &Client{
		base: "http://" + address + "/2018-06-01/runtime/",
		// No proxy: the address is this machine's own. No timeout: the environment may be
		// frozen for hours while it waits for an event.
		http: &http.Client{Transport: &http.Transport{
			DisableCompression: true,
			MaxIdleConns:       1,
		}},
	}
}

// Next waits for an event. After an error there is nothing left to do but to end.
func (client *Client) Next() (*Invocation, error) {
	response, err := client.http.Get(client.base + "invocation/next")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	event, err := readAll(response)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the Runtime API answers %s to GET /next: %s", response.Status, event)
	}
	header := response.Header
	deadline, _ := strconv.ParseInt(header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	invocation := &Invocation{
		Event:           event,
		RequestID:       header.Get("Lambda-Runtime-Aws-Request-Id"),
		DeadlineMS:      deadline,
		FunctionARN:     header.Get("Lambda-Runtime-Invoked-Function-Arn"),
		TraceID:         header.Get("Lambda-Runtime-Trace-Id"),
		ClientContext:   header.Get("Lambda-Runtime-Client-Context"),
		CognitoIdentity: header.Get("Lambda-Runtime-Cognito-Identity"),
		TenantID:        header.Get("Lambda-Runtime-Aws-Tenant-Id"),
		invocationID:    header.Get("Lambda-Runtime-Invocation-Id"),
	}
	if invocation.RequestID == "" {
		return nil, fmt.Errorf("the Runtime API sent an event without a request id")
	}
	return invocation, nil
}

// Deadline is when the platform gives the invocation up, or the zero time where that is not known.
func (invocation *Invocation) Deadline() time.Time {
	if invocation.DeadlineMS <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(invocation.DeadlineMS)
}

// Respond posts an answer. A Refusal concerns this invocation only; after any other error there
// is nothing left to do but to end.
func (client *Client) Respond(invocation *Invocation, answer []byte, contentType string) error {
	path := "invocation/" + invocation.RequestID + "/response"
	return client.post(path, answer, contentType, "", invocation.invocationID)
}

// Fail posts an invocation's failure. Errors are those of Respond.
func (client *Client) Fail(invocation *Invocation, failure *Failure) error {
	path := "invocation/" + invocation.RequestID + "/error"
	return client.post(path, failure.document(), "application/json", failure.Type, invocation.invocationID)
}

// FailInit posts why the runtime cannot start; it has to end then.
func (client *Client) FailInit(failure *Failure) error {
	return client.post("init/error", failure.document(), "application/json", failure.Type, "")
}

// A Refusal is what the API has against one answer: too large, too late, to no invocation.
type Refusal struct {
	Status int
	Body   string
}

func (refusal *Refusal) Error() string {
	return fmt.Sprintf("the Runtime API refused the answer (%d): %s", refusal.Status, refusal.Body)
}

// Any text may be an error's type, but not any text a header.
var headerSafe = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,256}$`)

func (client *Client) post(path string, body []byte, contentType, errorType, invocationID string) error {
	request, err := http.NewRequest(http.MethodPost, client.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", contentType)
	if headerSafe.MatchString(errorType) {
		request.Header.Set("Lambda-Runtime-Function-Error-Type", errorType)
	}
	if invocationID != "" {
		request.Header.Set("Lambda-Runtime-Invocation-Id", invocationID)
	}
	response, err := client.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := readAll(response)
	if err != nil {
		return err
	}
	switch status := response.StatusCode; {
	case status/100 == 2:
		return nil
	case status/100 == 4:
		return &Refusal{status, strings.TrimSpace(string(said))}
	default:
		return fmt.Errorf("the Runtime API answers %s to an answer: %s", response.Status, said)
	}
}

// An event may have 6 MB, for which io.ReadAll would grow its buffer thirty times.
func readAll(response *http.Response) ([]byte, error) {
	if response.ContentLength < 0 {
		return io.ReadAll(response.Body)
	}
	body := make([]byte, response.ContentLength)
	_, err := io.ReadFull(response.Body, body)
	return body, err
}

// A Failure is what AWS's runtimes post as an error. Where Document is not empty it is posted as
// it is, and Type is only for the header.
type Failure struct {
	Type     string
	Message  string
	Stack    []string
	Document []byte
}

func (failure *Failure) Error() string { return failure.Type + ": " + failure.Message }

// Failf makes a failure with a formatted message.
func Failf(errorType, format string, arguments ...any) *Failure {
	return &Failure{Type: errorType, Message: fmt.Sprintf(format, arguments...)}
}

func (failure *Failure) document() []byte {
	if len(failure.Document) > 0 {
		return failure.Document
	}
	stack := failure.Stack
	if stack == nil {
		stack = []string{}
	}
	return MarshalJSON(map[string]any{
		"errorMessage": failure.Message, "errorType": failure.Type, "stackTrace": stack,
	})
}

// MarshalJSON is json.Marshal for what can always be JSON, without its care for HTML.
func MarshalJSON(value any) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
}

// AsFailure tells whether a JSON text is an error document: an object with a text "errorType", or
// with a text "errorMessage". It is taken as it is.
func AsFailure(text []byte) *Failure {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' {
		return nil
	}
	var fields struct {
		Type    *string `json:"errorType"`
		Message *string `json:"errorMessage"`
	}
	if json.Unmarshal(text, &fields) != nil || (fields.Type == nil && fields.Message == nil) {
		return nil
	}
	failure := &Failure{Document: text}
	if fields.Type != nil {
		failure.Type = *fields.Type
	}
	if fields.Message != nil {
		failure.Message = *fields.Message
	}
	return failure
}
