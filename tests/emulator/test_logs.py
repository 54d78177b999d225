"""The function's log from end to end: what a call leaves in it, in text, in JSON, in files.

How each line is spelled is tests/telemetry's matter; here the lines of real calls agree with
what really happened.
"""

from __future__ import annotations

import json
import re
import signal
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.emulator import scripted_function, wait_until

if TYPE_CHECKING:
    from tests.support.emulator import ScriptedFunction
    from tests.support.scripted_runtime import ScriptedRuntime

REPORT = (
    r"REPORT RequestId: (?P<id>\S+)\tDuration: (?P<duration>[\d.]+) ms\t"
    r"Billed Duration: (?P<billed>\d+) ms\tMemory Size: 128 MB\tMax Memory Used: (?P<memory>\d+) MB"
    r"\t(Init Duration: (?P<init>[\d.]+) ms\t)?(?P<status>.*)"
)


def call_once(
    function: ScriptedFunction,
    runtime: ScriptedRuntime | None = None,
    *printed: bytes,
    parked: bool = False,
) -> str:
    """Run a call that prints; return its request id. The runtime's next poll is parked then.

    Without a runtime the call is to start one.
    """
    call = function.call()
    runtime = runtime or function.runtime()
    event = runtime.main.read_event() if parked else runtime.next()
    for each in printed:
        runtime.print(each)
    runtime.respond(event.request_id)
    runtime.park()
    call.read_response()
    return event.request_id


def die_while_idle(runtime: ScriptedRuntime) -> None:
    runtime.exit(1)
    wait_until(lambda: not Path(f"/proc/{runtime.pid}").exists(), "the emulator to notice")


def reports(lines: list[str]) -> list[re.Match[str]]:
    found = [re.fullmatch(REPORT, line) for line in lines if line.startswith("REPORT")]
    assert all(found), lines
    return [match for match in found if match]


# Text


def test_a_first_call_s_log_has_every_line_in_its_place() -> None:
    # SV-66
    with scripted_function() as function:
        runtime = function.runtime()
        runtime.print(b"from init\n")
        request_id = call_once(function, runtime, b"hello\n", b"\n", b"bye")

    lines = function.log.all()
    assert lines[0].startswith("INIT_START Runtime Version: rie:")
    assert lines[1:7] == [
        "from init",
        f"START RequestId: {request_id} Version: $LATEST",
        "hello",
        "",
        "bye",
        f"END RequestId: {request_id}",
    ]
    (report,) = reports(lines[7:])
    assert report["id"] == request_id
    assert report["init"]
    assert report["status"] == ""
    assert len(lines) == 8


def test_only_the_first_call_of_an_environment_has_an_init_duration() -> None:
    # SV-66
    with scripted_function() as function:
        runtime = function.runtime()
        first = call_once(function, runtime)
        second = call_once(function, runtime, parked=True)

    told = {report["id"]: report["init"] for report in reports(function.log.all())}
    assert told[first]
    assert told[second] is None
    assert len([line for line in function.log.lines if line.startswith("INIT_START")]) == 1


def test_the_init_duration_is_the_time_until_the_first_next() -> None:
    # SV-66
    before = time.monotonic()
    with scripted_function() as function:
        runtime = function.runtime()
        started = time.monotonic()
        runtime.allocate(30 * 1024 * 1024)  # what the code outside the handler does
        initialised = time.monotonic()
        call_once(function, runtime)
        after = time.monotonic()

    (report,) = reports(function.log.all())
    assert (initialised - started) * 1000 - 0.01 <= float(report["init"])
    assert float(report["init"]) <= (after - before) * 1000
    assert int(report["billed"]) >= float(report["init"]) + float(report["duration"]) - 0.02


def test_the_memory_used_is_the_true_peak() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        call_once(function, runtime)
        runtime.allocate(64 * 1024 * 1024)
        call_once(function, runtime, parked=True)

    first, second = (int(report["memory"]) for report in reports(function.log.all()))
    assert 1 < first < 64
    assert 64 < second < 128


def test_stdout_and_stderr_keep_their_order() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        for number in range(20):
            runtime.print(b"line %d\n" % number, stderr=bool(number % 2))
        call_once(function, runtime)

    lines = [line for line in function.log.all() if line.startswith("line")]
    assert lines == [f"line {number}" for number in range(20)]


def test_a_line_that_is_printed_in_pieces_is_one_line() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        call_once(function, runtime, b"one ", b"li", "n\u00e9\n".encode()[:2], b"\xa9\n")

    assert "one lin\u00e9" in function.log.all()


