"""Golden lines of the JSON log, and what its levels leave out.

Recorded from CloudWatch on real AWS, found in public repositories: 2026-10 initStart, start
and report; 2026-07 runtimeDone and report of a timeout; 2024-05 initRuntimeDone, initReport
and runtimeDone; 2024-06 the initReport of a timeout, and a plain line of a function that is
set to JSON. `tracing` after the Telemetry API's event schema reference.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rie.core.platform import (
    Fault,
    InitReport,
    InitRuntimeDone,
    InitStart,
    PlatformEvent,
    RuntimeDone,
    Status,
    TimedOut,
    Tracing,
)
from rie.telemetry.json_lines import JsonRenderer
from rie.telemetry.lines import FunctionLine
from tests.telemetry.makers import (
    CLOCK_OFFSET,
    NOW,
    REQUEST_ID,
    make_about,
    make_report,
    make_start,
)

if TYPE_CHECKING:
    from rie.telemetry.lines import Level, SystemLevel

RUNTIME_ARN = "arn:aws:lambda:eu-central-1::runtime:775dab0d220a0b97f3ec34fe1692d7a0"
TRACE = "Root=1-62e900b2-710d76f009d6e7785905449a;Parent=0efbd19962d95b05;Sampled=1"


def make_renderer(
    system_level: SystemLevel = "DEBUG",
    application_level: Level = "INFO",
    runtime_version_arn: str | None = None,
) -> JsonRenderer:
    return JsonRenderer(
        make_about(runtime_version_arn),
        epoch_offset=lambda: CLOCK_OFFSET,
        system_level=system_level,
        application_level=application_level,
    )


def make_runtime_done(
    *,
    status: Status = "success",
    error_type: str | None = None,
    duration: float = 0.011185,
    produced_bytes: int = 40,
    tracing: Tracing | None = None,
) -> RuntimeDone:
    return RuntimeDone(
        at=NOW,
        request_id=REQUEST_ID,
        status=status,
        error_type=error_type,
        duration=duration,
        produced_bytes=produced_bytes,
        tracing=tracing,
    )


def told(event: PlatformEvent, renderer: JsonRenderer | None = None) -> str:
    """Return the line without its time, the type and the record being what matters."""
    line = (renderer or make_renderer()).render(event).decode()
    head = '{"time":"2026-11-20T14:41:39.482Z",'
    assert line.startswith(head)
    assert line.endswith("}\n")
    return line[len(head) : -2]


def test_init_start() -> None:
    event = InitStart(at=NOW, phase="init")

    assert told(event, make_renderer(runtime_version_arn=RUNTIME_ARN)) == (
        '"type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init",'
        f'"runtimeVersion":"python:3.13.v60","runtimeVersionArn":"{RUNTIME_ARN}",'
        '"functionName":"billing","functionVersion":"$LATEST",'
        '"instanceId":"2026/11/20/[$LATEST]3893cafe7fac4485b47bb75b671a283c",'
        '"instanceMaxMemory":134217728}'
    )


def test_init_start_goes_without_an_arn_that_nobody_has() -> None:
    assert "runtimeVersionArn" not in told(InitStart(at=NOW, phase="invoke"))


def test_init_runtime_done() -> None:
    assert told(InitRuntimeDone(at=NOW, phase="init", status="success")) == (
        '"type":"platform.initRuntimeDone","record":{"initializationType":"on-demand",'
        '"phase":"init","status":"success"}'
    )


def test_init_report() -> None:
    event = InitReport(at=NOW, phase="init", status="success", duration=0.173778)

    assert told(event) == (
        '"type":"platform.initReport","record":{"initializationType":"on-demand",'
        '"phase":"init","status":"success","metrics":{"durationMs":173.778}}'
    )


def test_the_init_report_of_a_slow_init() -> None:
    event = InitReport(at=NOW, phase="init", status="timeout", duration=10.000487)

    assert told(event) == (
        '"type":"platform.initReport","record":{"initializationType":"on-demand",'
        '"phase":"init","status":"timeout","metrics":{"durationMs":10000.487}}'
    )


def test_start() -> None:
    assert told(make_start()) == (
        '"type":"platform.start","record":{"requestId":"1e5c8abd-3d36-461b-8c0f-a56b952715b3",'
        '"functionArn":"arn:aws:lambda:us-east-1:123456789012:function:billing",'
        '"version":"$LATEST"}'
    )


def test_a_trace_is_told_sampled_or_not() -> None:
    line = told(make_start(tracing=Tracing(TRACE, sampled=False)))

    assert line.endswith(f'"tracing":{{"type":"X-Amzn-Trace-Id","value":"{TRACE}"}}}}')


def test_runtime_done() -> None:
    assert told(make_runtime_done()) == (
        f'"type":"platform.runtimeDone","record":{{"requestId":"{REQUEST_ID}",'
        '"status":"success","metrics":{"durationMs":11.185,"producedBytes":40}}'
    )


def test_runtime_done_after_a_crash_has_its_error_type() -> None:
    line = told(make_runtime_done(status="error", error_type="Runtime.ExitError"))

    assert '"status":"error","errorType":"Runtime.ExitError","metrics"' in line


def test_a_cold_report() -> None:
    report = make_report(
        duration=1.23396, init_duration=0.463512, memory_size=256, max_memory_used=123
    )

    assert told(report) == (
        f'"type":"platform.report","record":{{"requestId":"{REQUEST_ID}",'
        '"metrics":{"durationMs":1233.96,"billedDurationMs":1698,"memorySizeMB":256,'
        '"maxMemoryUsedMB":123,"initDurationMs":463.512},"status":"success"}'
    )


def test_the_report_of_a_timeout_has_no_error_type() -> None:
    report = make_report(
        duration=5.0, status="timeout", error_type="Sandbox.Timedout", max_memory_used=94
    )

    assert told(report) == (
        f'"type":"platform.report","record":{{"requestId":"{REQUEST_ID}",'
        '"metrics":{"durationMs":5000.0,"billedDurationMs":5000,"memorySizeMB":128,'
        '"maxMemoryUsedMB":94},"status":"timeout"}'
    )


def test_the_report_of_an_error_has_its_type_last() -> None:
    report = make_report(status="error", error_type="Runtime.OutOfMemory")

    assert told(report).endswith(',"status":"error","errorType":"Runtime.OutOfMemory"}')


def test_a_fault_is_told_as_in_the_logs_api() -> None:
    fault = Fault(
        at=NOW,
        request_id=REQUEST_ID,
        message="Runtime exited with error: exit status 1",
        error_type="Runtime.ExitError",
    )

    assert told(fault) == (
        f'"type":"platform.fault","record":"RequestId: {REQUEST_ID} '
        'Error: Runtime exited with error: exit status 1\\nRuntime.ExitError"'
    )


def test_a_timeout_is_left_to_the_report() -> None:
    assert make_renderer().render(TimedOut(at=NOW, request_id=REQUEST_ID, timeout=3.0)) == b""


# Developer guide, Log-level filtering, "System log level event mapping", row by row; the
# last one is ours.
EVENT_LEVELS: list[tuple[PlatformEvent, SystemLevel]] = [
    (InitStart(at=NOW, phase="init"), "INFO"),
    (InitRuntimeDone(at=NOW, phase="init", status="success"), "DEBUG"),
    (InitRuntimeDone(at=NOW, phase="init", status="error"), "WARN"),
    (InitReport(at=NOW, phase="init", status="success", duration=1.0), "DEBUG"),
    (InitReport(at=NOW, phase="init", status="timeout", duration=1.0), "WARN"),
    (make_start(), "INFO"),
    (make_runtime_done(), "DEBUG"),
    (make_runtime_done(status="failure"), "WARN"),
    (make_report(), "INFO"),
    (make_report(status="error"), "WARN"),
    (Fault(at=NOW, request_id=REQUEST_ID, message="gone", error_type="X"), "WARN"),
]


@pytest.mark.parametrize(("event", "level"), EVENT_LEVELS)
def test_an_event_is_told_from_its_level_on(event: PlatformEvent, level: SystemLevel) -> None:
    order: tuple[SystemLevel, ...] = ("DEBUG", "INFO", "WARN")
    told_at = [each for each in order if make_renderer(each).render(event)]

    assert told_at == list(order[: order.index(level) + 1])


def kept(text: bytes, application_level: Level, level: Level | None = None) -> bool:
    line = FunctionLine(text, level=level)
    lines = make_renderer(application_level=application_level).function(line)
    assert lines in {b"", text + b"\n"}
    return bool(lines)


@pytest.mark.parametrize("level", ["DEBUG", "debug", "TRACE"])
def test_a_json_line_below_the_level_is_left_out(level: str) -> None:
    line = json.dumps({"level": level, "msg": "my debug log"}).encode()

    assert not kept(line, "INFO")


@pytest.mark.parametrize("level", ["WARN", "ERROR", "FATAL", "WARNING", "CRITICAL"])
def test_a_json_line_at_or_above_the_level_is_kept(level: str) -> None:
    assert kept(json.dumps({"level": level}).encode(), "WARN")


@pytest.mark.parametrize("line", [b'{"msg":"x"}', b'{"level":3}', b'{"level":"NOTICE"}'])
def test_a_json_line_without_a_level_counts_as_info(line: bytes) -> None:
    assert kept(line, "INFO")
    assert not kept(line, "WARN")


@pytest.mark.parametrize(
    "line",
    [
        b"SyntaxWarning: invalid escape sequence '\\,'",
        b'{"level":"DEBUG"',
        b'["level","DEBUG"]',
        b'{"level":"DEBUG","bad":"\xff"}',
        b"",
    ],
)
def test_what_is_no_json_object_is_kept_as_it_is(line: bytes) -> None:
    assert kept(line, "FATAL")


def test_the_level_of_a_frame_decides_without_a_look_at_the_text() -> None:
    line = b'{"level":"DEBUG"}'

    assert kept(line, "ERROR", level="ERROR")
    assert not kept(line, "FATAL", level="ERROR")


def test_at_level_trace_everything_is_kept() -> None:
    assert kept(b'{"level":"TRACE"}', "TRACE")
