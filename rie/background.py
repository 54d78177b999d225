"""An emulator in a thread of its own, for code that has no event loop: tests above all.

with running_function("app.handler", task_root="src") as function:
    function.invoke({"name": "you"}).json()
    boto3.client("lambda", endpoint_url=function.invoke_api, ...)
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rie.core.invocation import InvocationType
from rie.emulator import Emulator, InvokeResult
from rie.settings import Settings


class BackgroundFunction:
    """A function that runs; its methods may be called from any thread."""

    def __init__(self, emulator: Emulator, loop: asyncio.AbstractEventLoop) -> None:
        self._emulator = emulator
        self._loop = loop
        self.invoke_api = emulator.invoke_api  # boto3's endpoint_url
        self.name = emulator.settings.function_name

    def invoke(  # noqa: PLR0913 - the parameters of AWS's Invoke
        self,
        payload: object = None,
        *,
        invocation_type: InvocationType = "RequestResponse",
        qualifier: str | None = None,
        client_context: object = None,
        trace_header: str | None = None,
        timeout: float | None = None,
    ) -> InvokeResult:
        """Invoke the function and wait; the result has the end of its log.

        `timeout` bounds the waiting in seconds (TimeoutError), not the function. See
        Emulator.invoke for the rest. Raises RuntimeError once the function's context was left.
        """
        if self._loop.is_closed():
            raise RuntimeError(f"{self.name} is not running any more: its context was left")
        call = self._emulator.invoke(
            payload,
            invocation_type=invocation_type,
            qualifier=qualifier,
            client_context=client_context,
            trace_header=trace_header,
            tail=invocation_type == "RequestResponse",
        )
        result = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return result.result(timeout)
        finally:
            result.cancel()  # has no effect on one that has come


@contextmanager
def running_function(
    handler: str | None = None,
    /,
    **settings: Any,  # noqa: ANN401 - fields of Settings
) -> Iterator[BackgroundFunction]:
    """Run a function until the context is left. Raises SettingsError.

    `handler` is run by our bootstrap on this interpreter; give `command` for another runtime.
    The Invoke API gets a port from the kernel unless `listen` says otherwise.
    """
    wanted = _settings(handler, settings)
    started: Future[BackgroundFunction] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(target=_live, args=(wanted, started, stop), name="rie", daemon=True)
    thread.start()
    try:
        yield started.result()
    finally:
        stop.set_result(None)
        thread.join()


def _live(settings: Settings, started: Future[BackgroundFunction], stop: Future[None]) -> None:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(settings, started, stop))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - where there is none, asyncio's will do
    except ImportError:
        return asyncio.new_event_loop
    return new_event_loop


async def _run(settings: Settings, started: Future[BackgroundFunction], stop: Future[None]) -> None:
    try:
        async with Emulator(settings) as emulator:
            started.set_result(BackgroundFunction(emulator, asyncio.get_running_loop()))
            await asyncio.wrap_future(stop)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


def _settings(handler: str | None, fields: dict[str, Any]) -> Settings:
    fields.setdefault("listen", ("127.0.0.1", 0))
    if handler is not None:
        fields.setdefault("handler", handler)
        fields.setdefault("command", (sys.executable, "-P", "-m", "bootstrap", handler))
    fields.setdefault("task_root", ".")
    fields["layers"] = tuple(Path(each).absolute() for each in fields.get("layers", ()))
    for name in _PATHS:
        if fields.get(name) is not None:
            fields[name] = Path(fields[name]).absolute()
    return Settings(**fields)


_PATHS = ("task_root", "code", "working_directory", "ready_file", "log_dir")  # may be given as str
