"""Connection against replies in every shape that HTTP/1.1 allows, and some that it does not."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from bootstrap.wire import (
    Connection,
    ConnectionLost,
    MalformedReply,
    _receive,
    _transmit,
    connect_to_first,
    header_value,
)
from tests.bootstrap.scripted import PATIENCE, Answer, ScriptedApi, refusing_address

GET = b"GET / HTTP/1.1\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def connect(api: ScriptedApi) -> Connection:
    host, _, port = api.address.partition(":")
    return Connection(host, int(port))


def dribble(data: bytes) -> Answer:
    return Answer(tuple(data[i : i + 1] for i in range(len(data))))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer((OK,)), id="one segment"),
        pytest.param(dribble(OK), id="byte by byte"),
        pytest.param(Answer((OK.replace(b"Content-L", b"CONTENT-l"),)), id="header case"),
        pytest.param(Answer((OK.replace(b": 2", b":   2 \t"),)), id="blanks around a value"),
        pytest.param(
            Answer((b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + OK,)),
            id="1xx replies first",
        ),
        pytest.param(
            dribble(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
                b"1;x=y\r\nh\r\n01\r\ni\r\n0\r\nTrailer: x\r\n\r\n"
            ),
            id="chunks and trailers",
        ),
        pytest.param(Answer((b"HTTP/1.1 200 OK\r\n\r\nh", b"i"), "close"), id="until the end"),
        pytest.param(Answer((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",)), id="HTTP/1.0"),
    ],
)
def test_a_reply_is_read_whatever_its_shape(answer: Answer) -> None:
    with ScriptedApi(answer) as api:
        connection = connect(api)
        reply = connection.exchange(GET)
        connection.close()

    assert (reply.status, reply.body) == (200, b"hi")


def test_a_large_body_is_received_into_its_place() -> None:
    body = bytes(range(256)) * 24_576

    with ScriptedApi(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as api:
        connection = connect(api)
        reply = connection.exchange(GET)
        connection.close()

    assert reply.body == body


def test_a_large_body_without_a_length_ends_with_the_connection() -> None:
    body = bytes(range(256)) * 8_192

    with ScriptedApi(Answer((b"HTTP/1.1 200 OK\r\n\r\n" + body,), "close")) as api:
        reply = connect(api).exchange(GET)

    assert reply.body == body


def test_a_large_request_arrives_whole() -> None:
    body = bytes(range(256)) * 24_576
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)

    with ScriptedApi(OK) as api:
        connection = connect(api)
        connection.exchange(head, body)
        connection.close()

    assert api.requests[0].body == body


def test_a_large_head_arrives_whole() -> None:
    value = "x" * 8_000_000
    head = f"POST / HTTP/1.1\r\nA: {value}\r\nContent-Length: 2\r\n\r\n".encode()

    with ScriptedApi(OK) as api:
        connection = connect(api)
        connection.exchange(head, b"yo")
        connection.close()

    assert (api.requests[0].headers["a"], api.requests[0].body) == (value, b"yo")


@pytest.mark.parametrize("code", [204, 304])
def test_a_status_without_a_body_has_none(code: int) -> None:
    with ScriptedApi(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % code) as api:
        connection = connect(api)
        reply = connection.exchange(GET)
        connection.close()

    assert reply.body == b""


def test_the_connection_is_kept() -> None:
    with ScriptedApi(OK, OK, OK) as api:
        connection = connect(api)
        for _ in range(3):
            connection.exchange(GET)
        connection.close()
        connection.close()

    assert [request.connection for request in api.requests] == [0, 0, 0]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(OK.replace(b"\r\n", b"\r\nConnection: Close\r\n", 1), id="close"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="HTTP/1.0"),
        pytest.param(OK + b"HTTP/1.1 200 OK\r\n\r\n", id="bytes nobody asked for"),
    ],
)
def test_a_connection_that_ends_with_its_reply_is_replaced(first: bytes) -> None:
    with ScriptedApi(first, OK) as api:
        connection = connect(api)
        connection.exchange(GET)
        connection.exchange(GET)
        connection.close()

    assert [request.connection for request in api.requests] == [0, 1]


@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("request_head", [GET, POST])
def test_a_request_on_a_kept_connection_that_was_dropped_is_sent_again(
    ending: str, request_head: bytes
) -> None:
    with ScriptedApi(Answer((OK,), ending), OK) as api:
        connection = connect(api)
        connection.exchange(GET)
        reply = connection.exchange(request_head, b"yo" if request_head == POST else b"")
        connection.close()

    assert reply.status == 200
    assert [request.connection for request in api.requests] == [0, 1]


def test_a_repeatable_request_is_sent_again_after_half_an_answer() -> None:
    with ScriptedApi(Answer((OK[:-1],), "close"), OK) as api:
        connection = connect(api)
        reply = connection.exchange(GET, repeatable=True)
        connection.close()

    assert reply.body == b"hi"


def test_a_request_is_sent_again_once_and_no_more() -> None:
    with ScriptedApi(*[Answer((), "reset")] * 3) as api:
        with pytest.raises(ConnectionLost):
            connect(api).exchange(GET, repeatable=True)

        assert len(api.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer((), "close"), id="nothing, on a new connection"),
        pytest.param(Answer((OK[:20],), "close"), id="half a head"),
        pytest.param(Answer((OK[:20],), "reset"), id="half a head, then a reset"),
        pytest.param(Answer((OK[:-1],), "close"), id="half a body"),
        pytest.param(Answer((OK[:-1],), "reset"), id="half a body, then a reset"),
        pytest.param(
            Answer((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",), "close"),
            id="half a chunk",
        ),
    ],
)
def test_a_post_whose_answer_was_lost_is_not_sent_again(answer: Answer) -> None:
    with ScriptedApi(answer, OK) as api:
        with pytest.raises(ConnectionLost):
            connect(api).exchange(POST, b"yo")

        assert len(api.requests) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 5_000_000,
    ],
    ids=lambda data: repr(data[:60]),
)
def test_what_is_not_http_is_refused(garbage: bytes) -> None:
    with ScriptedApi(garbage) as api, pytest.raises(MalformedReply):
        connect(api).exchange(GET)


def test_an_answer_to_a_body_that_nobody_reads_is_still_heard() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    body = b"x" * 20_000_000
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)

    with ScriptedApi(Answer((refusal,), "close", unread=True), OK) as api:
        connection = connect(api)
        first = connection.exchange(head, body)
        second = connection.exchange(GET)
        connection.close()

    assert (first.status, second.status) == (413, 200)


class BrokenOffError(Exception):
    """What a signal handler raises: no OSError, which may be taken for one of the connection's."""


