package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"rie/layers/internal/launch"
	"rie/layers/internal/program"
	"rie/layers/internal/runtimeapi"
	"rie/layers/internal/tail"
)

// The types of the failures of a server.
const (
	serverExited   = "Function.ServerExited" // it has died while it answered
	serverNotReady = "Runtime.ServerNotReady"
	serverEnded    = "Runtime.ServerExited" // it has ended before it was ready
	serverStart    = "Runtime.ServerStartError"
	portTaken      = "Runtime.PortTaken"
)

const (
	pollInterval = 5 * time.Millisecond
	// A server closes connections that idle; after a freeze it may have done so long ago, and
	// the news may not be here yet. Node's waits 5 s, gunicorn's 2.
	longestIdle = time.Second
)

// A server is the user's program, started and, should it die between invocations, started again.
type server struct {
	program   *program.Program
	settings  *settings
	process   atomic.Pointer[os.Process]
	command   *exec.Cmd
	last      *tail.Tail
	ended     chan struct{} // closed when the process is gone, and what it has said has been read
	transport *http.Transport
	lastUse   time.Time
}

func newServer(handler *program.Program, settings *settings) *server {
	return &server{program: handler, settings: settings, transport: &http.Transport{
		DialContext:            dialQuick,
		DisableCompression:     true, // what the server has compressed goes on as it is
		MaxIdleConns:           1,
		MaxResponseHeaderBytes: 1 << 20,
		// No proxy, and no timeouts: an invocation's deadline is the platform's business.
	}}
}

// start runs the server and waits until it is ready, or says what was seen instead.
func (server *server) start() *runtimeapi.Failure {
	if failure := server.settlePort(); failure != nil {
		return failure
	}
	if err := server.run(); err != nil {
		return runtimeapi.Failf(serverStart, "%s cannot be started: %v", server.program.Name, err)
	}
	failure := server.awaitReadiness()
	if failure != nil {
		program.KillGroup(server.command.Process)
	}
	return failure
}

// settlePort finds a port, if any will do, and sees to it that nobody has it already: another's
// server would seem to be ours.
func (server *server) settlePort() *runtimeapi.Failure {
	if server.settings.port == 0 {
		listener, err := net.Listen("tcp", server.settings.address())
		if err != nil {
			return runtimeapi.Failf(serverStart, "no port is free on %s: %v", server.settings.host, err)
		}
		server.settings.port = listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
		return nil
	}
	connection, err := net.DialTimeout("tcp", server.settings.address(), time.Second)
	if err != nil {
		return nil
	}
	_ = connection.Close()
	return runtimeapi.Failf(portTaken,
		"another program listens at %s already: set RIE_HTTP_PORT to another port, or to 0 for one that is free, which the server finds in PORT",
		server.settings.address())
}

func (server *server) run() error {
	pipe, writer, err := program.NewPipe()
	if err != nil {
		return err
	}
	server.command = server.program.Command()
	server.command.Env = append(os.Environ(), "PORT="+strconv.Itoa(server.settings.port))
	server.command.Stdout, server.command.Stderr = os.Stdout, writer
	err = server.command.Start()
	_ = writer.Close()
	if err != nil {
		pipe.Close()
		return err
	}
	server.process.Store(server.command.Process)
	server.last, server.ended = tail.New(os.Stderr), make(chan struct{})
	read := make(chan struct{})
	go func(last *tail.Tail) {
		_, _ = io.Copy(last, pipe)
		close(read)
	}(server.last)
	go func(command *exec.Cmd, ended chan struct{}) {
		program.AwaitEnd(command.Process)
		program.KillGroup(command.Process)
		pipe.Finish()
		<-read
		pipe.Close()
		_ = command.Wait() // its state says more than this error
		close(ended)
	}(server.command, server.ended)
	return nil
}

func (server *server) hasEnded() bool {
	select {
	case <-server.ended:
		return true
	default:
		return false
	}
}

// How long a process may take to be gone after its connections are.
const dying = 500 * time.Millisecond

func (server *server) endsSoon() bool {
	select {
	case <-server.ended:
		return true
	case <-time.After(dying):
		return false
	}
}

func (server *server) howItEnded() string {
	return fmt.Sprintf("%s %s", server.program.Name, program.HowItEnded(server.command.ProcessState))
}

func (server *server) awaitReadiness() *runtimeapi.Failure {
	limit := time.NewTimer(server.settings.readyTimeout)
	defer limit.Stop()
	for {
		seen := server.probe()
		if seen == "" {
			return nil
		}
		select {
		case <-server.ended:
			return runtimeapi.Failf(serverEnded, "%s before it listened at %s; it has to stay in the foreground%s",
				server.howItEnded(), server.settings.address(), server.last.Suffix())
		case <-limit.C:
			return runtimeapi.Failf(serverNotReady, "%s is not ready after %v: %s (RIE_HTTP_HOST, RIE_HTTP_PORT, RIE_HTTP_READY_PATH)%s",
				server.program.Name, server.settings.readyTimeout, seen, server.last.Suffix())
		case <-time.After(pollInterval):
		}
	}
}

// probe returns what keeps the server from being ready, or nothing.
func (server *server) probe() string {
	address := server.settings.address()
	if server.settings.readyByTCP {
		connection, err := net.DialTimeout("tcp", address, server.settings.readyTimeout)
		if err != nil {
			return "nothing listens at " + address
		}
		_ = connection.Close()
		return ""
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+address+server.settings.readyPath, nil)
	if err != nil {
		return err.Error()
	}
	request.Header.Set("User-Agent", "rie-readiness-check")
	type result struct {
		status int
		err    error
	}
	answered := make(chan result, 1)
	go func() {
		response, err := server.transport.RoundTrip(request)
		if err != nil {
			answered <- result{err: err}
			return
		}
		drain(response.Body)
		answered <- result{status: response.StatusCode}
	}()
	select {
	case got := <-answered:
		switch {
		case got.err != nil && isRefused(got.err):
			return "nothing listens at " + address
		case got.err != nil:
			return got.err.Error()
		case got.status >= http.StatusInternalServerError:
			return fmt.Sprintf("GET %s is answered %d", server.settings.readyPath, got.status)
		}
		server.lastUse = time.Now()
		return ""
	case <-time.After(server.settings.readyTimeout):
		return fmt.Sprintf("GET %s is not answered", server.settings.readyPath)
	case <-server.ended:
		return "it has ended"
	}
}

// drain reads a body to its end, so that the connection can be kept, unless it has none in sight:
// the status is enough to know.
func drain(body io.ReadCloser) {
	read := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(body, runtimeapi.MaxResponse))
		close(read)
	}()
	select {
	case <-read:
	case <-time.After(dying):
	}
	_ = body.Close()
}

// revive starts a server again that has died since the last invocation.
func (server *server) revive() *runtimeapi.Failure {
	if !server.hasEnded() {
		return nil
	}
	launch.Log("%s between invocations: starting it again", server.howItEnded())
	server.transport.CloseIdleConnections()
	return server.start()
}
