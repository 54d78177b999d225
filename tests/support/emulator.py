"""A running emulator, its log and its callers.

The emulator runs on an event loop in a thread of its own, as a library; tests block, as
boto3 does. Ports come from the kernel. `scripted_function` is the usual way in:

    with scripted_function(timeout=3) as function:
        runtime = function.runtime()
        call = function.call(b'{"name": "you"}')
        event = runtime.next()
        runtime.respond(event.request_id, b'"hello"')
        assert call.read_response().body == b'"hello"'
"""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import cache, cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

import boto3
from anyio.from_thread import start_blocking_portal
from botocore.config import Config

from rie.emulator import Emulator
from rie.settings import Settings
from rie.telemetry.diary import get_diary
from tests.support.raw_http import LIMIT, Connection, Headers, Response, request
from tests.support.scripted_runtime import Script, ScriptedRuntime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from anyio.from_thread import BlockingPortal
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import InvocationResponseTypeDef

FUNCTION = "my-function"


class InvokeParameters(TypedDict, total=False):
    """The parameters of boto3's invoke; the function is FUNCTION where it is not said."""

    FunctionName: str
    InvocationType: Literal["RequestResponse", "Event", "DryRun"]
    LogType: Literal["None", "Tail"]
    ClientContext: str
    Payload: bytes
    Qualifier: str
    TenantId: str