@contextmanager
def interruptible(handler: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Give what interrupts this thread from another one: `handler` is run in it, once.

    The signal is sent until it is handled. One that comes after Python's last look for signals
    and before a system call that blocks is handled when that call ends, which may be never.
    """
    here, handled, sending = threading.get_ident(), threading.Event(), threading.Lock()

    def handle(*_: object) -> None:
        if not handled.is_set():
            handled.set()
            handler()

    def interrupt() -> None:
        for _ in range(int(PATIENCE / 0.01)):
            with sending:
                if handled.is_set():
                    return
                signal.pthread_kill(here, signal.SIGUSR1)
            handled.wait(0.01)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        yield interrupt
    finally:
        with sending:
            handled.set()  # without a handler another one would end this process
        signal.signal(signal.SIGUSR1, before)


def test_a_request_that_was_broken_off_leaves_no_answer_for_the_next() -> None:
    def break_off() -> None:
        raise BrokenOffError

    with ScriptedApi(Answer(), OK) as api, interruptible(break_off) as interrupt:
        connection = connect(api)

        def interrupt_once_it_waits() -> None:
            api.wait_for_requests(1)
            interrupt()

        thread = threading.Thread(target=interrupt_once_it_waits, daemon=True)
        thread.start()
        with pytest.raises(BrokenOffError):
            connection.exchange(GET)
        thread.join(PATIENCE)
        reply = connection.exchange(GET)
        connection.close()

    assert reply.body == b"hi"
    assert [request.connection for request in api.requests] == [0, 1]


class Interrupted:
    """A socket in whose every call a signal handler of the user's raises."""

    def __init__(self, received: bytes = b"") -> None:
        self.received = received

    def sendmsg(self, _: object) -> int:
        raise TimeoutError("the user's own")

    def recv(self, size: int) -> bytes:
        data, self.received = self.received[:size], b""
        if not data:
            raise TimeoutError("the user's own")
        return data

    def recv_into(self, _: object) -> int:
        raise TimeoutError("the user's own")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: _transmit(cast("Any", Interrupted()), GET, b""), id="sending"),
        pytest.param(lambda: _receive(cast("Any", Interrupted())), id="waiting for a reply"),
        pytest.param(lambda: _receive(cast("Any", Interrupted(OK[:-1]))), id="within a body"),
    ],
)
def test_what_a_signal_handler_raises_is_no_end_of_the_connection(
    call: Callable[[], object],
) -> None:
    with pytest.raises(TimeoutError, match="the user's own"):
        call()


def test_an_address_where_nobody_listens_is_an_error_at_once() -> None:
    with refusing_address() as (host, port), pytest.raises(ConnectionRefusedError):
        Connection(host, port).exchange(GET, repeatable=True)


def test_a_name_is_looked_up() -> None:
    with ScriptedApi(OK) as api:
        connection = Connection("localhost", int(api.address.rpartition(":")[2]))
        reply = connection.exchange(GET)
        connection.close()

    assert reply.status == 200


def test_each_address_of_a_name_is_tried() -> None:
    with ScriptedApi() as api, refusing_address() as refusing:
        host, _, port = api.address.partition(":")
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, place)
            for place in (refusing, (host, int(port)))
        ]
        sock = connect_to_first([*addresses, addresses[0]])
        assert sock.getpeername() == addresses[1][3]
        sock.close()


def test_small_writes_are_not_held_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, server.getsockname())
        sock = connect_to_first([address])
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        sock.close()


def test_a_request_that_a_signal_interrupts_arrives_whole() -> None:
    body = bytes(range(256)) * 80_000
    received = bytearray()
    interrupted = threading.Event()

    def interrupt_and_read(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(PATIENCE)
            peer.recv(1, socket.MSG_PEEK)  # it has begun, and cannot end unread
            interrupt()
            while len(received) < len(POST) + len(body) and (data := peer.recv(1_000_000)):
                received.extend(data)
            peer.sendall(OK)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        interruptible(interrupted.set) as interrupt,
    ):
        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=interrupt_and_read, args=(listener,), daemon=True)
        thread.start()
        connection = Connection(*listener.getsockname())
        connection.exchange(POST, body)
        connection.close()
        thread.join(PATIENCE)

    assert interrupted.is_set()
    assert received == POST + body


@pytest.mark.parametrize("text", ["a\r\nB: c", "a\nb", "a\0", "a\x7f"])
def test_a_header_value_cannot_start_another_header(text: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        header_value(text)


def test_a_header_value_may_be_unicode() -> None:
    assert header_value("größe 🎈 \udcff") == "größe 🎈 ".encode() + b"\xff"
