package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
	"testing"
	"time"
)

// serveApart answers each request with head and body in a write of its own.
func serveApart(t *testing.T, noDelay bool) string {
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
			_ = connection.(*net.TCPConn).SetNoDelay(noDelay)
			go answerApart(connection)
		}
	}()
	return listener.Addr().String()
}

func answerApart(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for {
		if _, err := http.ReadRequest(reader); err != nil {
			return
		}
		fmt.Fprint(connection, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
		fmt.Fprint(connection, "body")
	}
}

// medianTime is how long an exchange takes over a connection that is kept.
func medianTime(t *testing.T, address string) time.Duration {
	server := newServer(nil, nil)
	defer server.transport.CloseIdleConnections()
	var times []time.Duration
	for i := 0; i < 41; i++ {
		request, _ := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
		begun := time.Now()
		response, err := server.transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		times = append(times, time.Since(begun))
	}
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	return times[len(times)/2]
}

// Where the kernel waits with its acknowledgement, the one takes 400 times as long as the other.
func TestAServerThatWritesHeadAndBodyApartIsNotHeldUp(t *testing.T) {
	prompt := medianTime(t, serveApart(t, true))
	apart := medianTime(t, serveApart(t, false))

	if apart > 20*prompt {
		t.Errorf("%v, and %v from a server that does not wait", apart, prompt)
	}
}
