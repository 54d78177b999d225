"""A Runtime API that follows a script, down to the bytes and to how its connections end."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds: how long a test waits for what should come at once
REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    connection: int  # the first is 0

    def json(self) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.body)
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does with one request: send `pieces` one by one, then go on or end."""

    pieces: tuple[bytes, ...] = ()
    ending: str = "keep"  # keep, close (a FIN) or reset (an RST)
    unread: bool = False  # answer before the body is read, and never read it


@dataclass(slots=True)
class Event:
    """A reply to /next."""

    body: bytes = b'{"a": 1}'
    headers: dict[str, str] = field(default_factory=dict)
    request_id: str = REQUEST_ID
    content_type: str | None = "application/json"

    def head(self, *framing: str) -> bytes:
        lines = ["HTTP/1.1 200 OK", f"Lambda-Runtime-Aws-Request-Id: {self.request_id}"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join([*lines, *framing]) + "\r\n\r\n").encode()

    def whole(self) -> bytes:
        return self.head(f"Content-Length: {len(self.body)}") + self.body

    def answer(self) -> Answer:
        return Answer((self.whole(),))


def status(code: int, body: bytes = b"{}") -> Answer:
    return Answer((b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(body)) + body,))


class ScriptedApi:
    """Answers the n-th request as the n-th line of the script says; later ones stay parked."""

    def __init__(self, *script: Answer | Event | bytes) -> None:
        self.requests: list[Request] = []
        self._script = [_as_answer(line) for line in script]
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.address = f"{host}:{port}"
        self._connections: list[socket.socket] = []
        # One that does not end must not keep this process from ending.
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def wait_for_requests(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE)

    def drop_connections(self) -> None:
        """End the connections of this moment, not those that clients open upon it."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = len(self._connections)
                self._connections.append(connection)
                thread = threading.Thread(
                    target=self._serve, args=(connection, number), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError, EOFError), connection.makefile("rb") as stream:
            while True:
                answer = self._take(stream, number)
                for piece in answer.pieces:
                    connection.sendall(piece)
                if answer.ending == "close":
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                if answer.ending == "reset":
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    stream.close()
                    return

    def _take(self, stream: object, number: int) -> Answer:
        head = list(_lines(stream))
        method, path, _ = head[0].split(" ", 2)
        pairs = (line.partition(":") for line in head[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        with self._changed:
            index = len(self.requests)
            answer = self._script[index] if index < len(self._script) else Answer()
            length = 0 if answer.unread else int(headers.get("content-length", "0"))
        body = stream.read(length)  # type: ignore[attr-defined]
        with self._changed:
            request = Request(
                method=method, path=path, headers=headers, body=body, connection=number
            )
            self.requests.append(request)
            self._changed.notify_all()
        return answer


def _lines(stream: object) -> Iterator[str]:
    while True:
        line = stream.readline()  # type: ignore[attr-defined]
        if not line:
            raise EOFError
        if line == b"\r\n":
            return
        yield line.decode().rstrip("\r\n")


def _as_answer(line: Answer | Event | bytes) -> Answer:
    if isinstance(line, bytes):
        return Answer((line,))
    return line.answer() if isinstance(line, Event) else line


@contextmanager
def refusing_address() -> Iterator[tuple[str, int]]:
    """Keep an address where nobody listens: one that was let go may be somebody else's by now."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        host, port = deaf.getsockname()
        yield host, port


def start_bootstrap(
    api: ScriptedApi,
    folder: Path,
    *arguments: str,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start `python -P -m bootstrap` with its code in `folder`.

    `-P` is 3.11's; for older interpreters the current folder is empty instead.
    """
    safe = ["-P"] if python == sys.executable else []
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": str(REPOSITORY),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "LAMBDA_TASK_ROOT": str(folder),
        **(env or {}),
    }
    return subprocess.Popen(
        [python, *safe, "-m", "bootstrap", *arguments],
        env=variables,
        cwd=folder if safe else "/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        pass_fds=pass_fds,
    )


def wait_until_parked(process: subprocess.Popen[bytes]) -> None:
    """Wait until its first thread sleeps in the kernel.

    Before that a signal may come between Python's last look for signals and the system call that
    blocks, and would be handled when that call ends.
    """
    stat = Path(f"/proc/{process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "S", "it to be parked")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a bootstrap ended, and what it said."""

    code: int
    out: str
    err: str


def finish(process: subprocess.Popen[bytes]) -> Finished:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return Finished(process.returncode, out.decode(), err.decode())


def run_bootstrap(
    api: ScriptedApi,
    folder: Path,
    *arguments: str,
    python: str = sys.executable,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run it to its end, which the script must bring about."""
    return finish(start_bootstrap(api, folder, *arguments, python=python, env=env))
