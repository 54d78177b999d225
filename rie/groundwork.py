"""What must be there before anything heavy is imported: listening sockets, the first runtime.

The emulator's own imports take longer than many a runtime's start. So the sockets are bound
and the first runtime is started by this module, which imports little, and the rest loads
while the runtime does. Nothing here runs on an event loop; emulator.py takes over from it.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from rie.bounds import bounds_of
from rie.core.arn import FunctionName
from rie.core.errors import RieError
from rie.core.function import FunctionConfiguration
from rie.deployment import deployed
from rie.http.listening import BACKLOG, listen
from rie.sandbox.machine import Machine, SandboxError
from rie.sandbox.sandbox import Sandbox
from rie.settings import Address, Settings, SettingsError
from rie.telemetry.about import About
from rie.telemetry.figures import epoch_offset
from rie.telemetry.stream import (
    FileSink,
    LogDirUnusable,
    LogStream,
    Renderer,
    Sink,
    StreamSink,
    check_log_dir,
    log_path,
    log_stream_name,
)
from rie.telemetry.text import TextRenderer
from rie.version import __version__
from rie.worker import variables
from rie.worker.entrypoint import LaunchError
from rie.worker.output import Output
from rie.worker.process import Launch, RuntimeProcess, start_process

RUNTIME_VERSION = f"rie:{__version__}"

_SWITCH_INTERVAL = 0.0002  # seconds

CallSoon = Callable[[Callable[[], None]], object]


class GroundworkError(RieError):
    """The system has no more of what an environment stands on; nobody's setting is wrong."""


class Start:
    """The start of a runtime, in a thread of its own.

    It waits for the kernel, and for a lock of it 8 ms and more where no process has entered a
    control group for a while. Meanwhile the rest of the emulator is imported: whoever imports
    gives way to it at once, not after the usual 5 ms, at each of a dozen steps.
    """

    def __init__(self, launch: Launch, output: Output) -> None:
        self._launch = launch
        self._output = output
        self._result: RuntimeProcess | LaunchError | None = None
        self._failure: BaseException | None = None
        self._patience = sys.getswitchinterval()  # of another start's, maybe, which puts it back
        if self._patience > _SWITCH_INTERVAL:
            sys.setswitchinterval(_SWITCH_INTERVAL)
        self._thread = threading.Thread(target=self._run, name="start")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._start()
        finally:
            if self._patience > _SWITCH_INTERVAL:
                sys.setswitchinterval(self._patience)

    def _start(self) -> None:
        output = self._output
        try:
            self._result = start_process(
                self._launch, output.child_output, (output.child_telemetry,)
            )
        except LaunchError as error:
            self._result = error
        except BaseException as error:  # noqa: BLE001 - a defect, for whoever asks for the result
            self._failure = error

    def result(self) -> RuntimeProcess | LaunchError | None:
        """Wait for it."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._result


@dataclass(slots=True)
class EnvironmentGround:
    """What one environment stands on."""

    listener: socket.socket
    sandbox: Sandbox
    launch: Launch
    output: Output
    log: LogStream
    _start: Start | None = None

    def start_runtime(self) -> None:
        """Start the runtime now, ahead of the event loop."""
        self._start = Start(self.launch, self.output)

    @property
    def runtime(self) -> RuntimeProcess | LaunchError | None:
        """What became of the start; None if there was none."""
        return self._start.result() if self._start is not None else None

    def abandon(self) -> None:
        """Undo all of it: the emulator will not begin."""
        runtime = self.runtime
        if runtime is not None and not isinstance(runtime, LaunchError):
            runtime.kill_now()
        self.listener.close()
        self.output.close()
        self.log.close()
        self.sandbox.close()


class Groundwork:
    """Lays the ground of environments, and holds what has been laid ahead."""

    def __init__(self, settings: Settings, function: FunctionConfiguration, log_to: int) -> None:
        self.settings = settings
        self.function = function
        self.call_soon: CallSoon = _at_once  # the loop's own, once there is a loop
        self.invoke_listener: socket.socket | None = None
        self.first: EnvironmentGround | None = None
        self._machine: Machine | None = None
        self._log = StreamSink(log_to, self._soon)

    def lay(self) -> None:
        """Bind the Invoke API's socket; start the first runtime unless init is lazy.

        Raises SettingsError or GroundworkError, and leaves nothing behind then.
        """
        settings = self.settings
        self._check_folders()
        self.invoke_listener = _listen("--listen", settings.listen)
        if settings.init == "lazy":
            return
        try:
            self.first = self.environment(settings.runtime_api)
        except RieError:
            self.invoke_listener.close()
            self._close_machine()
            raise
        self.first.start_runtime()

    def environment(self, address: Address | None) -> EnvironmentGround:
        """Lay the ground of one environment. `address` is its Runtime API's, or any free one.

        Raises SettingsError for an address that cannot be had, GroundworkError, and leaves nothing
        behind then.
        """
        with ExitStack() as undoing:
            sandbox = self._sandbox()
            undoing.callback(sandbox.close)
            listener = _listener(sandbox, address)
            undoing.callback(listener.close)
            try:
                log = self._log_stream()
                undoing.callback(log.close)
                output = Output(log.function, lambda: log.congested)
            except OSError as error:
                why = f"an environment's output and log cannot be set up: {_reason(error)}"
                raise GroundworkError(why) from error
            undoing.pop_all()
        launch = self._launch(sandbox, _reachable(listener), log.name, output.child_telemetry)
        return EnvironmentGround(listener, sandbox, launch, output, log)

    @property
    def machine(self) -> Machine:
        """What this machine can do for environments. Raises GroundworkError."""
        if self._machine is None:
            try:
                self._machine = Machine(bounds_of(self.settings))
            except SandboxError as error:
                raise GroundworkError(str(error)) from error
        return self._machine

    def _sandbox(self) -> Sandbox:
        try:
            return self.machine.open()
        except SandboxError as error:
            raise GroundworkError(str(error)) from error
        except OSError as error:
            why = f"an environment's bounds cannot be set up: {_reason(error)}"
            raise GroundworkError(why) from error

    def finish(self) -> None:
        """Give the log's reader a last moment, when everything has ended."""
        self._log.flush()
        self._log.finish()
        self._close_machine()

    def _close_machine(self) -> None:
        machine, self._machine = self._machine, None
        if machine is not None:
            machine.close()

    def abandon(self) -> None:
        """Undo what was laid ahead and not taken over."""
        if self.invoke_listener is not None:
            self.invoke_listener.close()
        if self.first is not None:
            self.first.abandon()

    def close(self) -> None:
        """Undo all that is still there, when no environment is."""
        self.abandon()
        self._close_machine()

    def _log_stream(self) -> LogStream:
        settings = self.settings
        name = log_stream_name(
            datetime.now(UTC).date(), self.function.version, os.urandom(16).hex()
        )
        sinks: list[Sink] = [self._log]
        if settings.log_dir is not None:
            path = log_path(settings.log_dir, settings.log_group, name)
            sinks.append(FileSink(path, self._soon))
        about = About(
            function_name=self.function.name.name,
            function_arn=self.function.name.arn(),
            function_version=self.function.version,
            log_stream=name,
            memory_size=self.function.memory_size,
            runtime_version=RUNTIME_VERSION,
        )
        return LogStream(name, _renderer(settings, about), sinks)

    def _launch(
        self, sandbox: Sandbox, runtime_api: str, log_stream: str, telemetry: int
    ) -> Launch:
        settings = self.settings
        environment = variables.runtime_environment(
            self.function,
            sandbox.variables(settings.environment, inherited=settings.drop_in),
            runtime_api=runtime_api,
            task_root=sandbox.inside(settings.task_root),
            log_group=settings.log_group,
            log_stream=log_stream,
            log_format=settings.log_format,
            log_level=settings.application_log_level,
            telemetry_log=telemetry,
        )
        return Launch(
            command=settings.command,
            environment=environment,
            sandbox=sandbox,
            folder=settings.working_directory or settings.task_root,
            search_path=os.environ.get("PATH"),
            # Random, as an address is not: a user's shell may have exported that.
            marker=f"AWS_LAMBDA_LOG_STREAM_NAME={log_stream}".encode(),
        )

    def _soon(self, callback: Callable[[], None]) -> None:
        self.call_soon(callback)  # looked up late: there is no loop yet when sinks are made

    def _check_folders(self) -> None:
        if self.settings.log_dir is None:
            return
        try:
            check_log_dir(self.settings.log_dir)
        except LogDirUnusable as error:
            raise SettingsError("--log-dir", str(error.log_dir), error.why) from error


