r"""Platform events as the plain lines of AWS's default log format.

Pure. `render` gives whole lines as bytes, or nothing for what AWS tells in JSON only.
Sources: lines recorded from CloudWatch (tests/telemetry/test_text.py names each); a REPORT
ends in `\t\n`, but in `\n` alone where a status follows. The function's own lines are
passed on as they are: levels filter in JSON only, as on AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rie.core.invocation import timeout_message
from rie.core.platform import (
    Fault,
    InitReport,
    InitRuntimeDone,
    InitStart,
    PlatformEvent,
    Report,
    RuntimeDone,
    Start,
    Status,
    TimedOut,
    Tracing,
)
from rie.telemetry.figures import billed_milliseconds, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from rie.telemetry.about import About
    from rie.telemetry.lines import FunctionLine


class TextRenderer:
    """AWS's plain-text log format.

    `epoch_offset` says what is to be added to an event's `at` to make it seconds since the
    epoch; it is asked each time, because it changes when the machine sleeps or its clock is set.
    """

    def __init__(self, about: About, *, epoch_offset: Callable[[], float]) -> None:
        self._epoch_offset = epoch_offset
        line = f"INIT_START Runtime Version: {about.runtime_version}"
        if about.runtime_version_arn is not None:
            line += f"\tRuntime Version ARN: {about.runtime_version_arn}"
        self._init_start = f"{line}\n".encode()

    def render(self, event: PlatformEvent) -> bytes:  # noqa: PLR0911 - one for each event
        """Return the event's lines, b"" when the text log does not tell it."""
        match event:  # the two of every invocation first
            case Start(request_id=request_id, version=version):
                return f"START RequestId: {request_id} Version: {version}\n".encode()
            case Report():
                return _report(event)
            case RuntimeDone() | InitRuntimeDone():
                return b""
            case TimedOut(at=at, request_id=request_id, timeout=timeout):
                when = timestamp(at + self._epoch_offset())
                return f"{when} {request_id} {timeout_message(timeout)}\n\n".encode()
            case Fault():
                return f"{fault_text(event)}\n".encode()
            case InitStart(phase=phase):
                # Recorded: an init inside an invocation has no INIT_START of its own.
                return self._init_start if phase == "init" else b""
            case InitReport():
                return _init_report(event)

    def function(self, line: FunctionLine) -> bytes:
        """Return the function's own line."""
        return line.text + b"\n"


def fault_text(event: Fault) -> str:
    """Return what is said of a runtime that ended, without the last newline."""
    return f"RequestId: {event.request_id} Error: {event.message}\n{event.error_type}"


def _report(event: Report) -> bytes:
    duration, init_duration = event.duration, event.init_duration
    head = (
        f"END RequestId: {event.request_id}\n"
        f"REPORT RequestId: {event.request_id}\tDuration: {duration * 1000:.2f} ms\t"
        f"Billed Duration: {billed_milliseconds(duration, init_duration)} ms\t"
        f"Memory Size: {event.memory_size} MB\tMax Memory Used: {event.max_memory_used} MB\t"
    )
    if init_duration is not None:
        head += f"Init Duration: {init_duration * 1000:.2f} ms\t"
    if event.status != "success":
        head += _status(event.status, event.error_type)
    if event.tracing is not None and event.tracing.sampled:
        return f"{head}\n{_xray(event.tracing)}".encode()
    return f"{head}\n".encode()


def _init_report(event: InitReport) -> bytes:
    if event.status == "success":
        return b""
    return (
        f"INIT_REPORT Init Duration: {event.duration * 1000:.2f} ms\tPhase: {event.phase}\t"
        f"{_status(event.status, event.error_type)}\n"
    ).encode()


def _status(status: Status, error_type: str | None) -> str:
    # Recorded: a timeout has no error type.
    if error_type is None or status == "timeout":
        return f"Status: {status}"
    return f"Status: {status}\tError Type: {error_type}"


def _xray(tracing: Tracing) -> str:
    """Return the XRAY line. The segment is the one that the function was given as parent."""
    fields = dict(part.strip().partition("=")[::2] for part in tracing.value.split(";"))
    segment = f"SegmentId: {fields['Parent']}\t" if "Parent" in fields else ""
    return f"XRAY TraceId: {fields.get('Root', '')}\t{segment}Sampled: true\t\n"
