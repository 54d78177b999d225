"""One execution environment's log stream, and where its lines go.

LogStream renders platform events and the function's lines in one order, hands whole lines
to sinks and keeps the tail that a caller asked for. Sinks write: StreamSink to an open file
descriptor shared by all environments, FileSink to a file of one stream.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol, TypeAlias

from rie.core.errors import RieError
from rie.core.limits import LOG_TAIL
from rie.core.platform import InvocationEnd, PlatformEvent
from rie.telemetry.diary import get_diary
from rie.telemetry.patient_writer import FINISH_GRACE, patient_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date
    from pathlib import Path

    from rie.telemetry.lines import FunctionLine

# What a sink keeps before it writes without waiting any longer.
MOST_PENDING = 1024 * 1024

# How far behind a reader may be before lines are dropped, in bytes. Invocations go on while it
# does not read, so there has to be an end to what is kept for it.
MOST_BEHIND = 64 * 1024 * 1024

# Events whose lines are not made yet that a sink keeps; a few hundred bytes each.
MOST_EVENTS = 4096

# The tail is cut when it has grown to this, not with every line.
_TAIL_SLACK = 16 * LOG_TAIL


class LogDirUnusable(RieError):
    """--log-dir cannot be written to. One line for the user; `why` is its end."""

    def __init__(self, log_dir: Path, why: str) -> None:
        self.log_dir = log_dir
        self.why = why
        super().__init__(f"--log-dir {str(log_dir)!r} {why}")


Render: TypeAlias = "Callable[[PlatformEvent], bytes]"

# An event whose lines are not made yet, and what makes them.
Deferred: TypeAlias = "tuple[Render, PlatformEvent | InvocationEnd]"


class Renderer(Protocol):
    """One log format: text.TextRenderer or json_lines.JsonRenderer."""

    def render(self, event: PlatformEvent) -> bytes:
        """Return the event's lines, b"" for none."""

    def function(self, line: FunctionLine) -> bytes:
        """Return the function's own line, b"" for none."""


class Sink(Protocol):
    """Where lines go."""

    def write(self, lines: bytes) -> None:
        """Take whole lines; they may be written later, but in order and in one piece."""

    def defer(self, item: Deferred) -> None:
        """Take an event whose lines are made when they are written."""

    @property
    def congested(self) -> bool:
        """Whether its reader is far behind."""

    def flush(self) -> None:
        """Write what was taken."""

    def close(self) -> None:
        """Write what was taken and let go of what the sink opened itself."""


class LogStream:
    """The log stream of one execution environment; it outlives a reset of its processes."""

    def __init__(self, name: str, renderer: Renderer, sinks: Sequence[Sink]) -> None:
        self.name = name
        self._renderer = renderer
        self._render = renderer.render
        self._sinks = tuple(sinks)
        self._tail: bytearray | None = None

    def platform(self, event: PlatformEvent | InvocationEnd) -> None:
        """Log what the platform did.

        Nobody waits for its lines, but a runtime or a caller may wait for what comes next: so
        they are made later, unless a caller has asked for them.
        """
        if self._tail is not None:
            self._write(rendered(self._render, event))
            return
        item = (self._render, event)
        for sink in self._sinks:
            sink.defer(item)

    def function(self, line: FunctionLine) -> None:
        """Log what the function, an extension or a child of theirs printed."""
        self._write(self._renderer.function(line))

    @property
    def congested(self) -> bool:
        """Whether whoever reads the log is far behind; the function should wait then."""
        return any(sink.congested for sink in self._sinks)

    def begin_tail(self) -> None:
        """Keep the end of what is logged from now on."""
        self._tail = bytearray()

    def end_tail(self) -> bytes:
        """Return the last 4 KB of what was logged since `begin_tail`, and keep no more."""
        tail, self._tail = self._tail, None
        return bytes(tail[-LOG_TAIL:]) if tail else b""

    def flush(self) -> None:
        """Write everything now."""
        for sink in self._sinks:
            sink.flush()

    def close(self) -> None:
        """Write everything and close the stream's own sinks."""
        for sink in self._sinks:
            sink.close()

    def _write(self, lines: bytes) -> None:
        if not lines:
            return
        if self._tail is not None:
            self._tail += lines
            if len(self._tail) > _TAIL_SLACK:
                del self._tail[:-LOG_TAIL]
        for sink in self._sinks:
            sink.write(lines)


