package tail

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestTheLastLinesAreKeptAndAllIsPassedOn(t *testing.T) {
	var log bytes.Buffer
	tail := New(&log)
	for number := 0; number < 5000; number++ {
		fmt.Fprintf(tail, "line %d\n", number)
	}

	lines := tail.Lines()

	if len(lines) != maxLines || lines[0] != "line 4990" || lines[9] != "line 4999" {
		t.Errorf("got %q", lines)
	}
	if strings.Count(log.String(), "\n") != 5000 {
		t.Errorf("passed on %d lines", strings.Count(log.String(), "\n"))
	}
}

func TestNothingIsNoSuffix(t *testing.T) {
	tail := New(&bytes.Buffer{})
	fmt.Fprint(tail, " \n\n")

	if suffix := tail.Suffix(); suffix != "" {
		t.Errorf("got %q", suffix)
	}
}

func TestWhatIsNoTextIsMadeText(t *testing.T) {
	tail := New(&bytes.Buffer{})
	fmt.Fprint(tail, "a\xff\n")

	if suffix := tail.Suffix(); suffix != ": a\uFFFD" {
		t.Errorf("got %q", suffix)
	}
}
