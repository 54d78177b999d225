package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"rie/layers/internal/launch"
	"rie/layers/internal/program"
	"rie/layers/internal/runtimeapi"
	"rie/layers/internal/tail"
)

// A keeper keeps one process, to which it writes a line of JSON for each invocation and from which
// it reads one. A process that has died is started again with the next event.
type keeper struct {
	program       *program.Program
	waitsForReady bool
	process       atomic.Pointer[os.Process]
	worker        *worker
}

// A worker is one such process in its life.
type worker struct {
	name    string
	command *exec.Cmd
	streams *streams
	last    *tail.Tail
	events  chan []byte
	ended   chan struct{} // closed when it is gone, and all of its output has been looked at

	mutex   sync.Mutex
	waiting *expectation

	writing sync.Mutex // held while an event is written
	written int        // bytes of events, in its whole life
	before  int        // of these, those before the last event
	unread  int        // of these, what it has left in the pipe when it ended
}

// An expectation is somebody who waits for a message.
type expectation struct {
	requestID string
	answer    chan message
}

// A message is a line of the process's that is meant for us.
type message struct {
	Ready     bool            `json:"ready"`
	Result    json.RawMessage `json:"result"`
	Error     json.RawMessage `json:"error"`
	RequestID string          `json:"requestId"`
	tooLarge  bool
}

func (keeper *keeper) handle(invocation *runtimeapi.Invocation) ([]byte, *runtimeapi.Failure) {
	line, err := eventLine(invocation)
	if err != nil {
		return nil, runtimeapi.Failf("Runtime.UnmarshalError", "the event is not JSON: %v", err)
	}
	for attempt := 1; ; attempt++ {
		if failure := keeper.revive(); failure != nil {
			return nil, failure
		}
		answer, failure := keeper.worker.ask(line, invocation.RequestID)
		switch {
		case failure == nil:
			return answer.outcome()
		case attempt == 2 || !keeper.worker.endedBeforeItRead():
			return nil, failure
		}
		// It was about to end when the event came. No other process has seen the event.
	}
}

// revive starts a process again that has ended.
func (keeper *keeper) revive() *runtimeapi.Failure {
	if !keeper.worker.isGone() {
		return nil
	}
	launch.Log("%s %s: starting it again", keeper.program.Name, program.HowItEnded(keeper.worker.command.ProcessState))
	return keeper.restart()
}

// restart starts the process, and waits for its word that it is ready, if it is to give one.
func (keeper *keeper) restart() *runtimeapi.Failure {
	started, err := startWorker(keeper.program, keeper.waitsForReady)
	if err != nil {
		return runtimeapi.Failf(startError, "%s cannot be started: %v", keeper.program.Name, err)
	}
	keeper.worker = started
	keeper.process.Store(started.command.Process)
	if !keeper.waitsForReady {
		return nil
	}
	first, failure := started.receive(started.waiting)
	if failure != nil {
		return failure
	}
	if first.Error != nil {
		program.KillGroup(started.command.Process)
		<-started.ended
		_, failure = first.outcome()
		return failure
	}
	return nil
}

func startWorker(handler *program.Program, waitsForReady bool) (*worker, error) {
	made := &worker{
		name:    handler.Name,
		command: handler.Command(),
		last:    tail.New(os.Stderr),
		events:  make(chan []byte),
		ended:   make(chan struct{}),
	}
	if waitsForReady {
		made.waiting = &expectation{answer: make(chan message, 1)}
	}
	streams, err := newStreams(made.command)
	if err != nil {
		return nil, err
	}
	made.streams = streams
	err = made.command.Start()
	streams.closeTheirs()
	if err != nil {
		streams.close()
		return nil, err
	}
	var readers sync.WaitGroup
	readers.Add(2)
	go made.writeEvents()
	go made.readMessages(&readers)
	go copyAll(&readers, made.last, streams.stderr)
	go made.bury(&readers)
	return made, nil
}

func (worker *worker) isGone() bool {
	select {
	case <-worker.ended:
		return true
	default:
		return false
	}
}

// bury sees the process off, with what has stayed in its group, and hears its last words.
func (worker *worker) bury(readers *sync.WaitGroup) {
	program.AwaitEnd(worker.command.Process)
	program.KillGroup(worker.command.Process)
	worker.streams.finish()
	readers.Wait()
	_ = worker.streams.stdin.SetWriteDeadline(time.Unix(1, 0))
	worker.writing.Lock()
	worker.unread = program.Unread(worker.streams.stdin)
	worker.writing.Unlock()
	_ = worker.command.Wait() // its state says more than this error
	worker.streams.close()
	close(worker.ended)
}

// writeEvents runs beside the reading: a process may write much before it reads.
func (worker *worker) writeEvents() {
	for {
		select {
		case line := <-worker.events:
			worker.write(line)
		case <-worker.ended:
			return
		}
	}
}

func (worker *worker) write(line []byte) {
	worker.writing.Lock()
	defer worker.writing.Unlock()
	length, _ := worker.streams.stdin.Write(line) // it fails when the process dies, which is noticed
	worker.written += length
}

// endedBeforeItRead tells of a process that is gone whether the last event is nothing to it: all
// of it is still in the pipe.
func (worker *worker) endedBeforeItRead() bool {
	worker.writing.Lock()
	defer worker.writing.Unlock()
	return worker.written-worker.unread <= worker.before
}

func (worker *worker) ask(line []byte, requestID string) (message, *runtimeapi.Failure) {
	expected := &expectation{requestID: requestID, answer: make(chan message, 1)}
	worker.mutex.Lock()
	worker.waiting = expected
	worker.mutex.Unlock()
	worker.writing.Lock()
	worker.before = worker.written
	worker.writing.Unlock()
	select {
	case worker.events <- line:
	case <-worker.ended:
	}
	return worker.receive(expected)
}

