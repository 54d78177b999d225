package main

import (
	"os"
	"os/exec"

	"rie/layers/internal/program"
)

// streams are our ends of a process's three pipes.
type streams struct {
	stdin  *os.File
	stdout *program.Pipe
	stderr *program.Pipe
	theirs []*os.File
}

// newStreams makes pipes and gives the command their other ends.
func newStreams(command *exec.Cmd) (*streams, error) {
	made := &streams{}
	stdin, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	made.stdin, made.theirs = ours, append(made.theirs, stdin)
	command.Stdin = stdin
	for _, each := range []struct {
		ours   **program.Pipe
		theirs func(*os.File)
	}{
		{&made.stdout, func(file *os.File) { command.Stdout = file }},
		{&made.stderr, func(file *os.File) { command.Stderr = file }},
	} {
		pipe, writer, err := program.NewPipe()
		if err != nil {
			made.closeTheirs()
			made.close()
			return nil, err
		}
		*each.ours, made.theirs = pipe, append(made.theirs, writer)
		each.theirs(writer)
	}
	return made, nil
}

// closeTheirs gives up here what the process has been given.
func (streams *streams) closeTheirs() {
	for _, file := range streams.theirs {
		_ = file.Close()
	}
}

// finish waits for no more output than there is.
func (streams *streams) finish() {
	streams.stdout.Finish()
	streams.stderr.Finish()
}

func (streams *streams) close() {
	_ = streams.stdin.Close()
	if streams.stdout != nil {
		streams.stdout.Close()
	}
	if streams.stderr != nil {
		streams.stderr.Close()
	}
}
