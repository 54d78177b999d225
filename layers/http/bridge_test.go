package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve has `answer` deal with each request, until it tells to close the connection.
func serve(t *testing.T, answer func(net.Conn, *http.Request) bool) *bridge {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go serveOne(connection, answer)
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	settings := &settings{host: "127.0.0.1", port: port, readyPath: "/", readyTimeout: 30 * time.Second}
	server := newServer(nil, settings)
	server.ended = make(chan struct{})
	t.Cleanup(server.transport.CloseIdleConnections)
	return &bridge{server: server, settings: settings}
}

func serveOne(connection net.Conn, answer func(net.Conn, *http.Request) bool) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		if !answer(connection, request) {
			return
		}
	}
}

func (bridge *bridge) ask(t *testing.T, method, path string) error {
	request, failure := bridge.newRequest(method, path, "", []byte("body"))
	if failure != nil {
		t.Fatal(failure)
	}
	if _, _, failure := bridge.exchange(request); failure != nil {
		return failure
	}
	return nil
}

func ok(connection net.Conn) bool {
	fmt.Fprint(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	return true
}

// As a server of several processes does when the one at work dies: itself is still there.
func TestARequestThatMayHaveBeenReadIsSentAgainOnlyByItsMethod(t *testing.T) {
	for method, most := range map[string]int32{"POST": 1, "PATCH": 1, "PUT": 2, "DELETE": 2, "GET": 3} {
		var seen int32
		bridge := serve(t, func(connection net.Conn, request *http.Request) bool {
			if request.URL.Path == "/" {
				return ok(connection)
			}
			atomic.AddInt32(&seen, 1)
			return false
		})

		first := bridge.ask(t, "GET", "/")
		second := bridge.ask(t, method, "/dies")

		if first != nil || second == nil {
			t.Errorf("%s: got %v, %v", method, first, second)
		}
		if times := atomic.LoadInt32(&seen); times < 1 || times > most {
			t.Errorf("%s: sent %d times", method, times)
		}
	}
}

func TestAConnectionThatWasClosedMeanwhileIsNoticed(t *testing.T) {
	closed := make(chan struct{}, 1)
	bridge := serve(t, func(connection net.Conn, request *http.Request) bool {
		ok(connection)
		if request.URL.Path == "/last" {
			connection.Close()
			closed <- struct{}{}
			return false
		}
		return true
	})

	for i := 0; i < 100; i++ {
		if err := bridge.ask(t, "POST", "/last"); err != nil {
			t.Fatal(err)
		}
		<-closed
	}
}

func TestAnAnswerThatChangesTheProtocolIsAnError(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	bridge := serve(t, func(connection net.Conn, _ *http.Request) bool {
		fmt.Fprint(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		<-release
		return false
	})

	err := bridge.ask(t, "GET", "/")

	if err == nil || !strings.Contains(err.Error(), "Function.BadServerResponse") || !strings.Contains(err.Error(), "(101)") {
		t.Errorf("got %v", err)
	}
}

func TestAServerWhoseFirstPageNeverEndsIsReady(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	bridge := serve(t, func(connection net.Conn, _ *http.Request) bool {
		fmt.Fprint(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		<-release
		return false
	})

	if seen := bridge.server.probe(); seen != "" {
		t.Errorf("got %s", seen)
	}
}