def function_of(settings: Settings) -> FunctionConfiguration:
    """Read off the settings what the core needs to know."""
    return FunctionConfiguration(
        name=FunctionName(settings.function_name, settings.region, settings.account_id),
        version=settings.function_version,
        handler=settings.handler or "",
        timeout=settings.timeout,
        memory_size=settings.memory_size,
        init_timeout=settings.init_timeout,
    )


def lay_groundwork(settings: Settings, log_to: int = 1) -> Groundwork:
    """Bind and start what comes first. The log goes to the file descriptor `log_to`.

    Raises SettingsError, GroundworkError, and BuildError for archives that cannot be unpacked.
    """
    settings = deployed(settings)
    ground = Groundwork(settings, function_of(settings), log_to)
    ground.lay()
    return ground


def _renderer(settings: Settings, about: About) -> Renderer:
    if settings.log_format == "Text":
        return TextRenderer(about, epoch_offset=epoch_offset)
    from rie.telemetry.json_lines import JsonRenderer  # noqa: PLC0415 - brings orjson: 14 ms

    return JsonRenderer(
        about,
        epoch_offset=epoch_offset,
        system_level=settings.system_log_level,
        application_level=settings.application_log_level,
    )


def _listener(sandbox: Sandbox, address: Address | None) -> socket.socket:
    """Take the sandbox's own, inside an isolated network, or open one."""
    if sandbox.listener is not None:
        listener, sandbox.listener = sandbox.listener, None
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return listener
    return _listen("--runtime-api", address) if address else _listen_anywhere()


def _listen(option: str, address: Address) -> socket.socket:
    host, port = address
    try:
        return listen(host, port)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = f"{_reason(error)}; choose another with {option}" if in_use else _reason(error)
        failure: Exception = error
    except UnicodeError as error:  # from the encoding of international names
        why, failure = "it is no host name", error
    raise SettingsError(option, f"{host}:{port}", f"cannot be listened on: {why}") from failure


def _listen_anywhere() -> socket.socket:
    try:
        return listen("127.0.0.1", 0)
    except OSError as error:
        why = f"no port or descriptor is left for the Runtime API: {_reason(error)}"
        raise GroundworkError(why) from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _reachable(listener: socket.socket) -> str:
    """Say host:port as the runtime can reach it; a wildcard address is no destination."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _at_once(callback: Callable[[], None]) -> None:
    callback()