class LogReader:
    """Reads a pipe as lines come, in a thread of its own, until its other end is closed."""

    def __init__(self, descriptor: int) -> None:
        self._lines: list[str] = []
        self._read = 0  # how many lines `wait_for` has gone over
        self._changed = threading.Condition()
        self._ended = False
        # A log that does not end fails its test, and must not keep this process from ending.
        self._thread = threading.Thread(target=self._follow, args=(descriptor,), daemon=True)
        self._thread.start()

    @property
    def lines(self) -> list[str]:
        """The lines so far, without their newlines."""
        with self._changed:
            return list(self._lines)

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until `count` lines hold `text`; return the last of them."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: len(self._with(text)) >= count or self._ended, LIMIT
            )
            lines = self._with(text)
            assert found, f"no {text!r} came in {LIMIT} s; the log: {self._lines}"
            assert len(lines) >= count, f"the log ended without {text!r}: {self._lines}"
            return lines[count - 1]

    def all(self) -> list[str]:
        """Wait for the end of the log; return all its lines."""
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "the log has not ended"
        return self.lines

    def _with(self, text: str) -> list[str]:
        return [line for line in self._lines if text in line]

    def _follow(self, descriptor: int) -> None:
        with open(descriptor, encoding="utf-8", errors="replace", newline="\n") as file:
            for line in file:
                with self._changed:
                    self._lines.append(line.removesuffix("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class RunningEmulator:
    """An emulator in its thread, and its log."""

    def __init__(
        self, emulator: Emulator, portal: BlockingPortal, log: LogReader, diary: StringIO
    ) -> None:
        self.emulator = emulator
        self.url = emulator.invoke_api
        self.log = log
        self.has_defect = False  # a test that puts one in says so
        self._portal = portal
        self._diary = diary

    @property
    def diary(self) -> list[dict[str, object]]:
        """What the emulator has told of itself so far."""
        return [json.loads(line) for line in self._diary.getvalue().splitlines()]

    def run(self, function: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - as the function's
        """Run a coroutine function on the emulator's loop and wait for its result."""
        return self._portal.call(function)

    def begin(self, function: Callable[[], Awaitable[Any]]) -> Future[Any]:
        """Begin to run a coroutine function on the emulator's loop."""
        return self._portal.start_task_soon(function)


@contextmanager
def running_emulator(**settings: Any) -> Iterator[RunningEmulator]:  # noqa: ANN401 - as Settings
    """Run an emulator with these fields of Settings, on a port from the kernel.

    On the way out it is ended; its log can still be read then. Its diary must not have told of
    a defect.
    """
    chosen = Settings(**{"listen": ("127.0.0.1", 0), "function_name": FUNCTION} | settings)
    read_end, write_end = os.pipe()
    log = LogReader(read_end)
    diary = StringIO()
    get_diary().configure(chosen.log_level, "json", diary)
    try:
        with start_blocking_portal("asyncio", {"use_uvloop": True}) as portal:
            emulator = Emulator(chosen, log_to=write_end)
            with portal.wrap_async_context_manager(emulator):
                running = RunningEmulator(emulator, portal, log, diary)
                yield running
    finally:
        get_diary().configure()
        os.close(write_end)
        log.all()
    assert ("please report" in diary.getvalue()) is running.has_defect, diary.getvalue()


class ScriptedFunction:
    """A function whose runtimes are scripted, and its callers."""

    def __init__(
        self,
        emulator: RunningEmulator,
        script: Script,
        stack: ExitStack,
        end: Callable[[], None],
    ) -> None:
        self.running = emulator
        self.end = end  # ends the emulator, and leaves connections and runtimes to look at
        self.url = emulator.url
        self.log = emulator.log
        self.script = script
        self._stack = stack
        self._pool: ThreadPoolExecutor | None = None

    def runtime(self) -> ScriptedRuntime:
        """Wait for the next process of the function."""
        return self.script.runtime()

    def connect(self) -> Connection:
        """Open a connection to the Invoke API."""
        return self._stack.enter_context(Connection(self.url.removeprefix("http://")))

    def call(
        self, payload: bytes = b"{}", headers: Headers = (), name: str = FUNCTION
    ) -> Connection:
        """Call the function; `read_response` of what is returned waits for the answer."""
        connection = self.connect()
        path = f"/2015-03-31/functions/{name}/invocations"
        connection.send(request("POST", path, payload, headers))
        return connection

    def settle(self) -> None:
        """Wait until the emulator has taken in all calls, and each hang-up."""
        with Connection(self.url.removeprefix("http://")) as connection:
            for _ in range(3):
                assert connection.ask(request("GET", "/ping")).body == b"pong"

    def begin(self, **parameters: Unpack[InvokeParameters]) -> Future[InvocationResponseTypeDef]:
        """Call the function with boto3, in a thread."""
        chosen: Any = {"FunctionName": FUNCTION, **parameters}
        return self._threads().submit(self.client.invoke, **chosen)

    def invoke(self, **parameters: Unpack[InvokeParameters]) -> InvocationResponseTypeDef:
        """Call the function with boto3 and wait: for what needs no runtime."""
        return self.begin(**parameters).result(LIMIT)

    @cached_property
    def client(self) -> LambdaClient:
        return self._stack.enter_context(closing(boto3_client(self.url)))

    def serve(self, runtime: ScriptedRuntime, body: bytes = b'"done"') -> Response:
        """Take the next invocation and answer it; return what the Runtime API says to that."""
        return runtime.respond(runtime.next().request_id, body)

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = self._stack.enter_context(ThreadPoolExecutor())
        return self._pool


@contextmanager
def scripted_function(**settings: Any) -> Iterator[ScriptedFunction]:  # noqa: ANN401 - as Settings
    """Run an emulator, the function's command being a scripted runtime's."""
    with Script() as script, ExitStack() as stack, ExitStack() as life:
        emulator = life.enter_context(running_emulator(**{"command": script.command} | settings))
        yield ScriptedFunction(emulator, script, stack, life.close)


@cache
def _session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - of no account
        region_name="us-east-1",
    )


def boto3_client(url: str) -> LambdaClient:
    """Make a client without retries: one call is one request."""
    return _session().client(
        "lambda",
        endpoint_url=url,
        config=Config(
            retries={"total_max_attempts": 1}, read_timeout=LIMIT, max_pool_connections=50
        ),
    )


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {b"Z", b"X"}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again: for what tells nobody that it has happened."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, f"waited in vain for {what}"
        time.sleep(0.002)
