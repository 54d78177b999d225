package program

import (
	"reflect"
	"testing"
)

func TestACommandLineIsSplitAsAShellDoes(t *testing.T) {
	for line, words := range map[string][]string{
		"":                         nil,
		"  a  b\tc\n":              {"a", "b", "c"},
		`a 'b "c" \d' e`:           {"a", `b "c" \d`, "e"},
		`a "b 'c' \" \\ \$ \d"`:    {"a", `b 'c' " \ $ \d`},
		`a\ b \'c`:                 {"a b", "'c"},
		`a "" ''`:                  {"a", "", ""},
		`a=$HOME/*.py;ls >x`:       {`a=$HOME/*.py;ls`, ">x"},
		`ž"漢 😀"`:                   {"ž漢 😀"},
		`python3 -m "my package"x`: {"python3", "-m", "my packagex"},
	} {
		got, err := Words(line)
		if err != nil || !reflect.DeepEqual(got, words) {
			t.Errorf("%q: got %q, %v; want %q", line, got, err, words)
		}
	}
}

func TestACommandLineThatDoesNotEndIsAnError(t *testing.T) {
	for _, line := range []string{`a 'b`, `a "b`, `a \`} {
		if words, err := Words(line); err == nil {
			t.Errorf("%q: got %q", line, words)
		}
	}
}
