"""The row of containers, where no engine is needed to tell."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import containers, peers
from benchmarks.processes import NotReadyError
from benchmarks.report import Result
from rie.artifacts.errors import BuildError


def test_without_an_engine_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_engine(*_: object) -> Result:
        raise BuildError("no engine: install podman")

    monkeypatch.setattr(peers, "fetch", no_engine)

    result = containers.containers_row(1, no_engine)

    assert result.absent == {containers.OURS: "no engine: install podman"}
    assert [verdict.reached for verdict in result.verdicts] == [None]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_an_answer_of_the_function_counts() -> None:
    with answering(200, b'["x"]') as port:
        containers.call_until_answered(port, time.perf_counter() + 10)


def test_an_error_in_its_place_does_not() -> None:
    with answering(200, b'{"errorType":"x"}') as port, pytest.raises(NotReadyError):
        containers.call_until_answered(port, time.perf_counter() + 10)


def test_nobody_is_waited_for_without_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(NotReadyError, match="no answer"):
        containers.call_until_answered(port, time.perf_counter() + 0.05)
