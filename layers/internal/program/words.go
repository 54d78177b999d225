package program

import (
	"fmt"
	"strings"
)

// Words splits a command line as a shell does: at blanks, with '...', "..." and backslashes.
// Nothing is expanded: no variables, no patterns, no operators.
func Words(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	var quote rune
	escaped := false
	for _, char := range line {
		switch {
		case escaped:
			if quote == '"' && !strings.ContainsRune("\"\\$`", char) {
				word.WriteByte('\\')
			}
			word.WriteRune(char)
			escaped = false
		case char == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && char == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(char)
		case char == '\'' || char == '"':
			quote, inWord = char, true
		case strings.ContainsRune(" \t\r\n", char):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(char)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is not closed in: %s", quote, line)
	}
	if escaped {
		return nil, fmt.Errorf("a backslash ends: %s", line)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
