r"""Golden lines of the text log, each recorded from CloudWatch on real AWS.

Found in public repositories and issues, as JSON exports in which tabs and newlines are
visible: 2025-09 a function that times out, cold and warm; 2026-02 an init error; 2023-04
X-Ray; 2020-06 the timeout line (since 2025 AWS has often left it out: we keep it); 2026-05 a
function killed for its memory; cargo-lambda issue 572 for the fault.
"""

from __future__ import annotations

from rie.core.platform import (
    Fault,
    InitReport,
    InitRuntimeDone,
    InitStart,
    RuntimeDone,
    TimedOut,
    Tracing,
)
from rie.telemetry.lines import FunctionLine
from rie.telemetry.text import TextRenderer
from tests.telemetry.makers import (
    CLOCK_OFFSET,
    NOW,
    REQUEST_ID,
    make_about,
    make_report,
    make_start,
)

RUNTIME_ARN = "arn:aws:lambda:ap-east-2::runtime:6b9e6bdace9349e61d853adcfe031f7dbe39dd17"
TRACE = "Root=1-643eb81e-7b15c13c3bff33247638ad8d;Parent=4c72ac137fd02fb0;Sampled=1"


def make_renderer(runtime_version_arn: str | None = None) -> TextRenderer:
    return TextRenderer(make_about(runtime_version_arn), epoch_offset=lambda: CLOCK_OFFSET)


def test_init_start_names_the_runtime_and_its_arn() -> None:
    line = make_renderer(RUNTIME_ARN).render(InitStart(at=NOW, phase="init"))

    assert (
        line
        == (
            f"INIT_START Runtime Version: python:3.13.v60\tRuntime Version ARN: {RUNTIME_ARN}\n"
        ).encode()
    )


def test_init_start_goes_without_an_arn_that_nobody_has() -> None:
    line = make_renderer().render(InitStart(at=NOW, phase="init"))

    assert line == b"INIT_START Runtime Version: python:3.13.v60\n"


def test_an_init_inside_an_invocation_has_no_init_start() -> None:
    assert make_renderer().render(InitStart(at=NOW, phase="invoke")) == b""


def test_start() -> None:
    assert make_renderer().render(make_start()) == (
        b"START RequestId: 1e5c8abd-3d36-461b-8c0f-a56b952715b3 Version: $LATEST\n"
    )


def test_a_warm_report_ends_in_a_tab() -> None:
    report = make_report(duration=0.00301, max_memory_used=36)

    assert (
        make_renderer().render(report)
        == (
            f"END RequestId: {REQUEST_ID}\n"
            f"REPORT RequestId: {REQUEST_ID}\tDuration: 3.01 ms\tBilled Duration: 4 ms\t"
            "Memory Size: 128 MB\tMax Memory Used: 36 MB\t\n"
        ).encode()
    )


def test_a_cold_report_has_the_init_duration_last() -> None:
    report = make_report(duration=0.02039, init_duration=0.1785, max_memory_used=57)

    assert (
        make_renderer()
        .render(report)
        .endswith(
            b"Billed Duration: 199 ms\tMemory Size: 128 MB\tMax Memory Used: 57 MB\t"
            b"Init Duration: 178.50 ms\t\n"
        )
    )


def test_a_sampled_report_is_followed_by_its_xray_line() -> None:
    report = make_report(init_duration=0.1785, tracing=Tracing(TRACE, sampled=True))

    assert (
        make_renderer()
        .render(report)
        .endswith(
            b"\tInit Duration: 178.50 ms\t\n"
            b"XRAY TraceId: 1-643eb81e-7b15c13c3bff33247638ad8d\tSegmentId: 4c72ac137fd02fb0\t"
            b"Sampled: true\t\n"
        )
    )


def test_an_xray_line_goes_without_a_segment_that_the_header_does_not_name() -> None:
    report = make_report(tracing=Tracing("Root=1-643eb81e-7b15c13c;Sampled=1", sampled=True))

    assert (
        make_renderer()
        .render(report)
        .endswith(b"\t\nXRAY TraceId: 1-643eb81e-7b15c13c\tSampled: true\t\n")
    )


