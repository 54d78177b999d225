package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestNamesOfCookiesDifferInTheirCase(t *testing.T) {
	seen := map[string]bool{}
	for number := 0; number < 512; number++ {
		name := casing("set-cookie", number)
		if !strings.EqualFold(name, "set-cookie") {
			t.Fatalf("%d: got %s", number, name)
		}
		seen[name] = true
	}
	if len(seen) != 512 {
		t.Errorf("got %d names", len(seen))
	}
}

func TestFieldsOfTheConnectionAreLeftOut(t *testing.T) {
	header := http.Header{
		"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"timeout=5"},
		"X-Kept": {"a", "b"}, "X-Latin": {"caf\xe9"},
	}

	fields := endToEnd(header)

	if want := map[string][]string{"X-Kept": {"a", "b"}, "X-Latin": {"café"}}; !reflect.DeepEqual(fields, want) {
		t.Errorf("got %v", fields)
	}
}

func TestAnAnswerThatBase64MakesTooLargeSaysSo(t *testing.T) {
	response := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"image/png"}}}
	body := make([]byte, 5*1024*1024)

	_, failure := httpAnswer(&event{shape: version2}, response, body, nil)

	if failure == nil || failure.Type != responseTooLarge ||
		!strings.Contains(failure.Message, "has a body of 5242880 bytes, and 6990") ||
		!strings.Contains(failure.Message, "as base64") {
		t.Errorf("got %v", failure)
	}
}

func TestTextIsNotEscapedForHTML(t *testing.T) {
	response := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/html"}}}

	answer, failure := httpAnswer(&event{shape: version2}, response, []byte("<p>&</p>"), nil)

	if failure != nil || !strings.Contains(string(answer), `"body":"<p>&</p>"`) || !json.Valid(answer) {
		t.Errorf("got %s, %v", answer, failure)
	}
}

func TestWhatIsSentAsTextIsText(t *testing.T) {
	for _, each := range []struct {
		header http.Header
		body   string
		binary bool
	}{
		{http.Header{}, "", false},
		{http.Header{}, "text", false},
		{http.Header{}, "\xff", true},
		{http.Header{"Content-Type": {"Text/HTML;charset=UTF-8"}}, "<p>", false},
		{http.Header{"Content-Type": {"image/svg+xml"}}, "<svg/>", false},
		{http.Header{"Content-Type": {"application/vnd.api+json; x"}}, "{}", false},
		{http.Header{"Content-Type": {"application/pdf"}}, "%PDF", true},
		{http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"br"}}, "x", true},
		{http.Header{"Content-Type": {"text/plain"}, "Content-Encoding": {"identity"}}, "x", false},
	} {
		if got := isBinary(each.header, []byte(each.body), nil); got != each.binary {
			t.Errorf("%v %q: got %v", each.header, each.body, got)
		}
	}
}

func TestAServersOwnErrorDocumentIsTaken(t *testing.T) {
	request, _ := http.NewRequest(http.MethodPost, "http://x/events", nil)
	own := `{"errorType":"Mine","errorMessage":"own"}`

	failure := badStatus(request, &http.Response{StatusCode: 500}, []byte(own))

	if failure.Type != "Mine" || string(failure.Document) != own {
		t.Errorf("got %+v", failure)
	}
}

func TestALongBodyIsCutWhereACharacterEnds(t *testing.T) {
	request, _ := http.NewRequest(http.MethodPost, "http://x/events", nil)

	failure := badStatus(request, &http.Response{StatusCode: 500}, []byte("a"+strings.Repeat("ž", 1000)))

	if !strings.HasSuffix(failure.Message, "ž...") || len(failure.Message) > 1100 {
		t.Errorf("got %s", failure.Message)
	}
}
