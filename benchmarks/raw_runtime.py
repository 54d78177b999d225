"""The smallest runtime worth measuring with: a raw socket, bytes in, the same bytes out.

Started as `python -I -S raw_runtime.py`, it imports next to nothing, so that a cold start
measures the emulator. It loops on 204, which cargo-lambda answers to an empty /next, takes a path
after host:port in AWS_LAMBDA_RUNTIME_API, which cargo-lambda needs, and gives the invocation id
back when it receives one. A payload that starts with `["hold N ` is answered after N ms.
"""

import os
from _socket import AF_INET, IPPROTO_TCP, SOCK_STREAM, socket
from time import sleep

ROOM = 6 * 1024 * 1024 + 64 * 1024
TCP_NODELAY = 1


class Connection:
    """One keep-alive connection and the one buffer for all that is received on it."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket(AF_INET, SOCK_STREAM)
        self.socket.connect((host, port))
        self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self.buffer = bytearray(ROOM)
        self.view = memoryview(self.buffer)
        self.received = 0

    def send(self, head: bytes, body: memoryview) -> None:
        """Send head and body, in one call if the socket takes them."""
        sent = self.socket.sendmsg((head, body))
        if sent < len(head):
            self.socket.sendall(head[sent:])
            sent = len(head)
        if sent < len(head) + len(body):
            self.socket.sendall(body[sent - len(head) :])

    def receive(self) -> None:
        """Receive once, behind what is there."""
        count = self.socket.recv_into(self.view[self.received :])
        if not count:
            raise SystemExit(0)
        self.received += count

    def read(self) -> tuple[bytes, memoryview]:
        """Read one answer: its head, and its body where it lies in the buffer."""
        self.received = 0
        end = -1
        while end < 0:
            self.receive()
            end = self.buffer.find(b"\r\n\r\n", 0, self.received)
        head = bytes(self.view[:end])
        length = header(head, b"content-length")
        if not length and header(head, b"transfer-encoding"):
            return head, self.read_chunks(end + 4)
        stop = end + 4 + int(length or b"0")
        while self.received < stop:
            self.receive()
        return head, self.view[end + 4 : stop]

    def read_chunks(self, at: int) -> memoryview:
        """Move the chunks from `at` on together: the official emulator sends large events so."""
        start = stop = at
        while True:
            line = self.buffer.find(b"\r\n", at, self.received)
            length = int(self.buffer[at:line], 16) if line >= 0 else 0
            after = line + 2 + length + 2
            if line < 0 or after > self.received:
                self.receive()
                continue
            if not length:
                return self.view[start:stop]
            self.view[stop : stop + length] = self.view[line + 2 : line + 2 + length]
            stop += length
            at = after


def header(head: bytes, name: bytes) -> bytes:
    """Return a header's value, empty when there is none; `name` is in lower case."""
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def main() -> None:
    """Poll and echo until the emulator hangs up."""
    authority, _, prefix = os.environ["AWS_LAMBDA_RUNTIME_API"].partition("/")
    host, _, port = authority.rpartition(":")
    base = f"{'/' + prefix if prefix else ''}/2018-06-01/runtime/invocation/".encode()
    tail = b" HTTP/1.1\r\nHost: " + authority.encode() + b"\r\n"
    poll = b"GET " + base + b"next" + tail + b"\r\n"
    connection = Connection(host, int(port))
    nothing = memoryview(b"")
    while True:
        connection.send(poll, nothing)
        head, body = connection.read()
        if head.startswith(b"HTTP/1.1 204"):
            continue
        if connection.buffer.startswith(b'["hold ', connection.received - len(body)):
            sleep(int(bytes(body[7:16]).split()[0]) / 1000)
        request_id = header(head, b"lambda-runtime-aws-request-id")
        invocation_id = header(head, b"lambda-runtime-invocation-id")
        if invocation_id:
            invocation_id = b"Lambda-Runtime-Invocation-Id: " + invocation_id + b"\r\n"
        answer = (
            b"POST %b%b/response%bContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
        )
        connection.send(answer % (base, request_id, tail, invocation_id, len(body)), body)
        connection.read()


if __name__ == "__main__":
    main()