def test_a_report_that_is_not_sampled_has_no_xray_line() -> None:
    report = make_report(tracing=Tracing(TRACE, sampled=False))

    assert b"XRAY" not in make_renderer().render(report)


def test_the_report_of_a_timeout_ends_in_its_status_without_a_type() -> None:
    report = make_report(
        duration=3.0,
        init_duration=0.06749,
        status="timeout",
        error_type="Sandbox.Timedout",
        max_memory_used=35,
    )

    assert (
        make_renderer()
        .render(report)
        .endswith(
            b"\tDuration: 3000.00 ms\tBilled Duration: 3068 ms\tMemory Size: 128 MB\t"
            b"Max Memory Used: 35 MB\tInit Duration: 67.49 ms\tStatus: timeout\n"
        )
    )


def test_the_report_of_an_error_ends_in_its_status_and_type() -> None:
    report = make_report(
        duration=103.08564, status="error", error_type="Runtime.OutOfMemory", max_memory_used=126
    )

    assert (
        make_renderer()
        .render(report)
        .endswith(
            b"\tDuration: 103085.64 ms\tBilled Duration: 103086 ms\tMemory Size: 128 MB\t"
            b"Max Memory Used: 126 MB\tStatus: error\tError Type: Runtime.OutOfMemory\n"
        )
    )


def test_the_timeout_line_is_followed_by_an_empty_one() -> None:
    line = make_renderer().render(TimedOut(at=NOW, request_id=REQUEST_ID, timeout=3.0))

    assert line == (
        b"2026-11-20T14:41:39.482Z 1e5c8abd-3d36-461b-8c0f-a56b952715b3 "
        b"Task timed out after 3.00 seconds\n\n"
    )


def test_a_fault_says_how_the_runtime_ended() -> None:
    fault = Fault(
        at=NOW,
        request_id=REQUEST_ID,
        message="Runtime exited without providing a reason",
        error_type="Runtime.ExitError",
    )

    assert make_renderer().render(fault) == (
        b"RequestId: 1e5c8abd-3d36-461b-8c0f-a56b952715b3 "
        b"Error: Runtime exited without providing a reason\nRuntime.ExitError\n"
    )


def test_a_failed_init_is_reported_with_its_error_type() -> None:
    report = InitReport(
        at=NOW, phase="invoke", status="error", duration=0.99815, error_type="Runtime.Unknown"
    )

    assert make_renderer().render(report) == (
        b"INIT_REPORT Init Duration: 998.15 ms\tPhase: invoke\tStatus: error\t"
        b"Error Type: Runtime.Unknown\n"
    )


def test_a_slow_init_is_reported_as_a_timeout() -> None:
    report = InitReport(at=NOW, phase="init", status="timeout", duration=9.99979)

    assert make_renderer().render(report) == (
        b"INIT_REPORT Init Duration: 9999.79 ms\tPhase: init\tStatus: timeout\n"
    )


def test_a_good_init_is_reported_in_the_first_report_only() -> None:
    report = InitReport(at=NOW, phase="init", status="success", duration=0.1)

    assert make_renderer().render(report) == b""


def test_runtime_done_is_told_in_json_only() -> None:
    renderer = make_renderer()
    done = RuntimeDone(
        at=NOW,
        request_id=REQUEST_ID,
        status="success",
        error_type=None,
        duration=0.1,
        produced_bytes=2,
    )

    assert renderer.render(done) == b""
    assert renderer.render(InitRuntimeDone(at=NOW, phase="init", status="success")) == b""


def test_a_line_of_the_function_gets_its_newline_back() -> None:
    assert make_renderer().function(FunctionLine(b"hello \xff")) == b"hello \xff\n"


def test_levels_do_not_filter_the_text_log() -> None:
    line = FunctionLine(b"[TRACE]\tfine", level="TRACE")

    assert make_renderer().function(line) == b"[TRACE]\tfine\n"
