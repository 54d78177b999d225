package main

import (
	"context"
	"net"
	"syscall"
)

// A quickConn acknowledges at once what comes in answer to what it writes.
//
// Many a server writes head and body apart, and does not know TCP_NODELAY: Python's own, for one,
// and what is made of it. It waits for the head to be acknowledged then, and the kernel with its
// acknowledgement for 40 ms, which would be most of an invocation's time.
type quickConn struct {
	net.Conn
	raw syscall.RawConn
}

func dialQuick(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	raw, err := connection.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	return quickConn{connection, raw}, nil
}

// isClosed tells whether the other end has closed a connection on which nothing is to be read.
func isClosed(connection net.Conn) bool {
	quick, ok := connection.(quickConn)
	if !ok {
		return false
	}
	closed := false
	_ = quick.raw.Control(func(descriptor uintptr) {
		var one [1]byte
		length, _, err := syscall.Recvfrom(int(descriptor), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = (err == nil && length == 0) || err == syscall.ECONNRESET
	})
	return closed
}

func (connection quickConn) Write(data []byte) (int, error) {
	length, err := connection.Conn.Write(data)
	// It holds until the kernel thinks otherwise; so it is said anew each time.
	_ = connection.raw.Control(func(descriptor uintptr) {
		_ = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	})
	return length, err
}
