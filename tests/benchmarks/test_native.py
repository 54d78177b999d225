"""The C programs: the floor answers rightly, the load generator notices what is wrong."""

import contextlib
import shutil
import socketserver
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from benchmarks import load
from benchmarks.contenders import FLOOR, RAW, Ours, Server, serving
from benchmarks.load import Load, Shape
from benchmarks.processes import EndedError, all_cores

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

PATH = "/2015-03-31/functions/function/invocations"


def invoke(server: Server, payload: bytes) -> bytes:
    with contextlib.closing(HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("POST", PATH, payload)
        return connection.getresponse().read()


@contextlib.contextmanager
def scripted(answer: bytes) -> Iterator[int]:
    """Serve `answer` to every request of 1 KB, and give the port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.readline():
                while head.strip():
                    head = self.rfile.readline()
                self.rfile.read(1024)
                self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        # Nothing of it, whatever becomes of the test, keeps this process from ending.
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def send(answer: bytes, *, callers: int = 1) -> Load:
    with scripted(answer) as port:
        shape = Shape(calls=10, callers=callers, seconds=5)
        return load.send(shape, port=port, function="function", cores=all_cores())


def test_the_floor_gives_back_what_the_runtime_answers() -> None:
    with serving(FLOOR, RAW, cores=all_cores()) as server:
        assert invoke(server, b'{"greeting": "hello"}') == b'{"greeting": "hello"}'


def test_the_floor_carries_six_megabytes_unchanged() -> None:
    payload = bytes(range(256)) * (6 * 1024 * 1024 // 256)

    with serving(FLOOR, RAW, cores=all_cores()) as server:
        assert invoke(server, payload) == payload


def test_the_floor_runs_as_many_calls_at_once_as_it_has_environments() -> None:
    with serving(FLOOR, RAW, cores=all_cores(), environments=3) as server:
        found = server.measure(Shape(calls=3, callers=3, hold_ms=1000))

    assert found.calls == 3
    assert found.seconds < 2  # one after the other would be 3


def test_the_floor_refuses_another_function() -> None:
    with serving(FLOOR, RAW, cores=all_cores()) as server:
        found = load.send(Shape(calls=5), port=server.port, function="other", cores=all_cores())

    assert (found.calls, found.errors) == (0, 5)


def test_the_load_generator_measures_every_right_answer() -> None:
    found = send(b"HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024)

    assert (found.calls, found.errors) == (10, 0)
    assert 0 < found.p50_us <= found.p99_us


def test_the_load_generator_counts_answers_that_are_not_200_as_errors() -> None:
    found = send(
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
    )

    assert (found.calls, found.errors) == (0, 10)


def test_the_load_generator_counts_answers_of_another_length_as_errors() -> None:
    found = send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", callers=3)

    assert (found.calls, found.errors) == (0, 10)


def test_the_load_generator_reads_answers_in_chunks() -> None:
    halves = 2 * (b"200\r\n" + b"x" * 512 + b"\r\n")

    found = send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + halves + b"0\r\n\r\n")

    assert (found.calls, found.errors) == (10, 0)


def test_a_load_with_errors_is_no_measurement() -> None:
    with serving(FLOOR, RAW, cores=all_cores()) as server, pytest.raises(load.FailedError):
        load.measure(Shape(calls=2), port=server.port, function="other", cores=all_cores())


def test_a_contender_that_ends_at_once_is_reported_with_its_last_words() -> None:
    broken = Ours(program=("sh", "-c", "echo no such option >&2; exit 3"))

    with (
        pytest.raises(EndedError, match=r"status 3 .*: no such option"),
        serving(broken, RAW, cores=all_cores()),
    ):
        pass


def test_nothing_of_a_contender_is_left_when_it_has_been_ended() -> None:
    with serving(FLOOR, RAW, cores=all_cores()) as server:
        process = server.process

    assert process.returncode is not None
    with pytest.raises(OSError, match="refused"):
        invoke(server, b"{}")
