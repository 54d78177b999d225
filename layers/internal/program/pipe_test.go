package program

import (
	"io"
	"os"
	"testing"
)

func TestAPipeThatIsFinishedStillGivesWhatIsInIt(t *testing.T) {
	pipe, writer, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close() // open to the end: there is no other end of the file
	if _, err := writer.WriteString("what is there"); err != nil {
		t.Fatal(err)
	}

	pipe.Finish()
	data, err := io.ReadAll(pipe)

	if err != nil || string(data) != "what is there" {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestFinishEndsAReadThatWaits(t *testing.T) {
	pipe, writer, err := NewPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	ended := make(chan error)
	go func() {
		_, err := io.ReadAll(pipe)
		ended <- err
	}()

	pipe.Finish()

	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestUnreadCountsWhatIsInAPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	_, _ = writer.WriteString("12345")
	_, _ = io.ReadFull(reader, make([]byte, 2))

	if unread := Unread(writer); unread != 3 {
		t.Errorf("got %d", unread)
	}
}