func (worker *worker) receive(expected *expectation) (message, *runtimeapi.Failure) {
	select {
	case answer := <-expected.answer:
		return answer, nil
	case <-worker.ended:
	}
	select {
	case answer := <-expected.answer: // it has answered, and then ended
		return answer, nil
	default:
		state := worker.command.ProcessState
		failure := describe(worker.name, state, nil, worker.last)
		if failure.Document == nil {
			failure.Message = fmt.Sprintf("%s %s before it had answered%s",
				worker.name, program.HowItEnded(state), worker.last.Suffix())
		}
		return message{}, failure
	}
}

// --- the process's side ---

// An answer of the largest size has room, with its braces and its request id.
const maxLine = runtimeapi.MaxResponse + 4096

func (worker *worker) readMessages(readers *sync.WaitGroup) {
	defer readers.Done()
	lines := lineReader{from: bufio.NewReaderSize(worker.streams.stdout, 64*1024)}
	for {
		line, err := lines.next()
		if len(line) > 0 {
			worker.take(line, lines.overflowed)
		}
		if err != nil {
			break
		}
	}
	// A process without stdout cannot answer any more, should it still be there.
	program.KillGroup(worker.command.Process)
}

// take has a line of the process's go where it belongs: what is not a message is its log.
func (worker *worker) take(line []byte, overflowed bool) {
	said, ok := message{}, false
	switch {
	case overflowed && line[0] == '{':
		said, ok = message{tooLarge: true}, true
	case overflowed:
	default:
		said, ok = parse(line)
	}
	if !ok {
		if overflowed {
			line = append(line, " [cut off here]\n"...)
		}
		_, _ = os.Stdout.Write(line)
		return
	}
	worker.mutex.Lock()
	expected := worker.waiting
	if expected == nil || (said.RequestID != "" && said.RequestID != expected.requestID) {
		worker.mutex.Unlock()
		launch.Log("%s answers what nobody has asked, or what it has answered already: left out", worker.name)
		return
	}
	worker.waiting = nil
	worker.mutex.Unlock()
	expected.answer <- said
}

// parse tells a message from a line of the log, which may be JSON too: a message is a whole line
// and an object that has nothing else in it.
func parse(line []byte) (message, bool) {
	var said message
	if line[0] != '{' || line[len(line)-1] != '\n' {
		return said, false
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&said) != nil {
		return said, false
	}
	if _, err := decoder.Token(); err != io.EOF {
		return said, false
	}
	// JSON-RPC's habit: both are there, and one of them is null.
	if isNull(said.Error) {
		said.Error = nil
	}
	if said.Error != nil && isNull(said.Result) {
		said.Result = nil
	}
	kinds := 0
	for _, is := range []bool{said.Ready, said.Result != nil, said.Error != nil} {
		if is {
			kinds++
		}
	}
	return said, kinds == 1
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }

func (said message) outcome() ([]byte, *runtimeapi.Failure) {
	switch {
	case said.tooLarge:
		return nil, runtimeapi.Failf(tooLarge, tooLargeText, runtimeapi.MaxResponse)
	case said.Error == nil:
		return said.Result, nil
	}
	if failure := runtimeapi.AsFailure(said.Error); failure != nil {
		return nil, failure
	}
	var text string
	if json.Unmarshal(said.Error, &text) != nil {
		text = string(said.Error)
	}
	return nil, runtimeapi.Failf("HandlerError", "%s", text)
}

// --- lines ---

// A lineReader reads lines of up to maxLine bytes; of a longer one it gives the beginning.
type lineReader struct {
	from       *bufio.Reader
	overflowed bool // the last line was too long
}

// next returns a line with its end; the last may have none.
func (reader *lineReader) next() ([]byte, error) {
	var line []byte
	reader.overflowed = false
	for {
		part, err := reader.from.ReadSlice('\n')
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		} else {
			reader.overflowed = true
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// eventLine puts an invocation into one line.
func eventLine(invocation *runtimeapi.Invocation) ([]byte, error) {
	var line bytes.Buffer
	line.Grow(len(invocation.Event) + 1024)
	line.WriteString(`{"event":`)
	switch {
	case len(bytes.TrimSpace(invocation.Event)) == 0:
		line.WriteString("null")
	case bytes.IndexByte(invocation.Event, '\n') < 0:
		line.Write(invocation.Event)
	default:
		if err := json.Compact(&line, invocation.Event); err != nil {
			return nil, err
		}
	}
	line.WriteString(`,"context":`)
	line.Write(runtimeapi.MarshalJSON(contextFields(invocation)))
	line.WriteString("}\n")
	return line.Bytes(), nil
}

func contextFields(invocation *runtimeapi.Invocation) map[string]any {
	fields := map[string]any{"requestId": invocation.RequestID}
	if invocation.DeadlineMS > 0 {
		fields["deadlineMs"] = invocation.DeadlineMS
	}
	for name, value := range map[string]string{
		"invokedFunctionArn": invocation.FunctionARN,
		"traceId":            invocation.TraceID,
		"tenantId":           invocation.TenantID,
	} {
		if value != "" {
			fields[name] = value
		}
	}
	for name, value := range map[string]string{
		"clientContext": invocation.ClientContext,
		"identity":      invocation.CognitoIdentity,
	} {
		switch {
		case value == "":
		case json.Valid([]byte(value)):
			fields[name] = json.RawMessage(value)
		default:
			fields[name] = value
		}
	}
	return fields
}
