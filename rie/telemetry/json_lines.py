"""Platform events as AWS's JSON log format, and the levels that filter it.

Pure. One object a line: `{"time":...,"type":"platform.report","record":{...}}`. Sources:
record fields from the Telemetry API's event schema reference, their order from lines
recorded in CloudWatch (tests/telemetry/test_json_lines.py names them); levels from the
developer guide, "Log-level filtering", "System log level event mapping".

A timeout and a fault are not in that mapping. The timeout has no line of its own here, as
the report says it; a fault is told as Logs API's platform.fault, at level WARN, because
nothing else says how the runtime ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from rie.core.platform import (
    Fault,
    InitPhase,
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
from rie.telemetry.figures import billed_milliseconds, milliseconds, timestamp
from rie.telemetry.lines import LEVELS
from rie.telemetry.text import fault_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from rie.telemetry.about import About
    from rie.telemetry.lines import FunctionLine, Level, SystemLevel

Record = dict[str, object]

INITIALIZATION_TYPE = "on-demand"

# "level" as Python's own logging writes it, for clients that print JSON without a frame.
_LEVELS = LEVELS | {"WARNING": LEVELS["WARN"], "CRITICAL": LEVELS["FATAL"]}

# "If the "level" value field is invalid or missing, Lambda will assign the log output the
# level INFO" - developer guide, Log-level filtering.
_UNSAID = LEVELS["INFO"]


class JsonRenderer:
    """AWS's JSON log format.

    `epoch_offset` says what is to be added to an event's `at` to make it seconds since the
    epoch; it is asked each time, because it changes when the machine sleeps or its clock is set.
    System and function lines below their level are left out.
    """

    def __init__(
        self,
        about: About,
        *,
        epoch_offset: Callable[[], float],
        system_level: SystemLevel = "INFO",
        application_level: Level = "INFO",
    ) -> None:
        self._about = about
        self._epoch_offset = epoch_offset
        self._system_level = LEVELS[system_level]
        self._application_level = LEVELS[application_level]

    def render(self, event: PlatformEvent) -> bytes:
        """Return the event's line, b"" when its level is filtered or JSON does not tell it."""
        if _level(event) < self._system_level:
            return b""
        kind, record = self._record(event)
        if not kind:
            return b""
        when = timestamp(event.at + self._epoch_offset())
        return orjson.dumps({"time": when, "type": f"platform.{kind}", "record": record}) + b"\n"

    def function(self, line: FunctionLine) -> bytes:
        """Return the function's own line, b"" when its level is filtered.

        What is no JSON object is passed on as it is: recorded from a function set to JSON.
        """
        if self._application_level > 1 and self._function_level(line) < self._application_level:
            return b""
        return line.text + b"\n"

    def _function_level(self, line: FunctionLine) -> int:
        if line.level is not None:
            return LEVELS[line.level]
        if not line.text.lstrip().startswith(b"{"):
            return LEVELS["FATAL"]
        try:
            document: object = orjson.loads(line.text)
        except orjson.JSONDecodeError:
            return LEVELS["FATAL"]
        level = document.get("level") if isinstance(document, dict) else None
        return _LEVELS.get(level.upper(), _UNSAID) if isinstance(level, str) else _UNSAID

    def _record(  # noqa: PLR0911 - one for each event
        self, event: PlatformEvent
    ) -> tuple[str, Record | str]:
        match event:
            case Start(request_id=request_id, version=version, tracing=tracing):
                arn = self._about.function_arn
                record: Record = {"requestId": request_id, "functionArn": arn, "version": version}
                return "start", record | _tracing(tracing)
            case Report():
                return "report", _report(event)
            case RuntimeDone():
                return "runtimeDone", _runtime_done(event)
            case InitStart(phase=phase):
                return "initStart", _init_start(self._about, phase)
            case InitRuntimeDone(phase=phase):
                head = {"initializationType": INITIALIZATION_TYPE, "phase": phase}
                return "initRuntimeDone", head | _status(event.status, event.error_type)
            case InitReport(phase=phase):
                head = {"initializationType": INITIALIZATION_TYPE, "phase": phase}
                metrics: Record = {"metrics": {"durationMs": milliseconds(event.duration)}}
                return "initReport", head | _status(event.status, event.error_type) | metrics
            case Fault():
                return "fault", fault_text(event)
            case TimedOut():
                return "", {}


def _level(event: PlatformEvent) -> int:
    match event:
        case Start() | InitStart():  # InitStart: as runtimeVersion is set
            return LEVELS["INFO"]
        case Report(status=status):
            return LEVELS["INFO"] if status == "success" else LEVELS["WARN"]
        case RuntimeDone(status=s) | InitRuntimeDone(status=s) | InitReport(status=s):
            return LEVELS["DEBUG"] if s == "success" else LEVELS["WARN"]
        case TimedOut() | Fault():
            return LEVELS["WARN"]


def _init_start(about: About, phase: InitPhase) -> Record:
    record: Record = {
        "initializationType": INITIALIZATION_TYPE,
        "phase": phase,
        "runtimeVersion": about.runtime_version,
        "runtimeVersionArn": about.runtime_version_arn,
        "functionName": about.function_name,
        "functionVersion": about.function_version,
        "instanceId": about.log_stream,
        "instanceMaxMemory": about.memory_size * 1024 * 1024,
    }
    if about.runtime_version_arn is None:
        del record["runtimeVersionArn"]
    return record


def _report(event: Report) -> Record:
    metrics: Record = {
        "durationMs": milliseconds(event.duration),
        "billedDurationMs": billed_milliseconds(event.duration, event.init_duration),
        "memorySizeMB": event.memory_size,
        "maxMemoryUsedMB": event.max_memory_used,
    }
    if event.init_duration is not None:
        metrics["initDurationMs"] = milliseconds(event.init_duration)
    record: Record = {"requestId": event.request_id, "metrics": metrics}
    return record | _tracing(event.tracing) | _status(event.status, event.error_type)


def _runtime_done(event: RuntimeDone) -> Record:
    record: Record = {"requestId": event.request_id}
    metrics: Record = {
        "metrics": {
            "durationMs": milliseconds(event.duration),
            "producedBytes": event.produced_bytes,
        }
    }
    return record | _status(event.status, event.error_type) | _tracing(event.tracing) | metrics


def _status(status: Status, error_type: str | None) -> Record:
    # Recorded: a timeout has no error type.
    if error_type is None or status in {"success", "timeout"}:
        return {"status": status}
    return {"status": status, "errorType": error_type}


def _tracing(tracing: Tracing | None) -> Record:
    if tracing is None:
        return {}
    return {"tracing": {"type": "X-Amzn-Trace-Id", "value": tracing.value}}
