package program

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A Pipe is the reading end of a program's output.
//
// Its end may never come: a process that has left the program's group can hold the other end open
// for as long as it likes. So the reader can be told that nothing more is to be waited for: what
// is in the pipe already is still read, and then it ends.
type Pipe struct {
	file     *os.File
	draining bool // the reader's own
}

// NewPipe returns a pipe, and its other end for the program; that is to be closed here once the
// program has been started.
func NewPipe() (*Pipe, *os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &Pipe{file: reader}, writer, nil
}

// Finish has Read wait no longer. It may be called while another goroutine reads.
func (pipe *Pipe) Finish() {
	_ = pipe.file.SetReadDeadline(time.Unix(1, 0))
}

// Close gives the pipe up; whoever still writes to it gets an error.
func (pipe *Pipe) Close() { _ = pipe.file.Close() }

func (pipe *Pipe) Read(buffer []byte) (int, error) {
	if !pipe.draining {
		length, err := pipe.file.Read(buffer)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return length, err
		}
		pipe.draining = true
		_ = pipe.file.SetReadDeadline(time.Time{})
	}
	return pipe.readWhatIsThere(buffer)
}

// Unread is how many bytes are in a pipe, of which this is the writing end.
func Unread(writer *os.File) int {
	connection, err := writer.SyscallConn()
	if err != nil {
		return 0
	}
	var length int32
	_ = connection.Control(func(descriptor uintptr) {
		_, _, _ = syscall.Syscall(syscall.SYS_IOCTL, descriptor, syscall.TIOCINQ, uintptr(unsafe.Pointer(&length)))
	})
	return int(length)
}

func (pipe *Pipe) readWhatIsThere(buffer []byte) (int, error) {
	connection, err := pipe.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	length := 0
	readErr := error(nil)
	err = connection.Read(func(descriptor uintptr) bool {
		for {
			length, readErr = syscall.Read(int(descriptor), buffer)
			if readErr != syscall.EINTR {
				return true // whatever came of it: there is nothing to wait for
			}
		}
	})
	if err != nil {
		return 0, err
	}
	if readErr != nil || length <= 0 {
		return 0, io.EOF
	}
	return length, nil
}