def test_what_is_printed_between_calls_is_logged_at_once() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        call_once(function, runtime)

        runtime.print(b"in between\n")

        function.log.wait_for("in between")


def test_a_sampled_trace_has_its_line() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        root, parent = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
        trace = f"Root={root};Parent={parent};Sampled=1"
        function.call(headers=(("X-Amzn-Trace-Id", trace),))
        function.serve(runtime)
        runtime.park()

        line = function.log.wait_for("XRAY")
        assert line == f"XRAY TraceId: {root}\tSegmentId: {parent}\tSampled: true\t"


def test_a_failing_init_is_reported_in_both_phases() -> None:
    with scripted_function() as function:
        function.runtime().exit(1)
        function.log.wait_for("Phase: init")
        call = function.call()
        function.runtime().exit(1)
        answer = call.read_response()
        function.log.wait_for("REPORT RequestId")

    request_id = answer.header("X-Amzn-RequestId")
    text = "\n".join(function.log.all())
    status = "\tStatus: error\tError Type: Runtime.ExitError"
    assert re.search(rf"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init{status}\n", text)
    assert re.search(rf"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: invoke{status}\n", text)
    assert f"START RequestId: {request_id} " in text
    assert f"END RequestId: {request_id}\n" in text
    (report,) = reports(text.splitlines())
    assert report["init"] is None
    assert report["status"] == "Status: error\tError Type: Runtime.ExitError"


def test_a_slow_init_is_reported_as_a_timeout() -> None:
    with scripted_function(init_timeout=0.2) as function:
        line = function.log.wait_for("INIT_REPORT")

    match = re.fullmatch(
        r"INIT_REPORT Init Duration: ([\d.]+) ms\tPhase: init\tStatus: timeout", line
    )
    assert match
    assert float(match[1]) >= 200


def test_an_init_error_is_reported_by_its_type() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        error_type = (("Lambda-Runtime-Function-Error-Type", "Runtime.ImportModuleError"),)
        runtime.main.init_error(headers=error_type)
        runtime.exit(1)

        assert function.log.wait_for("INIT_REPORT").endswith(
            "\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError"
        )


def test_the_memory_of_an_init_error_is_its_runtime_s_true_peak() -> None:
    with scripted_function(init="lazy") as function:
        call = function.call()
        function.runtime().exit(1)  # the second try is inside the call, and reported with it
        runtime = function.runtime()
        runtime.allocate(24 * 1024 * 1024)  # less than this process has
        runtime.main.init_error()
        runtime.exit(1)
        call.read_response()

    (report,) = reports(function.log.all())
    assert 24 < int(report["memory"]) < 60


def test_a_timeout_has_its_line_and_its_report() -> None:
    # SV-42
    with scripted_function(timeout=0.5) as function:
        runtime = function.runtime()
        call = function.call()
        event = runtime.next()
        runtime.print(b"last words")
        call.read_response()
        function.log.wait_for("REPORT RequestId")

    lines = function.log.all()
    at = lines.index("last words")
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {event.request_id} "
        r"Task timed out after 0\.50 seconds",
        lines[at + 1],
    )
    (report,) = reports(lines)
    assert report["id"] == event.request_id
    assert report["status"] == "Status: timeout"
    assert float(report["duration"]) >= 500


@pytest.mark.parametrize(
    ("number", "said"), [(None, "exit status 3"), (signal.SIGKILL, "signal: killed")]
)
def test_a_crash_has_its_lines_and_its_report(number: int | None, said: str) -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        function.call()
        event = runtime.next()
        if number is None:
            runtime.exit(3)
        else:
            runtime.kill(number)
        function.log.wait_for("REPORT RequestId")

    lines = function.log.all()
    at = lines.index(f"RequestId: {event.request_id} Error: Runtime exited with error: {said}")
    assert lines[at + 1] == "Runtime.ExitError"
    assert lines[at + 2] == f"END RequestId: {event.request_id}"
    (report,) = reports(lines)
    assert report["status"] == "Status: error\tError Type: Runtime.ExitError"


def test_a_call_that_starts_a_new_process_has_no_init_duration() -> None:
    # AWS calls it suppressed init: it is part of the call's Duration.
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        call_once(function, runtime)
        die_while_idle(runtime)
        call_once(function)

    first, second = reports(function.log.all())
    assert (bool(first["init"]), second["init"]) == (True, None)


