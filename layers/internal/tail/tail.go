// Package tail passes a program's output on and remembers how it ended, for the error's message.
package tail

import (
	"io"
	"strings"
	"sync"
)

const (
	kept     = 8 * 1024 // bytes that are remembered
	maxLines = 10       // lines that a message shows
)

// A Tail is a writer to `to` that keeps the last of what was written.
type Tail struct {
	mutex sync.Mutex
	to    io.Writer
	last  []byte
}

// New makes a tail that passes on to `to`.
func New(to io.Writer) *Tail { return &Tail{to: to} }

func (tail *Tail) Write(data []byte) (int, error) {
	tail.mutex.Lock()
	defer tail.mutex.Unlock()
	tail.last = append(tail.last, data...)
	if surplus := len(tail.last) - kept; surplus > 0 {
		tail.last = append(tail.last[:0], tail.last[surplus:]...)
	}
	// Whether the log is read is no concern of the program's.
	_, _ = tail.to.Write(data)
	return len(data), nil
}

// Lines are the last lines, without blank ones at the end.
func (tail *Tail) Lines() []string {
	tail.mutex.Lock()
	defer tail.mutex.Unlock()
	text := strings.ToValidUTF8(string(tail.last), "\uFFFD")
	lines := strings.Split(strings.TrimRight(text, "\r\n\t "), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	if surplus := len(lines) - maxLines; surplus > 0 {
		lines = lines[surplus:]
	}
	return lines
}

// Suffix is ": " and the last lines, or nothing where nothing was written.
func (tail *Tail) Suffix() string {
	lines := tail.Lines()
	if len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines, "\n")
}
