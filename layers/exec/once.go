package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"rie/layers/internal/launch"
	"rie/layers/internal/program"
	"rie/layers/internal/runtimeapi"
	"rie/layers/internal/tail"
)

// The types of the failures that are ours to name.
const (
	exitError    = "Function.ExitError"
	killedError  = "Function.Killed"
	startError   = "Function.StartError"
	tooLarge     = "Function.ResponseSizeTooLarge"
	tooLargeText = "Response payload size exceeded maximum allowed payload size (%d bytes)."
)

// once runs a process for each invocation: the event on its stdin, the answer on its stdout.
type once struct {
	program *program.Program
	wrap    bool // the answer is text, to be made a JSON string
	process atomic.Pointer[os.Process]
}

func (runner *once) handle(invocation *runtimeapi.Invocation) ([]byte, *runtimeapi.Failure) {
	command := runner.program.Command()
	command.Env = append(withoutContext(os.Environ()), contextVariables(invocation)...)
	answer := &limited{}
	last := tail.New(os.Stderr)
	if err := runner.run(command, invocation.Event, answer, last); err != nil {
		return nil, runtimeapi.Failf(startError, "%s cannot be started: %v", runner.program.Name, err)
	}
	if answer.exceeded {
		return nil, runtimeapi.Failf(tooLarge, tooLargeText, runtimeapi.MaxResponse)
	}
	if !command.ProcessState.Success() {
		return nil, describe(runner.program.Name, command.ProcessState, answer.Bytes(), last)
	}
	if runner.wrap {
		text := strings.TrimSuffix(answer.String(), "\n")
		return runtimeapi.MarshalJSON(text), nil
	}
	return answer.Bytes(), nil
}

// run returns when the process has ended, and all that has stayed in its group: nothing that
// this invocation has started may write into the next one's answer.
func (runner *once) run(command *exec.Cmd, event []byte, answer *limited, last *tail.Tail) error {
	streams, err := newStreams(command)
	if err != nil {
		return err
	}
	defer streams.close()
	if err := command.Start(); err != nil {
		streams.closeTheirs()
		return err
	}
	streams.closeTheirs()
	runner.process.Store(command.Process)
	answer.whenExceeded = func() { program.KillGroup(command.Process) }
	go func() {
		// A program need not read its event; then this fails, and does not matter.
		_, _ = streams.stdin.Write(event)
		_ = streams.stdin.Close()
	}()
	var readers sync.WaitGroup
	readers.Add(2)
	go copyAll(&readers, answer, streams.stdout)
	go copyAll(&readers, last, streams.stderr)
	program.AwaitEnd(command.Process)
	program.KillGroup(command.Process)
	streams.finish()
	readers.Wait()
	runner.process.Store(nil)
	_ = command.Wait() // its state says more than this error
	return nil
}

func copyAll(readers *sync.WaitGroup, to io.Writer, from io.Reader) {
	defer readers.Done()
	_, _ = io.Copy(to, from)
}

// describe makes the failure of a process that has not exited with status 0. The program may have
// said itself what went wrong, as JSON: on stdout, or in the last line of stderr.
func describe(name string, state *os.ProcessState, answer []byte, last *tail.Tail) *runtimeapi.Failure {
	if own := runtimeapi.AsFailure(answer); own != nil {
		return own
	}
	if lines := last.Lines(); len(lines) > 0 {
		if own := runtimeapi.AsFailure([]byte(lines[len(lines)-1])); own != nil {
			return own
		}
	}
	errorType := exitError
	if program.WasKilled(state) {
		errorType = killedError
	}
	return runtimeapi.Failf(errorType, "%s %s%s", name, program.HowItEnded(state), last.Suffix())
}

// limited is a buffer that holds no more than an answer may have.
type limited struct {
	bytes.Buffer
	exceeded     bool
	whenExceeded func()
}

func (buffer *limited) Write(data []byte) (int, error) {
	switch {
	case buffer.exceeded:
	case buffer.Len()+len(data) > runtimeapi.MaxResponse:
		buffer.exceeded = true
		buffer.whenExceeded()
	default:
		return buffer.Buffer.Write(data)
	}
	return len(data), nil
}

// ReadFrom would go round Write.
func (buffer *limited) ReadFrom(from io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{buffer}, from)
}

// --- what a process is told about its invocation ---

const maxVariable = 100 * 1024 // Linux takes 128 KiB

func contextVariables(invocation *runtimeapi.Invocation) []string {
	deadline := ""
	if invocation.DeadlineMS > 0 {
		deadline = strconv.FormatInt(invocation.DeadlineMS, 10)
	}
	var variables []string
	for _, each := range [...][2]string{
		{"AWS_LAMBDA_REQUEST_ID", invocation.RequestID},
		{"AWS_LAMBDA_DEADLINE_MS", deadline},
		{"AWS_LAMBDA_INVOKED_FUNCTION_ARN", invocation.FunctionARN},
		{"AWS_LAMBDA_CLIENT_CONTEXT", invocation.ClientContext},
		{"AWS_LAMBDA_COGNITO_IDENTITY", invocation.CognitoIdentity},
		{"AWS_LAMBDA_TENANT_ID", invocation.TenantID},
		{"_X_AMZN_TRACE_ID", invocation.TraceID},
	} {
		switch name, value := each[0], each[1]; {
		case value == "":
		case len(value) > maxVariable:
			launch.Log("%s has %d bytes, too many for a variable: left out", name, len(value))
		default:
			variables = append(variables, name+"="+value)
		}
	}
	return variables
}

var contextNames = map[string]bool{
	"AWS_LAMBDA_REQUEST_ID": true, "AWS_LAMBDA_DEADLINE_MS": true,
	"AWS_LAMBDA_INVOKED_FUNCTION_ARN": true, "AWS_LAMBDA_CLIENT_CONTEXT": true,
	"AWS_LAMBDA_COGNITO_IDENTITY": true, "AWS_LAMBDA_TENANT_ID": true, "_X_AMZN_TRACE_ID": true,
}

func withoutContext(variables []string) []string {
	var others []string
	for _, variable := range variables {
		name, _, _ := strings.Cut(variable, "=")
		if !contextNames[name] {
			others = append(others, variable)
		}
	}
	return others
}
