"""One kept HTTP/1.1 connection to the Runtime API, on a raw socket.

What a request means is client.py's job; this module moves bytes. It knows chunked replies,
replies in any number of pieces, 1xx replies before the real one, and `Connection: close`. There
is no proxy and no timeout: a parked /next may take hours, and its process may be frozen meanwhile.

`_socket` rather than `socket`: the Python half imports `enum` and `selectors`, 4 ms of each cold
start, for nothing that is used here. `recv` goes on after a signal handler has run (PEP 475), so
a user's handler works while the process is parked.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False  # `typing` costs 4 ms
if TYPE_CHECKING:
    # family, kind, protocol, and what connect takes in that family
    Address = tuple[int, int, int, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]

RECEIVE_SIZE = 65_536  # bytes asked of the kernel at once: most replies arrive whole
MAX_HEAD = 4 * 1_048_576  # bytes; a client context alone may be large, an endless head is a fault
CONTROLS = bytes((*range(0x20), 0x7F))


class ConnectionLost(OSError):
    """The connection ended before the reply did; `answered`: some of the reply had come."""

    def __init__(self, reason: str, *, answered: bool) -> None:
        super().__init__(reason)
        self.answered = answered


class MalformedReply(Exception):
    """What came is not an HTTP/1 reply."""


class Reply:
    """A whole reply; header names in lower case, values as UTF-8 with surrogate escapes."""

    __slots__ = ("body", "headers", "keeps", "status")

    def __init__(self, head: bytes) -> None:
        first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        # A lone CR or LF, or a NUL, has no place in a value that goes on to a variable or a header.
        if b"\0" in head or not head.count(b"\n") == head.count(b"\r") == len(lines):
            raise MalformedReply("a control character in the head")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
            raise MalformedReply(f"not an HTTP/1 status line: {first[:80]!r}")
        self.status = int(rest[:3])
        pairs = [line.partition(":") for line in lines]
        self.headers = {name.lower(): value.strip(" \t") for name, _, value in pairs}
        self.body: bytes | bytearray = b""
        close = "close" in self.headers.get("connection", "").lower()
        self.keeps = version != "HTTP/1.0" and not close


class Connection:
    """A connection that is opened when it is needed and kept for the next request."""

    __slots__ = ("_host", "_port", "_socket")

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._socket: _socket.socket | None = None

    def exchange(self, head: bytes, body: bytes = b"", *, repeatable: bool = False) -> Reply:
        """Send one request and return its reply.

        When the connection turns out to be lost the request is sent once more, on a new one, if
        it is `repeatable`, or if it went out on a kept connection that the other end had
        dropped: kept, and not a byte of an answer. Raises ConnectionLost, MalformedReply, or the
        OSError of a connect that failed.
        """
        kept = self._socket is not None
        try:
            return self._attempt(head, body)
        except ConnectionLost as lost:
            if not repeatable and (lost.answered or not kept):
                raise
        return self._attempt(head, body)

    def close(self) -> None:
        """Close the connection, if there is one; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _attempt(self, head: bytes, body: bytes) -> Reply:
        if self._socket is None:
            self._socket = connect_to_first(_addresses(self._host, self._port))
        try:
            whole = _transmit(self._socket, head, body)
            reply = _receive(self._socket)
        except BaseException:
            # A signal handler may raise here too: the answer to this request, come late, must
            # not be taken for the answer to the next.
            self.close()
            raise
        if not (whole and reply.keeps):
            self.close()
        return reply


def header_value(text: str) -> bytes:
    """`text` as the value of a header; ValueError if it could end the header or start another."""
    value = text.encode("utf-8", "surrogateescape")
    if value.translate(None, CONTROLS) != value:
        raise ValueError(f"control characters in a header value: {text!r}")
    return value


def connect_to_first(addresses: list[Address]) -> _socket.socket:
    """Connect to the first of `addresses` that answers; the last one's OSError if none does."""
    for address in addresses[:-1]:
        try:
            return _open(address)
        except OSError:  # noqa: PERF203  (once or twice in a process's life)
            continue
    return _open(addresses[-1])


def _addresses(host: str, port: int) -> list[Address]:
    # As bytes: a str goes through the idna codec, whose import takes 5 ms.
    found = _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM)
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


