"""The composition root: builds, wires, runs and stops an emulator. Nothing else does.

    async with Emulator(Settings(command=("python", "-m", "bootstrap", "app.handler"))) as emulator:
        result = await emulator.invoke({"name": "you"})

Groundwork (sockets, the first runtime) may have been laid before this module was imported.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from rie.apis.invoke import invoke_api
from rie.apis.runtime import runtime_api
from rie.core.arn import FunctionReference
from rie.core.assignment import Assignment
from rie.core.errors import InvalidParameterValueException
from rie.core.invocation import Failure, Invocation, InvocationType, Outcome, Payload, Refused
from rie.groundwork import EnvironmentGround, Groundwork, lay_groundwork
from rie.http.buffers import BufferPool
from rie.http.exchange import Exchange
from rie.http.server import Server
from rie.invoker import Invoker, new_ids, tracing
from rie.sandbox.facts import facts, lacking
from rie.settings import Address, Settings, SettingsError
from rie.telemetry.diary import get_diary
from rie.worker.driver import EnvironmentDriver, Owner
from rie.worker.fleet import Fleet, Work
from rie.worker.variables import reserved_in

# How long answers that are due may take to leave when everything is being ended, in seconds.
FLUSH_GRACE = 1.0

# For how long lines of the log are gathered before they are written, in seconds.
LOG_DELAY = 0.001


@dataclass(frozen=True, slots=True)
class InvokeResult:
    """What came of an invocation. `log` is the last 4 KB of its log where asked for.

    `function_error` is None, or "Unhandled" as in boto3's FunctionError.
    """

    request_id: str
    payload: bytes
    function_error: str | None = None
    log: str | None = None
    executed_version: str = "$LATEST"

    def json(self) -> object:
        """Parse the payload."""
        return orjson.loads(self.payload)


class Emulator:
    """One function on this machine, from entering the context until it is left.

    Raises SettingsError on entry for a port in use or a folder that cannot be written to.
    All methods belong to the event loop that it was entered on.
    """

    def __init__(
        self, settings: Settings, *, groundwork: Groundwork | None = None, log_to: int = 1
    ) -> None:
        self.settings = settings
        self._ground = groundwork
        self._log_to = log_to
        self._tasks = asyncio.TaskGroup()
        self._pool = BufferPool()  # one for all: what one listener gives back another can take
        self._fixed_address_taken = False
        self._loop: asyncio.AbstractEventLoop
        self._fleet: Fleet
        self._invoker: Invoker
        self._server: Server

    async def __aenter__(self) -> Self:
        ground = self._ground or lay_groundwork(self.settings, self._log_to)
        self._ground = ground
        self._loop = asyncio.get_running_loop()
        ground.call_soon = partial(self._loop.call_later, LOG_DELAY)
        await self._tasks.__aenter__()
        try:
            await self._begin(ground)
        except BaseException:
            ground.abandon()
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    @property
    def invoke_api(self) -> str:
        """The Invoke API's URL: boto3's endpoint_url."""
        host, port = self._server.address
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def invoke(  # noqa: PLR0913 - the parameters of AWS's Invoke
        self,
        payload: object = None,
        *,
        invocation_type: InvocationType = "RequestResponse",
        qualifier: str | None = None,
        client_context: object = None,
        trace_header: str | None = None,
        tail: bool = False,
    ) -> InvokeResult:
        """Invoke the function and wait for what comes of it.

        `payload` is sent as it is when it is bytes, else as JSON; None is `{}`. Raises
        ServiceError for what the service refuses (throttling, an unknown qualifier).
        """
        reference = FunctionReference(self.settings.function_name, qualifier=qualifier)
        target = self._invoker.resolve(reference)
        ids = new_ids()
        invocation = Invocation(
            request_id=ids.request_id,
            invocation_id=ids.invocation_id,
            payload=_encoded(payload),
            arn=target.arn,
            version=target.version,
            tracing=tracing(_header(trace_header), ids),
            client_context=orjson.dumps(client_context) if client_context is not None else None,
            type=invocation_type,
            log_tail=tail,
        )
        if invocation_type == "DryRun":
            return InvokeResult(invocation.request_id, b"")
        if invocation_type == "Event":
            self._invoker.run(invocation, _nobody)
            return InvokeResult(invocation.request_id, b"")
        answer: asyncio.Future[InvokeResult] = self._loop.create_future()
        self._invoker.run(invocation, _resolving(answer, invocation))
        return await answer

    def kill_now(self) -> None:
        """Kill every process of every environment without waiting."""
        for driver in self._fleet.environments:
            driver.kill_now()

    # Ending

    async def _end(self) -> None:
        """End all that was begun, also when this is cancelled: no process may stay behind."""
        ending = self._loop.create_task(self._end_each())
        cancelled: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        ending.result()

    async def _end_each(self) -> None:
        """End each part, whatever becomes of the others."""
        async with AsyncExitStack() as stack:
            stack.callback(self._groundwork.finish)
            stack.push_async_callback(self._tasks.__aexit__, None, None, None)
            stack.push_async_callback(self._server.close, FLUSH_GRACE)
            stack.push_async_callback(self._fleet.close)

    # Building

    async def _begin(self, ground: Groundwork) -> None:
        settings = self.settings
        assignment = Assignment[EnvironmentDriver, Work](
            environments=settings.environments,
            on_busy=settings.on_busy,
            idle_timeout=settings.idle_timeout,
            max_lifetime=settings.max_lifetime,
        )
        self._fleet = Fleet(assignment, self._open_environment, self._loop)
        self._invoker = Invoker(ground.function, self._fleet)
        self._server = Server(invoke_api(self._invoker), on_error=_on_error, pool=self._pool)
        if settings.init == "eager":
            self._fleet.start_one()
        listener, ground.invoke_listener = ground.invoke_listener, None
        if listener is None:
            raise AssertionError("groundwork without a listener")
        await self._server.start(listener)
        self._tell_where()

    def _open_environment(self, owner: Owner) -> EnvironmentDriver:
        """Build one environment: its Runtime API, and what drives it."""
        ground, address = self._take_ground()
        server: Server
        serving: asyncio.Task[None]

        async def close() -> None:
            await serving  # an environment may end in the turn of the loop that it began in
            await server.close()
            if address is not None:  # not before: the next one would find it in use
                self._fixed_address_taken = False

        def closed() -> None:
            self._spawn(close())

        driver = EnvironmentDriver(
            self._groundwork.function,
            ground.launch,
            ground.output,
            ground.log,
            owner,
            loop=self._loop,
            spawn=self._spawn,
            freezes=self.settings.freeze,
            prepared=ground.runtime,
            closed=closed,
        )
        api = runtime_api(driver, forward_content_type=self.settings.forward_content_type)
        server = Server(api, on_error=_on_error, pool=self._pool)
        serving = self._spawn(server.start(ground.listener))
        return driver

    def _take_ground(self) -> tuple[EnvironmentGround, Address | None]:
        """Take the environment that was laid ahead, or lay another.

        The address that the user fixed goes to one environment at a time.
        """
        address = None if self._fixed_address_taken else self.settings.runtime_api
        self._fixed_address_taken = self._fixed_address_taken or address is not None
        first, self._groundwork.first = self._groundwork.first, None
        return first or self._groundwork.environment(address), address

    @property
    def _groundwork(self) -> Groundwork:
        if self._ground is None:
            raise AssertionError("not entered")
        return self._ground

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(_guarded(work))

    def _tell_where(self) -> None:
        settings, diary = self.settings, get_diary()
        if settings.ready_file is not None:
            _write_whole(settings.ready_file, {"invoke_api": self.invoke_api, "pid": os.getpid()})
        for name in reserved_in(settings.environment) if not settings.drop_in else ():
            diary.warning("a reserved variable is not passed to the function", variable=name)
        for notice in self._groundwork.settings.notices:
            diary.warning(notice)
        self._tell_bounds()
        diary.info("listening", invoke_api=self.invoke_api, function=settings.function_name)

    def _tell_bounds(self) -> None:
        """Say once what this machine does not enforce, and how it does the rest."""
        machine = self._groundwork.machine
        missing = lacking(machine)
        if missing:
            get_diary().warning("not enforced on this machine; see rie doctor", **missing)
        get_diary().debug("bounds", **{each.feature: each.mechanism for each in facts(machine)})


def _nobody(outcome: Outcome, tail: bytes | None) -> None:
    """Hear the outcome of an invocation that nobody waits for."""


def _resolving(
    answer: asyncio.Future[InvokeResult], invocation: Invocation
) -> Callable[[Outcome, bytes | None], None]:
    def reply(outcome: Outcome, tail: bytes | None) -> None:
        if answer.done():  # whoever waited has given up
            return
        if isinstance(outcome, Refused):
            answer.set_exception(outcome.error)
            return
        failed = isinstance(outcome, Failure)
        answer.set_result(
            InvokeResult(
                invocation.request_id,
                bytes(outcome.payload),
                "Unhandled" if failed else None,
                tail.decode("utf-8", "replace") if tail is not None else None,
                invocation.version,
            )
        )

    return reply


async def _guarded(work: Coroutine[object, object, None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - a defect of ours must not end the emulator
        get_diary().exception("a task failed: please report this with its traceback")


def _on_error(exchange: Exchange | None, error: BaseException) -> None:
    get_diary().error(
        "a request failed: please report this with its traceback",
        request=repr(exchange),
        exc_info=error,
    )


def _header(value: str | None) -> bytes | None:
    """Encode what is to be a header's value; InvalidParameterValueException when it cannot be."""
    if value is not None and not value.isprintable():
        raise InvalidParameterValueException(f"{value!r} is no header's value")
    return value.encode() if value else None


def _encoded(payload: object) -> Payload:
    match payload:
        case bytes() | memoryview():
            return payload
        case None:
            return b"{}"
        case _:
            return orjson.dumps(payload)


def _write_whole(path: Path, document: dict[str, object]) -> None:
    """Write a file so that no reader sees half of it. Raises SettingsError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(document) + "\n")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        reason = error.strerror or str(error)
        raise SettingsError("--ready-file", str(path), f"cannot be written: {reason}") from error
