"""A runtime whose process is real and whose every byte to the Runtime API is the test's.

The emulator starts `Script.command`; the process connects back and obeys orders. The test
plays its HTTP towards the Runtime API that the process was told of:

    with Script() as script, running_emulator(command=script.command) as emulator:
        runtime = script.runtime()
        event = runtime.next()
        runtime.respond(event.request_id, b"{}")

Blocking; whatever is waited for must come within LIMIT seconds.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import struct
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.support.raw_http import LIMIT, Connection, Headers, Response, chunks, head, request

if TYPE_CHECKING:
    from types import TracebackType

PROCESS = Path(__file__).with_name("runtime_process.py")
API = "/2018-06-01"
NEXT = f"{API}/runtime/invocation/next"


class Event(Response):
    """What /next answered with."""

    __slots__ = ()

    @property
    def request_id(self) -> str:
        request_id = self.header("Lambda-Runtime-Aws-Request-Id")
        assert request_id, f"{self.status} without an id: {self.body!r}"
        return request_id

    @property
    def invocation_id(self) -> str:
        invocation_id = self.header("Lambda-Runtime-Invocation-Id")
        assert invocation_id
        return invocation_id

    @property
    def deadline(self) -> float:
        """Seconds since the epoch."""
        return int(self.header("Lambda-Runtime-Deadline-Ms") or "") / 1000


class RuntimeConnection(Connection):
    """A runtime's connection to the Runtime API at `address`."""

    def send_next(self, headers: Headers = ()) -> None:
        """Ask for an invocation; `read_event` waits for it."""
        self.send(head("GET", NEXT, headers))

    def read_event(self) -> Event:
        """Read the answer to a /next."""
        found = self.read_response()
        return Event(found.version, found.status, found.lines, found.body)

    def next(self, headers: Headers = ()) -> Event:
        """Ask for an invocation and wait for it."""
        self.send_next(headers)
        return self.read_event()

    def respond(
        self,
        request_id: str,
        body: bytes = b'"done"',
        headers: Headers = (),
        *,
        chunked: bool = False,
        trailers: Headers = (),
    ) -> Response:
        return self._post(f"invocation/{request_id}/response", body, headers, chunked, trailers)

    def error(
        self,
        request_id: str,
        body: bytes = b'{"errorMessage":"no","errorType":"Failed"}',
        headers: Headers = (),
        *,
        chunked: bool = False,
        trailers: Headers = (),
    ) -> Response:
        return self._post(f"invocation/{request_id}/error", body, headers, chunked, trailers)

    def init_error(
        self,
        body: bytes = b'{"errorMessage":"no","errorType":"Failed"}',
        headers: Headers = (),
        *,
        chunked: bool = False,
        trailers: Headers = (),
    ) -> Response:
        return self._post("init/error", body, headers, chunked, trailers)

    def ping(self) -> None:
        assert self.ask(head("GET", f"{API}/ping")).body == b"pong"

    def _post(
        self,
        path: str,
        body: bytes,
        headers: Headers,
        chunked: bool,  # noqa: FBT001
        trailers: Headers,
    ) -> Response:
        full_path = f"{API}/runtime/{path}"
        if not chunked and not trailers:
            return self.ask(request("POST", full_path, body, headers))
        fields: Headers = (*headers, ("Transfer-Encoding", "chunked"))
        if trailers:
            fields = (*fields, ("Trailer", ", ".join(name for name, _ in trailers)))
        pieces = (body[: len(body) // 2], body[len(body) // 2 :])
        return self.ask(head("POST", full_path, fields) + chunks(*pieces, trailers=trailers))


def as_seen_here(pid: int, neighbour: int) -> int:
    """Translate a process id from the process namespace that `neighbour`, an id of ours, is in."""
    namespace = Path(f"/proc/{neighbour}/ns/pid").readlink()
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            numbers = (each / "status").read_text().split("NSpid:")[1].split("\n")[0].split()
            if int(numbers[-1]) == pid and (each / "ns/pid").readlink() == namespace:
                return int(each.name)
    raise AssertionError(f"no process {pid} beside {neighbour}")


def _peer(control: socket.socket) -> int:
    """Return the id of the process at the other end, as it is known here: unix(7)."""
    size = struct.calcsize("3i")
    pid: int = struct.unpack("3i", control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[
        0
    ]
    return pid


class ScriptedRuntime:
    """One process of the function, and the test's connection to its Runtime API.

    `main` is that connection, opened when it is first used; `connect` opens further ones.
    """

    def __init__(self, control: socket.socket) -> None:
        self._stack = ExitStack()
        self._control = self._stack.enter_context(control)
        self._control.settimeout(LIMIT)
        self._file = self._stack.enter_context(control.makefile("rwb"))
        self.about = self._hear()
        self.pid = _peer(control)
        self.environment: dict[str, str] = self.about["environment"]
        self.api = self.environment["AWS_LAMBDA_RUNTIME_API"]
        self._main: RuntimeConnection | None = None

    def close(self) -> None:
        self._stack.close()

    # The Runtime API

    def connect(self) -> RuntimeConnection:
        """Open one more connection; it is closed with the runtime, if not before."""
        return self._stack.enter_context(RuntimeConnection(self.api))

    @property
    def main(self) -> RuntimeConnection:
        if self._main is None:
            self._main = self.connect()
        return self._main

    def next(self) -> Event:
        return self.main.next()

    def respond(self, request_id: str, body: bytes = b'"done"', headers: Headers = ()) -> Response:
        return self.main.respond(request_id, body, headers)

    def error(
        self,
        request_id: str,
        body: bytes = b'{"errorMessage":"no","errorType":"Failed"}',
        headers: Headers = (),
    ) -> Response:
        return self.main.error(request_id, body, headers)

    def park(self) -> None:
        """Ask for an invocation and see that the emulator has taken the question in."""
        self.main.send_next()
        self.settle()

    def settle(self) -> None:
        """Wait until the emulator has taken in all that was sent, and each connection's end.

        Its loop sees all that is there at once, in no order: one round trip may be served
        before what was sent earlier, but none after the first begins so. One more, for a
        connection that had to be accepted.
        """
        with RuntimeConnection(self.api) as connection:
            for _ in range(3):
                connection.ping()

    # Orders to the process

    def exit(self, code: int) -> None:
        self._order("exit", code=code)
        self.wait_for_end()

    def kill(self, number: int) -> None:
        """Let it die of a signal, sent by itself."""
        self._order("kill", number=number)
        self.wait_for_end()

    def print(self, data: bytes, *, stderr: bool = False) -> None:
        """Write bytes to its stdout; they are in the pipe when this returns."""
        self._write(2 if stderr else 1, data)

    def begin_printing(self, data: bytes) -> None:
        """Have it write, which may block it; `finish` waits until it is done."""
        self._order("write", descriptor=1, data=base64.b64encode(data).decode())

    def finish(self) -> None:
        self._hear()

    def telemetry(self, data: bytes) -> None:
        """Write bytes to the descriptor of _LAMBDA_TELEMETRY_LOG_FD."""
        self._write(int(self.environment["_LAMBDA_TELEMETRY_LOG_FD"]), data)

    def allocate(self, size: int) -> None:
        """Have `size` bytes more, and touch them."""
        self.begin_allocating(size)
        self.finish()

    def begin_allocating(self, size: int) -> None:
        """Have it take so much, which may be its end; `finish` waits until it has it."""
        self._order("allocate", size=size)

    def fork(self, *, orphan: bool = True) -> int:
        """Start a process in a session of its own that ignores SIGTERM; return its id."""
        self._order("fork", orphan=orphan)
        return as_seen_here(self._hear(), self.pid)

    def ignore(self, number: int) -> None:
        self._order("ignore", number=number)
        self._hear()

    def write_file(self, path: Path, text: str) -> None:
        self._order("write_file", path=str(path), text=text)
        self._hear()

    def read_file(self, path: Path) -> str | None:
        self._order("read_file", path=str(path))
        text: str | None = self._hear()
        return text

    def wait_for_end(self) -> None:
        """Wait until the process is over, whoever ended it."""
        try:
            rest = self._file.read()
        except ConnectionResetError:
            return
        assert rest == b"", rest

    def _write(self, descriptor: int, data: bytes) -> None:
        self._order("write", descriptor=descriptor, data=base64.b64encode(data).decode())
        self._hear()

    def _order(self, do: str, **arguments: object) -> None:
        self._file.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._file.flush()

    def _hear(self) -> Any:  # noqa: ANN401 - JSON, typed by who asks
        line = self._file.readline()
        assert line.endswith(b"\n"), "the runtime's process ended"
        return json.loads(line)


class Script:
    """The place that scripted runtimes connect back to."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        # A socket's path is short: pytest's own temporary folders are too deep for it.
        # Not below /tmp, of which a function has its own; a function may be another user.
        folder = tempfile.mkdtemp(prefix="rie-", dir="/var/tmp")
        Path(folder).chmod(0o711)
        self._stack.callback(shutil.rmtree, folder)
        path = f"{folder}/control"
        listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        Path(path).chmod(0o666)
        listener.listen()
        listener.settimeout(LIMIT)
        self._listener = listener
        self.command = (sys.executable, "-I", "-S", str(PROCESS), path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def runtime(self) -> ScriptedRuntime:
        """Wait for the next process that the emulator starts."""
        control, _ = self._listener.accept()
        runtime = ScriptedRuntime(control)
        self._stack.callback(runtime.close)
        return runtime

    def has_started_another(self) -> bool:
        """Whether a process is there that `runtime` has not returned yet."""
        self._listener.settimeout(0)
        try:
            control, _ = self._listener.accept()
        except BlockingIOError:
            return False
        finally:
            self._listener.settimeout(LIMIT)
        control.close()
        return True