def test_two_environments_that_print_at_once_never_share_a_line() -> None:
    lines_each = 3000
    with scripted_function(environments=2, timeout=60) as function:
        function.call()
        function.call()
        runtimes = [function.runtime(), function.runtime()]
        for runtime, letter in zip(runtimes, (b"a", b"b"), strict=True):
            runtime.next()
            runtime.begin_printing((letter * 70 + b"\n") * lines_each)
        for runtime in runtimes:
            runtime.finish()

    lines = [line for line in function.log.all() if line[:1] in {"a", "b"}]
    assert sorted(set(lines)) == ["a" * 70, "b" * 70]
    assert len(lines) == 2 * lines_each


# Telemetry frames


def frame(kind: int, message: bytes, at: float = 1_700_000_000.0) -> bytes:
    return struct.pack(">IIQ", kind, len(message), int(at * 1_000_000)) + message


TEXT_INFO, JSON_DEBUG, JSON_ERROR = 0xA55A000F, 0xA55A000A, 0xA55A0016


def test_a_framed_record_is_one_entry_however_many_lines_it_has() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        message = b"Traceback:\n  line 1\n  line 2"
        runtime.telemetry(frame(TEXT_INFO, message)[:10])
        runtime.telemetry(frame(TEXT_INFO, message)[10:])
        call_once(function, runtime)

    assert "Traceback:\n  line 1\n  line 2\nSTART" in "\n".join(function.log.all())


def test_framed_records_are_filtered_by_their_level_in_json() -> None:
    with scripted_function(log_format="JSON", application_log_level="ERROR") as function:
        runtime = function.runtime()
        runtime.telemetry(frame(JSON_DEBUG, b'{"message":"noise"}'))
        runtime.telemetry(frame(JSON_ERROR, b'{"message":"told"}'))
        call_once(function, runtime)

    log = function.log.all()
    assert '{"message":"told"}' in log
    assert '{"message":"noise"}' not in log


# JSON


def platform_events(function: ScriptedFunction) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for line in function.log.all():
        document = json.loads(line)
        if "type" in document:
            found.setdefault(document["type"], []).append(document["record"])
    return found


def test_every_line_of_the_json_log_is_json_and_ids_agree() -> None:
    with scripted_function(log_format="JSON", system_log_level="DEBUG") as function:
        runtime = function.runtime()
        ids = [
            call_once(function, runtime, b'{"level":"INFO","message":"hello"}\n'),
            call_once(function, runtime, parked=True),
        ]

    events = platform_events(function)
    for kind in ("start", "runtimeDone", "report"):
        assert [record["requestId"] for record in events[f"platform.{kind}"]] == ids
    first, second = (record["metrics"] for record in events["platform.report"])
    assert first["initDurationMs"] > 0
    assert "initDurationMs" not in second
    for kind in ("initStart", "initRuntimeDone", "initReport"):
        assert events[f"platform.{kind}"][0]["phase"] == "init"
    assert '{"level":"INFO","message":"hello"}' in function.log.lines


def test_the_json_log_tells_of_a_timeout_in_its_report() -> None:
    with scripted_function(log_format="JSON", timeout=0.3) as function:
        function.runtime().park()
        request_id = function.call().read_response().header("X-Amzn-RequestId")
        function.log.wait_for("platform.report")

    (report,) = platform_events(function)["platform.report"]
    assert (report["requestId"], report["status"]) == (request_id, "timeout")


# Files


def test_the_log_of_each_environment_is_a_file_too(tmp_path: Path) -> None:
    with scripted_function(log_dir=tmp_path, environments=2, timeout=60) as function:
        function.call()
        function.call()
        runtimes = [function.runtime(), function.runtime()]
        events = [runtime.next() for runtime in runtimes]
        for runtime, event in zip(runtimes, events, strict=True):
            runtime.print(b"this is %d\n" % runtime.pid)
            runtime.respond(event.request_id)
            runtime.park()

    for runtime in runtimes:
        stream = runtime.environment["AWS_LAMBDA_LOG_STREAM_NAME"]
        text = (tmp_path / "aws/lambda/my-function" / f"{stream}.log").read_text()
        assert f"this is {runtime.pid}\n" in text
        assert text.splitlines()[-1].startswith("REPORT RequestId")
        assert text.count("START RequestId") == 1


def test_a_reset_goes_on_in_the_same_file(tmp_path: Path) -> None:
    with scripted_function(log_dir=tmp_path, timeout=60) as function:
        runtime = function.runtime()
        call_once(function, runtime)
        die_while_idle(runtime)
        call_once(function)

    (file,) = tmp_path.rglob("*.log")
    assert file.read_text().splitlines() == function.log.all()
    assert len(reports(function.log.lines)) == 2