def _open(address: Address) -> _socket.socket:
    family, kind, protocol, place = address
    sock = _socket.socket(family, kind, protocol)
    try:
        sock.connect(place)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _transmit(sock: _socket.socket, head: bytes, body: bytes) -> bool:
    """Send head and body together; False if the other end stopped listening on the way.

    That is no error yet: a server that refuses a large body answers (413) and closes, and its
    answer can still be read.
    """
    try:
        sent = sock.sendmsg((head, body))
        if sent < len(head) + len(body):  # a signal came in between
            sock.sendall((head + body)[sent:])
    except OSError as error:
        if came_from_a_handler(error):
            raise
        return False
    return True


def came_from_a_handler(error: OSError) -> bool:
    """Whether a signal handler of the user's raised it, while the socket was waited for.

    Many an exception of theirs is an OSError (TimeoutError, for one), and none of them is about
    the connection. What the socket raises comes from a frame of this module, theirs does not.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals is not globals()


def _receive(sock: _socket.socket) -> Reply:
    reader = _Reader(sock)
    reply = Reply(reader.until(b"\r\n\r\n"))
    while reply.status < 200:  # noqa: PLR2004  (1xx: the real one follows)
        reply = Reply(reader.until(b"\r\n\r\n"))
    try:
        reply.body = _body(reply, reader)
    except ValueError as error:
        raise MalformedReply(f"a length that is none: {error}") from error
    # Bytes that nobody asked for would be taken for the answer to the next request.
    reply.keeps = reply.keeps and reader.is_used_up()
    return reply


def _body(reply: Reply, reader: _Reader) -> bytes | bytearray:
    if reply.status in (204, 304):
        return b""
    if "chunked" in reply.headers.get("transfer-encoding", "").lower():
        return _chunks(reader)
    length = reply.headers.get("content-length")
    if length is not None:
        return reader.take(int(length))
    reply.keeps = False
    return reader.rest()


def _chunks(reader: _Reader) -> bytes:
    parts = []
    while size := int(reader.until(b"\r\n").partition(b";")[0], 16):
        parts.append(reader.take(size))
        reader.until(b"\r\n")
    while reader.until(b"\r\n"):  # trailers
        pass
    return b"".join(parts)


class _Reader:
    """The bytes of one reply, in the order that they are asked for."""

    __slots__ = ("_at", "_data", "_socket")

    def __init__(self, sock: _socket.socket) -> None:
        self._socket = sock
        self._data = b""
        self._at = 0  # what lies before it is used up

    def until(self, mark: bytes) -> bytes:
        """Return what comes before the next `mark`, and pass the mark."""
        if self._at == len(self._data):
            self._data, self._at = self._more(answered=bool(self._data)), 0
        end = self._data.find(mark, self._at)
        if end < 0:
            end = self._wait_for(mark)
        found = self._data[self._at : end]
        self._at = end + len(mark)
        return found

    def take(self, size: int) -> bytes | bytearray:
        """Return the next `size` bytes; those still to come go straight into their place."""
        if size < 0:
            raise ValueError(size)
        start, self._at = self._at, self._at + size
        if self._at <= len(self._data):
            return self._data[start : self._at]
        body = bytearray(size)
        have = len(self._data) - start
        body[:have] = self._data[start:]
        self._at = len(self._data)
        self._fill(memoryview(body)[have:])
        return body

    def rest(self) -> bytes:
        """Return everything until the other end closes."""
        parts = [self._data[self._at :]]
        self._at = len(self._data)
        while part := self._socket.recv(RECEIVE_SIZE):
            parts.append(part)
        return b"".join(parts)

    def is_used_up(self) -> bool:
        return self._at == len(self._data)

    def _wait_for(self, mark: bytes) -> int:
        """Receive until `mark` has come, and return its place."""
        buffer = bytearray(self._data[self._at :])
        end = -1
        while end < 0:
            if len(buffer) > MAX_HEAD:
                raise MalformedReply("a head without an end")
            seen = max(0, len(buffer) - len(mark) + 1)
            buffer += self._more(answered=True)
            end = buffer.find(mark, seen)
        self._data, self._at = bytes(buffer), 0
        return end

    def _more(self, *, answered: bool) -> bytes:
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except OSError as error:
            if came_from_a_handler(error):
                raise
            raise ConnectionLost(str(error), answered=answered) from error
        if not data:
            raise ConnectionLost("closed by the Runtime API", answered=answered)
        return data

    def _fill(self, view: memoryview) -> None:
        while view:
            try:
                size = self._socket.recv_into(view)
            except OSError as error:
                if came_from_a_handler(error):
                    raise
                raise ConnectionLost(str(error), answered=True) from error
            if not size:
                raise ConnectionLost("closed in the middle of a body", answered=True)
            view = view[size:]
