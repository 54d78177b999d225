// Package launch is how a runtime begins: its wrapper, its API, its command, its first error.
package launch

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"rie/layers/internal/program"
	"rie/layers/internal/runtimeapi"
)

const wrapped = "--wrapped" // the first argument, once the wrapper has been run

// A Start is what a runtime begins with.
type Start struct {
	Client   *runtimeapi.Client
	TaskRoot string
	words    []string // the command line's, where there is one
}

func init() {
	// Children die with the thread that started them (program.Command): it has to be one that lasts.
	runtime.LockOSThread()
}

// Begin runs AWS_LAMBDA_EXEC_WRAPPER, if there is one, and returns under it, or ends the process.
func Begin() *Start {
	address := os.Getenv("AWS_LAMBDA_RUNTIME_API")
	if address == "" {
		fmt.Fprintln(os.Stderr, "bootstrap: AWS_LAMBDA_RUNTIME_API is not set: this is started by Lambda, or by rie run")
		os.Exit(1)
	}
	start := &Start{Client: runtimeapi.New(address), TaskRoot: os.Getenv("LAMBDA_TASK_ROOT"), words: os.Args[1:]}
	if start.TaskRoot == "" {
		start.TaskRoot, _ = os.Getwd()
	}
	if len(start.words) > 0 && start.words[0] == wrapped {
		start.words = start.words[1:]
	} else if wrapper := os.Getenv("AWS_LAMBDA_EXEC_WRAPPER"); wrapper != "" {
		start.become(wrapper)
	}
	return start
}

// become executes the wrapper, which executes this program again.
func (start *Start) become(wrapper string) {
	info, err := os.Stat(wrapper)
	if err != nil {
		start.refuse(127, "AWS_LAMBDA_EXEC_WRAPPER: %s does not exist", wrapper)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		start.refuse(126, "AWS_LAMBDA_EXEC_WRAPPER: %s is not executable: chmod +x it", wrapper)
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	arguments := append([]string{wrapper, self, wrapped}, start.words...)
	err = syscall.Exec(wrapper, arguments, os.Environ())
	start.refuse(126, "AWS_LAMBDA_EXEC_WRAPPER: %s: %v", wrapper, err)
}

func (start *Start) refuse(status int, format string, arguments ...any) {
	start.failInit(status, runtimeapi.Failf("Runtime.InvalidExecWrapper", format, arguments...))
}

// FailInit reports that this runtime cannot start, and ends the process.
func (start *Start) FailInit(failure *runtimeapi.Failure) { start.failInit(1, failure) }

func (start *Start) failInit(status int, failure *runtimeapi.Failure) {
	Log("%v", failure)
	if err := start.Client.FailInit(failure); err != nil {
		Log("%v", err)
	}
	os.Exit(status)
}

// Program finds the handler: the words of our own command line, else what `lines` has first.
func (start *Start) Program(lines ...string) (*program.Program, *runtimeapi.Failure) {
	if len(start.words) > 0 {
		return program.FindWords(start.words, start.TaskRoot)
	}
	for _, line := range lines {
		if line != "" {
			return program.Find(line, start.TaskRoot)
		}
	}
	return program.Find("", start.TaskRoot)
}

// Log writes a line of our own into the function's log.
func Log(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "bootstrap: "+format+"\n", arguments...)
}

// Settle deals with what posting an answer has brought: a refusal concerns that answer only, after
// anything else the process ends, for the environment to be started anew.
func Settle(err error) {
	var refusal *runtimeapi.Refusal
	switch {
	case err == nil:
	case errors.As(err, &refusal):
		Log("%v", refusal)
	default:
		Log("%v", err)
		os.Exit(1)
	}
}

// Events calls `handle` for each event; it never returns.
func (start *Start) Events(handle func(*runtimeapi.Invocation) ([]byte, *runtimeapi.Failure)) {
	for {
		invocation, err := start.Client.Next()
		if err != nil {
			Log("%v", err)
			os.Exit(1)
		}
		answer, failure := handle(invocation)
		if failure != nil {
			Settle(start.Client.Fail(invocation, failure))
		} else {
			Settle(start.Client.Respond(invocation, answer, "application/json"))
		}
	}
}

// EndWith has SIGTERM, which Lambda sends where there are extensions, end the process group that
// `find` finds, and then this process. What takes too long is killed by Lambda.
func EndWith(find func() *os.Process) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		process := find()
		if process == nil || syscall.Kill(-process.Pid, syscall.SIGTERM) != nil {
			os.Exit(0)
		}
		// Whoever waits for the process takes it away; there is no other word of a group's end.
		for syscall.Kill(-process.Pid, 0) == nil {
			select {
			case <-signals:
				os.Exit(0)
			case <-time.After(5 * time.Millisecond):
			}
		}
		os.Exit(0)
	}()
}