class StreamSink:
    """Writes to an open file descriptor, many lines at a time.

    `call_soon` runs a callable before long: some milliseconds later, so that writing is no
    part of an invocation's time, or at once where there is no loop yet. The descriptor stays
    the caller's. A reader that does not keep up (a pager, a stopped terminal) never stops the
    emulator: a thread waits for it, and `congested` says that no more should be brought. When
    nothing can be written any more (the reader went away, the disk is full), the diary says so
    once and lines are dropped: the function goes on.
    """

    def __init__(self, fd: int, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self._fd = fd
        self._call_soon = call_soon
        self._pending: list[bytes | Deferred] = []
        self._size = 0
        self._broken = False
        self._told = False
        self._writer = patient_writer(fd)

    @property
    def congested(self) -> bool:
        """Whether its reader is far behind."""
        return self._writer.behind > MOST_PENDING

    def write(self, lines: bytes) -> None:
        """Take whole lines."""
        self._pending.append(lines)
        self._size += len(lines)
        if len(self._pending) == 1:
            self._call_soon(self.flush)
        if self._size > MOST_PENDING:
            self.flush()

    def defer(self, item: Deferred) -> None:
        """Take an event whose lines are made when they are written."""
        pending = self._pending
        pending.append(item)
        if len(pending) == 1:
            self._call_soon(self.flush)
        elif len(pending) > MOST_EVENTS:
            self.flush()

    def flush(self) -> None:
        """Write what was taken, in one call where the descriptor takes it all at once."""
        self._notice_failure()
        if not self._pending:
            return
        pending = self._pending
        self._pending, self._size = [], 0
        if self._broken:
            return
        if self._writer.behind > MOST_BEHIND:
            self._tell_once("its reader is too far behind")
            return
        self._writer.write(b"".join(map(_lines_of, pending)))
        self._notice_failure()

    def finish(self) -> None:
        """Give a reader that is behind a last second; for when everything has ended."""
        self._writer.finish(FINISH_GRACE)
        self._notice_failure()

    def _notice_failure(self) -> None:
        failure = self._writer.failure
        if failure is not None and not self._broken:
            self._broken = True
            self._tell_once(failure.strerror or str(failure))

    def _tell_once(self, reason: str) -> None:
        if not self._told:
            self._told = True
            get_diary().warning("log lines are dropped from now on", fd=self._fd, reason=reason)

    def close(self) -> None:
        """Write what was taken. The descriptor stays open, it is shared."""
        self.flush()


class FileSink(StreamSink):
    """Appends to the file of one log stream under --log-dir."""

    def __init__(self, path: Path, call_soon: Callable[[Callable[[], None]], object]) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._own_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        super().__init__(self._own_fd, call_soon)

    def close(self) -> None:
        """Write what was taken and close the file."""
        super().close()
        if self._own_fd >= 0:
            os.close(self._own_fd)
            self._own_fd, self._broken = -1, True


def log_stream_name(day: date, version: str, unique: str) -> str:
    """Return AWS's form of a log stream's name; `unique` is 32 hexadecimal digits.

    `2026/11/20/[$LATEST]3893xmpl7fac4485b47bb75b671a283c` - developer guide, Context object.
    """
    return f"{day:%Y/%m/%d}/[{version}]{unique}"


def log_path(log_dir: Path, log_group: str, stream_name: str) -> Path:
    """Return the file of a log stream: its slashes are folders, as are the group's.

    Always inside `log_dir`, whatever the names are.
    """
    parts = [part for part in f"{log_group}/{stream_name}.log".split("/") if part]
    return log_dir.joinpath(*(_safe(part) for part in parts))


def check_log_dir(log_dir: Path) -> None:
    """Make the folder and see that a file can be made in it. Raises LogDirUnusable."""
    probe = log_dir / f".writable-{os.getpid()}"
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise LogDirUnusable(log_dir, f"cannot be written to: {reason}") from error


def _safe(part: str) -> str:
    if part in {".", ".."}:
        return part.replace(".", "_")
    return part.replace("\0", "_")


def rendered(render: Render, event: PlatformEvent | InvocationEnd) -> bytes:
    """Return the event's lines."""
    if isinstance(event, InvocationEnd):
        return b"".join([render(each) for each in event.told()])
    return render(event)


def _lines_of(item: bytes | Deferred) -> bytes:
    if isinstance(item, bytes):
        return item
    try:
        return rendered(*item)
    except Exception:  # noqa: BLE001 - a defect; it must not take the others' lines with it
        get_diary().exception("an event cannot be told: please report this with its traceback")
        return b""
