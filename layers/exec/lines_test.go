package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"rie/layers/internal/runtimeapi"
)

func TestAMessageIsToldFromALineOfTheLog(t *testing.T) {
	for line, is := range map[string]bool{
		`{"result":1}`:                   true,
		`{"result":null}`:                true,
		`{"error":{"errorType":"A"}}`:    true,
		`{"result":1,"error":null}`:      true,
		`{"result":null,"error":"text"}`: true,
		`{"result":1,"requestId":"x"}`:   true,
		`{"ready":true}`:                 true,
		`{}`:                             false,
		`{"result":1,"error":"text"}`:    false,
		`{"result":null,"error":null}`:   true,
		`{"level":"info","result":1}`:    false,
		`{"result":1} {"result":2}`:      false,
		`{"result":1}]`:                  false,
		`{"result":`:                     false,
		`null`:                           false,
		` {"result":1}`:                  false,
		`text`:                           false,
	} {
		if _, got := parse([]byte(line + "\n")); got != is {
			t.Errorf("%s: got %v", line, got)
		}
	}
}

func TestALineWithoutItsEndIsNoMessage(t *testing.T) {
	if _, got := parse([]byte(`{"result":1}`)); got {
		t.Error("it was taken")
	}
}

func TestALineThatIsTooLongIsCutOffAndTheNextIsWhole(t *testing.T) {
	long := "{" + strings.Repeat("x", maxLine+1)
	reader := lineReader{from: bufio.NewReader(strings.NewReader(long + "\nnext\nlast"))}

	first, err := reader.next()
	if err != nil || !reader.overflowed || len(first) > maxLine || first[0] != '{' {
		t.Errorf("the first: %d bytes, %v, %v", len(first), reader.overflowed, err)
	}
	second, _ := reader.next()
	if string(second) != "next\n" || reader.overflowed {
		t.Errorf("the second: %q, %v", second, reader.overflowed)
	}
	last, err := reader.next()
	if string(last) != "last" || err == nil {
		t.Errorf("the last: %q, %v", last, err)
	}
}

func TestAnEventIsOneLine(t *testing.T) {
	invocation := &runtimeapi.Invocation{
		Event: []byte("{\n\"a\": \"<&>\"\r\n}"), RequestID: "id", DeadlineMS: 5,
		ClientContext: `{"b":1}`, CognitoIdentity: "no JSON",
	}

	line, err := eventLine(invocation)

	want := `{"event":{"a":"<&>"},"context":{"clientContext":{"b":1},"deadlineMs":5,"identity":"no JSON","requestId":"id"}}` + "\n"
	if err != nil || string(line) != want {
		t.Errorf("got %s, %v", line, err)
	}
}

func TestAnEventThatIsNoJSONIsAnError(t *testing.T) {
	if line, err := eventLine(&runtimeapi.Invocation{Event: []byte("{\n")}); err == nil {
		t.Errorf("got %s", line)
	}
}

func TestNoEventIsNull(t *testing.T) {
	line, _ := eventLine(&runtimeapi.Invocation{Event: nil})
	if !bytes.HasPrefix(line, []byte(`{"event":null,`)) {
		t.Errorf("got %s", line)
	}
}
