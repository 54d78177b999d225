"""The Invoke API as boto3 meets it: what each way to succeed, to fail and to be refused gives.

The ids in the comments number what a Runtime API has to keep to, whoever serves it. Sources:
API reference, Invoke; exceptions, headers and documents as recorded from AWS.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import struct
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator import scripted_function
from tests.support.raw_http import LIMIT, chunks, head, request

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from mypy_boto3_lambda.type_defs import InvocationResponseTypeDef

    from tests.support.emulator import ScriptedFunction
    from tests.support.scripted_runtime import ScriptedRuntime

ARN = "arn:aws:lambda:us-east-1:123456789012:function:my-function"
MIB = 1024 * 1024


class Answer:
    """What boto3 makes of an answer."""

    def __init__(self, response: InvocationResponseTypeDef) -> None:
        self.status = response["StatusCode"]
        self.error: str | None = response.get("FunctionError")
        self.version: str | None = response.get("ExecutedVersion")
        self.payload = response["Payload"].read()
        self.request_id = response["ResponseMetadata"]["RequestId"]
        self.headers = response["ResponseMetadata"]["HTTPHeaders"]
        log = response.get("LogResult")
        self.log = base64.b64decode(log) if log else None

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.payload)


def answered(call: Future[InvocationResponseTypeDef]) -> Answer:
    return Answer(call.result(LIMIT))


def document(error: ClientError) -> dict[str, Any]:
    """What boto3 has of a refusal, without its metadata."""
    found: dict[str, Any] = dict(error.response)
    found.pop("ResponseMetadata")
    return found


# The function answers


def test_a_success_is_200_with_version_and_request_id(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin(Payload=b'{"a":1}')
    event = runtime.next()
    runtime.respond(event.request_id, b'{"b":2}')

    answer = answered(call)

    assert (answer.status, answer.error, answer.payload) == (200, None, b'{"b":2}')
    assert answer.version == "$LATEST"
    assert answer.request_id == event.request_id
    assert answer.headers["content-type"] == "application/json"
    assert answer.log is None


def test_a_function_error_is_200_and_unhandled(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-38
    call = function.begin()
    runtime.error(runtime.next().request_id, b'{"errorMessage":"no","errorType":"E"}')

    answer = answered(call)

    assert (answer.status, answer.error, answer.version) == (200, "Unhandled", "$LATEST")
    assert answer.json() == {"errorMessage": "no", "errorType": "E"}


def test_a_malformed_error_body_reaches_the_caller_as_it_is(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin()
    runtime.error(runtime.next().request_id, b"{no JSON")

    answer = answered(call)

    assert (answer.status, answer.error, answer.payload) == (200, "Unhandled", b"{no JSON")


def test_a_response_that_is_too_large_is_a_function_error(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-17
    call = function.begin()
    runtime.respond(runtime.next().request_id, b"x" * (6 * MIB + 101))

    answer = answered(call)

    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json() == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


def test_a_call_without_a_payload_brings_an_empty_object(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    function.begin(Payload=b"")

    event = runtime.next()

    assert event.body == b"{}"
    runtime.respond(event.request_id)


# The runtime ends


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda runtime: runtime.exit(3), "Runtime exited with error: exit status 3"),
        (lambda runtime: runtime.exit(0), "Runtime exited without providing a reason"),
        (lambda runtime: runtime.kill(signal.SIGKILL), "Runtime exited with error: signal: killed"),
        (
            lambda runtime: runtime.kill(signal.SIGTERM),
            "Runtime exited with error: signal: terminated",
        ),
    ],
    ids=["a code", "0", "SIGKILL", "SIGTERM"],
)
def test_a_runtime_that_ends_within_a_call_is_a_function_error_at_once(
    end: Any,  # noqa: ANN401
    reason: str,
    function: ScriptedFunction,
    runtime: ScriptedRuntime,
) -> None:
    # SV-34, SV-35: the fixture's timeout is a minute, what is waited for here is not
    call = function.begin()
    event = runtime.next()
    end(runtime)

    answer = answered(call)

    assert (answer.status, answer.error) == (200, "Unhandled")
    assert list(answer.json().items()) == [
        ("errorType", "Runtime.ExitError"),
        ("errorMessage", f"RequestId: {event.request_id} Error: {reason}"),
    ]


def test_a_runtime_that_ends_before_its_first_next_fails_the_call_too(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-36
    runtime.exit(1)
    call = function.begin()
    function.runtime().exit(127)  # init is tried again inside the call

    answer = answered(call)

    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: "
        "Runtime exited with error: exit status 127",
    }


def test_the_runtime_comes_back_after_it_ended(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-34
    call = function.begin()
    runtime.next()
    runtime.exit(1)
    assert answered(call).error == "Unhandled"

    again = function.begin()
    function.serve(function.runtime(), b'"back"')

    assert answered(again).payload == b'"back"'


def test_an_end_after_the_answer_leaves_the_answer_a_success(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin()
    function.serve(runtime, b'"good"')
    runtime.exit(1)

    answer = answered(call)
    again = function.begin()
    function.serve(function.runtime(), b'"new"')

    assert (answer.error, answer.payload) == (None, b'"good"')
    assert answered(again).payload == b'"new"'


def test_an_init_error_reaches_the_caller_verbatim(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-37
    runtime.main.init_error(b'{"errorMessage":"first"}')
    runtime.exit(1)
    call = function.begin()
    second = function.runtime()
    body = b'{ "errorMessage" : "second", "errorType":"Runtime.ImportModuleError" }'
    second.main.init_error(body)
    second.exit(1)

    answer = answered(call)

    assert (answer.status, answer.error, answer.payload) == (200, "Unhandled", body)


def test_an_old_init_error_is_not_told_of_a_later_crash(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    runtime.main.init_error(b'{"errorMessage":"old"}')
    runtime.exit(1)
    call = function.begin()
    second = function.runtime()
    second.next()
    second.exit(2)

    assert answered(call).json()["errorType"] == "Runtime.ExitError"


def test_a_runtime_that_does_not_exit_after_its_init_error_is_ended(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    runtime.main.init_error()
    runtime.wait_for_end()
    call = function.begin()
    second = function.runtime()
    second.main.init_error(b'{"errorMessage":"told"}')

    assert answered(call).json() == {"errorMessage": "told"}
    second.wait_for_end()


# There is nothing to start


def elf(machine: int) -> bytes:
    """The head of a 64-bit little-endian program."""
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", 2, machine, 1) + b"\0" * 40


OTHER_MACHINE = 0x16  # S/390


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"),
        (b"#!/bin/sh\n", 0o644, "fork/exec {}: permission denied"),
        (elf(OTHER_MACHINE), 0o755, "fork/exec {}: exec format error"),
        (b"echo no shebang\n", 0o755, "fork/exec {}: exec format error"),
        (b"#!/bin/sh\r\necho\r\n", 0o755, "fork/exec {}: no such file or directory"),
        (b"#!/no/such/interpreter\n", 0o755, "fork/exec {}: no such file or directory"),
    ],
    ids=["missing", "not executable", "other machine", "no format", "CRLF", "no interpreter"],
)
def test_a_bootstrap_that_cannot_be_started_is_an_invalid_entrypoint(
    content: bytes | None, mode: int, reason: str, tmp_path: Path
) -> None:
    # SV-65
    bootstrap = tmp_path / "bootstrap"
    if content is not None:
        bootstrap.write_bytes(content)
        bootstrap.chmod(mode)

    with scripted_function(command=(), task_root=tmp_path) as function:
        answer = Answer(function.invoke())

    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json() == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": f"RequestId: {answer.request_id} Error: {reason.format(bootstrap)}",
    }


def test_a_bootstrap_that_is_put_right_is_started_by_the_next_call(tmp_path: Path) -> None:
    # SV-65
    with scripted_function(task_root=tmp_path, command=("./bootstrap",)) as function:
        assert Answer(function.invoke()).error == "Unhandled"
        python, *arguments = function.script.command
        (tmp_path / "bootstrap").write_text(f"#!/bin/sh\nexec {python} {' '.join(arguments)}\n")
        (tmp_path / "bootstrap").chmod(0o755)

        call = function.begin()
        function.serve(function.runtime(), b'"right"')

        assert answered(call).payload == b'"right"'


def test_a_program_that_is_nowhere_on_the_path_is_an_invalid_entrypoint() -> None:
    with scripted_function(command=("no-such-program-anywhere",)) as function:
        answer = Answer(function.invoke())

    assert answer.json()["errorType"] == "Runtime.InvalidEntrypoint"
    assert answer.json()["errorMessage"].endswith(
        'exec: "no-such-program-anywhere": executable file not found in $PATH'
    )


def test_a_working_folder_that_is_none_is_told_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with scripted_function(working_directory=folder) as function:
        answer = Answer(function.invoke())

    assert answer.json()["errorType"] == "Runtime.InvalidWorkingDir"
    assert answer.json()["errorMessage"].endswith(f"chdir {folder}: no such file or directory")


# Time runs out


def test_a_timeout_is_a_function_error() -> None:
    # SV-42
    with scripted_function(timeout=0.25) as function:
        function.runtime().park()
        answer = answered(function.begin())

    assert (answer.status, answer.error) == (200, "Unhandled")
    assert list(answer.json().items()) == [
        ("errorType", "Sandbox.Timedout"),
        (
            "errorMessage",
            f"RequestId: {answer.request_id} Error: Task timed out after 0.25 seconds",
        ),
    ]


def test_a_slow_init_is_cut_off_and_tried_again_inside_the_first_call() -> None:
    with scripted_function(init_timeout=0.2, timeout=60) as function:
        function.runtime().wait_for_end()  # it never asked for anything

        call = function.begin()
        function.serve(function.runtime(), b'"second try"')

        assert answered(call).payload == b'"second try"'


def test_a_call_that_comes_during_the_init_phase_waits_for_the_second_try() -> None:
    with scripted_function(init_timeout=1, timeout=60) as function:
        first = function.runtime()
        call = function.begin()
        first.wait_for_end()
        function.serve(function.runtime(), b'"second try"')

        assert answered(call).payload == b'"second try"'


# The service refuses


def test_a_busy_function_that_throttles_is_429() -> None:
    # SV-45
    with scripted_function(on_busy="throttle", timeout=60) as function:
        runtime = function.runtime()
        first = function.begin()
        event = runtime.next()

        with pytest.raises(function.client.exceptions.TooManyRequestsException) as refused:
            function.invoke()

        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert document(refused.value) == {
            "Error": {"Message": "Rate Exceeded.", "Code": "TooManyRequestsException"},
            "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
            "Type": "User",
            "message": "Rate Exceeded.",
        }
        runtime.respond(event.request_id)
        assert answered(first).status == 200


def test_a_function_is_not_busy_any_more_once_it_has_answered() -> None:
    with scripted_function(on_busy="throttle", timeout=60) as function:
        runtime = function.runtime()
        for number in range(10):
            call = function.begin(Payload=b"%d" % number)
            event = runtime.next()
            runtime.respond(event.request_id, event.body)
            assert answered(call).json() == number


@pytest.mark.parametrize(
    "payload", [b"{", b"no", b"{'a': 1}", b"\xff", b'"\x01"', b"[1,]", b"NaN", b"1 2", b"  "]
)
def test_a_payload_that_is_no_json_is_400(payload: bytes, function: ScriptedFunction) -> None:
    with pytest.raises(function.client.exceptions.InvalidRequestContentException) as refused:
        function.invoke(Payload=payload)

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert refused.value.response["Error"]["Message"].startswith(
        "Could not parse request body into json: Could not parse payload into json: "
    )


@pytest.mark.parametrize("payload", [b'"\\ud83d"', b"1e400", b"-0", b"[" * 500 + b"]" * 500])
def test_odd_json_is_json(
    payload: bytes, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    function.call(payload)

    assert runtime.next().body == payload


def test_the_largest_payload_is_taken(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    payload = b'"' + b"x" * (6 * MIB - 2) + b'"'
    call = function.begin(Payload=payload)
    event = runtime.next()

    assert event.body == payload
    runtime.respond(event.request_id)
    assert answered(call).status == 200


def test_a_larger_payload_is_413(function: ScriptedFunction) -> None:
    # SV-18
    payload = b'"' + b"x" * (6 * MIB - 1) + b'"'

    with pytest.raises(function.client.exceptions.RequestTooLargeException) as refused:
        function.invoke(Payload=payload)

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert refused.value.response["Error"]["Message"] == (
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    )


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ((("X-Amz-Invocation-Type", "Sync"),), "invocationType"),
        ((("X-Amz-Log-Type", "All"),), "logType"),
    ],
)
def test_a_parameter_that_does_not_exist_is_400(
    headers: tuple[tuple[str, str], ...], name: str, function: ScriptedFunction
) -> None:
    answer = function.call(headers=headers).read_response()

    assert answer.status == 400
    assert answer.header("X-Amzn-ErrorType") == "InvalidParameterValueException"
    assert f"at '{name}'" in str(answer.fields()["message"])


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_another_method_than_post_is_405(method: str, function: ScriptedFunction) -> None:
    path = "/2015-03-31/functions/my-function/invocations"

    assert function.connect().ask(request(method, path, b"")).status == 405


def test_another_path_is_404(function: ScriptedFunction) -> None:
    path = "/2015-03-31/functions/my-function/invocations/"

    assert function.connect().ask(request("POST", path, b"")).status == 404


# Asynchronous calls, and dry ones


def test_an_event_is_202_at_once_and_runs_afterwards(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    answer = Answer(function.invoke(InvocationType="Event", Payload=b'"later"'))
    event = runtime.next()

    assert (answer.status, answer.payload, answer.error) == (202, b"", None)
    assert answer.version is None  # nothing has been executed yet
    assert answer.request_id == event.request_id
    assert event.body == b'"later"'


def test_events_run_in_order_and_before_calls_that_came_later(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-46
    for number in range(4):
        function.invoke(InvocationType="Event", Payload=b"%d" % number)
    call = function.begin(Payload=b"4")

    for number in range(5):
        event = runtime.next()
        assert event.body == b"%d" % number
        runtime.respond(event.request_id)

    assert answered(call).status == 200


def test_an_event_is_never_throttled() -> None:
    with scripted_function(on_busy="throttle", timeout=60) as function:
        runtime = function.runtime()
        for number in range(3):
            assert Answer(function.invoke(InvocationType="Event", Payload=b"%d" % number)).status

        for number in range(3):
            event = runtime.next()
            assert event.body == b"%d" % number
            runtime.respond(event.request_id)


@pytest.mark.parametrize("end", ["error", "exit"])
def test_a_failing_event_harms_nobody(
    end: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    function.invoke(InvocationType="Event")
    event = runtime.next()
    if end == "error":
        runtime.error(event.request_id)
    else:
        runtime.exit(1)

    call = function.begin()
    function.serve(runtime if end == "error" else function.runtime())

    assert answered(call).error is None


def test_an_event_of_a_mebibyte_is_taken(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    payload = b'"' + b"x" * (MIB - 2) + b'"'

    assert Answer(function.invoke(InvocationType="Event", Payload=payload)).status == 202
    assert runtime.next().body == payload


def test_a_larger_event_is_413(function: ScriptedFunction) -> None:
    payload = b'"' + b"x" * (MIB - 1) + b'"'

    with pytest.raises(function.client.exceptions.RequestTooLargeException) as refused:
        function.invoke(InvocationType="Event", Payload=payload)

    assert "1048576 bytes" in refused.value.response["Error"]["Message"]


def test_an_event_that_is_no_json_is_400(function: ScriptedFunction) -> None:
    with pytest.raises(function.client.exceptions.InvalidRequestContentException):
        function.invoke(InvocationType="Event", Payload=b"{")


def test_a_dry_run_is_204_and_runs_nothing(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    answer = Answer(function.invoke(InvocationType="DryRun", Payload=b'"dry"'))
    call = function.begin(Payload=b'"wet"')
    event = runtime.next()

    assert (answer.status, answer.payload, answer.version) == (204, b"", None)
    assert event.body == b'"wet"'
    runtime.respond(event.request_id)
    assert answered(call).status == 200


def test_a_dry_run_of_an_unknown_function_is_404(function: ScriptedFunction) -> None:
    with pytest.raises(function.client.exceptions.ResourceNotFoundException):
        function.invoke(InvocationType="DryRun", FunctionName="other")


# The log's tail


def test_the_tail_of_the_log_ends_in_the_report(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin(LogType="Tail")
    event = runtime.next()
    runtime.print(b"one\ntwo without an end")
    runtime.respond(event.request_id)
    assert not call.done()  # it waits for the report
    runtime.park()

    log = (answered(call).log or b"").decode().splitlines()

    assert log[0] == f"START RequestId: {event.request_id} Version: $LATEST"
    assert log[1:3] == ["one", "two without an end"]
    assert log[3] == f"END RequestId: {event.request_id}"
    assert log[4].startswith(f"REPORT RequestId: {event.request_id}\tDuration: ")
    assert len(log) == 5


def test_the_tail_is_the_last_4_kb(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    call = function.begin(LogType="Tail")
    event = runtime.next()
    runtime.print(b"".join(b"%05d\n" % number for number in range(2000)))
    runtime.respond(event.request_id)
    runtime.park()

    log = answered(call).log

    assert log is not None
    assert len(log) == 4096
    assert b"\n01999\nEND RequestId" in log
    assert log.splitlines()[-1].startswith(b"REPORT RequestId")


def test_a_tail_holds_no_line_of_another_call(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    runtime.park()
    for number in (b"first", b"second"):
        call = function.begin(LogType="Tail")
        event = runtime.main.read_event()
        runtime.print(number + b"\n")
        runtime.respond(event.request_id)
        runtime.park()

        log = answered(call).log or b""
        assert log.splitlines()[1:-2] == [number]


def test_the_tail_of_a_timeout_tells_of_it() -> None:
    with scripted_function(timeout=0.3) as function:
        function.runtime().park()
        answer = answered(function.begin(LogType="Tail"))

    log = (answer.log or b"").decode()
    assert f" {answer.request_id} Task timed out after 0.30 seconds\n" in log
    assert log.rstrip().splitlines()[-1].endswith("Status: timeout")


def test_the_tail_of_a_crash_tells_of_it(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin(LogType="Tail")
    event = runtime.next()
    runtime.print(b"last words")
    runtime.exit(1)

    log = (answered(call).log or b"").decode()

    assert "last words\n" in log
    assert f"RequestId: {event.request_id} Error: Runtime exited with error: exit status 1" in log
    assert log.endswith("Status: error\tError Type: Runtime.ExitError\n")


def test_an_event_has_no_tail(function: ScriptedFunction) -> None:
    assert Answer(function.invoke(InvocationType="Event", LogType="Tail")).log is None


# What the caller passes on


@pytest.mark.parametrize(
    "context",
    [
        '{"custom":{"a":"b"},"client":{"app_title":"x"},"env":{}}',
        '{"custom":{"name":"é中😀"}}',
        '{"custom": {"padding": "' + "x" * 2500 + '"}}',
    ],
)
def test_a_client_context_reaches_the_runtime_decoded(
    context: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-53
    function.begin(ClientContext=base64.b64encode(context.encode()).decode())
    event = runtime.next()
    runtime.respond(event.request_id)

    assert event.header("Lambda-Runtime-Client-Context") == context


def test_a_client_context_of_several_lines_reaches_the_runtime_in_one(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-53: a header is one line
    context = json.dumps({"custom": {"a": ["b\n", 1.5]}}, indent=2).replace("\n", "\r\n")
    call = function.begin(ClientContext=base64.b64encode(context.encode()).decode())
    event = runtime.next()
    runtime.respond(event.request_id)

    given = event.header("Lambda-Runtime-Client-Context")
    assert json.loads(given or "") == {"custom": {"a": ["b\n", 1.5]}}
    assert answered(call).status == 200


@pytest.mark.parametrize("context", ["no base64!", "e30", base64.b64encode(b"{").decode()])
def test_a_client_context_that_is_no_base64_of_json_is_400(
    context: str, function: ScriptedFunction
) -> None:
    # SV-53
    with pytest.raises(function.client.exceptions.InvalidRequestContentException) as refused:
        function.invoke(ClientContext=context)

    assert refused.value.response["Error"]["Message"] == (
        "Client context must be a valid Base64-encoded JSON object."
    )


def test_a_client_context_over_the_limit_is_400(function: ScriptedFunction) -> None:
    context = base64.b64encode(b'"' + b"x" * 2700 + b'"').decode()

    with pytest.raises(function.client.exceptions.InvalidRequestContentException):
        function.invoke(ClientContext=context)


def test_a_tenant_id_reaches_the_runtime(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-54
    function.begin(TenantId="blue")
    event = runtime.next()
    runtime.respond(event.request_id)

    assert event.header("Lambda-Runtime-Aws-Tenant-Id") == "blue"


TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:b"


def test_a_trace_header_is_passed_on_as_it_is(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-54, SV-55
    call = function.call(headers=(("X-Amzn-Trace-Id", TRACE),))
    event = runtime.next()
    runtime.respond(event.request_id)

    assert event.header("Lambda-Runtime-Trace-Id") == TRACE
    assert call.read_response().header("X-Amzn-Trace-Id") == TRACE


@pytest.mark.parametrize("headers", [(), (("X-Amzn-Trace-Id", "Self=1"),)])
def test_a_trace_header_is_made_where_there_is_none(
    headers: tuple[tuple[str, str], ...], function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-55
    call = function.call(headers=headers)
    event = runtime.next()
    runtime.respond(event.request_id)

    made = event.header("Lambda-Runtime-Trace-Id")
    assert re.fullmatch(
        r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", made or ""
    )
    assert call.read_response().header("X-Amzn-Trace-Id") == made


# Which function


@pytest.mark.parametrize(
    "name",
    [
        "my-function",
        "my-function:$LATEST",
        ARN,
        f"{ARN}:$LATEST",
        "123456789012:function:my-function",
        "123456789012:function:my-function:$LATEST",
        "function:my-function",
        "function",
    ],
)
def test_the_function_goes_by_name_and_arn_whole_partial_and_qualified(
    name: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin(FunctionName=name)
    function.serve(runtime)

    assert answered(call).version == "$LATEST"


@pytest.mark.parametrize("name", ["my-function", "my-function:$LATEST"])
def test_latest_may_be_said_as_a_qualifier(
    name: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.begin(FunctionName=name, Qualifier="$LATEST")
    function.serve(runtime)

    assert answered(call).version == "$LATEST"


def test_the_function_s_own_version_is_a_qualifier_and_the_executed_version() -> None:
    with scripted_function(function_version="7") as function:
        runtime = function.runtime()
        call = function.begin(Qualifier="7")
        function.serve(runtime)

        assert answered(call).version == "7"


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("other", ARN.replace("my-function", "other:$LATEST")),
        (ARN.replace("my-", "other-"), ARN.replace("my-function", "other-function:$LATEST")),
        (ARN.replace("123456789012", "000000000000"), None),
        (ARN.replace("us-east-1", "eu-west-1"), None),
        ("my-function:42", f"{ARN}:42"),
    ],
)
def test_an_unknown_function_is_404(name: str, arn: str | None, function: ScriptedFunction) -> None:
    with pytest.raises(function.client.exceptions.ResourceNotFoundException) as refused:
        function.invoke(FunctionName=name)

    arn = arn or f"{name}:$LATEST"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert document(refused.value) == {
        "Error": {
            "Message": f"Function not found: {arn}",
            "Code": "ResourceNotFoundException",
        },
        "Message": f"Function not found: {arn}",
        "Type": "User",
    }


def test_an_unknown_qualifier_is_404(function: ScriptedFunction) -> None:
    with pytest.raises(function.client.exceptions.ResourceNotFoundException) as refused:
        function.invoke(Qualifier="PROD")

    assert refused.value.response["Error"]["Message"] == f"Function not found: {ARN}:PROD"


def test_two_qualifiers_that_differ_are_400(function: ScriptedFunction) -> None:
    with pytest.raises(function.client.exceptions.InvalidParameterValueException):
        function.invoke(FunctionName="my-function:$LATEST", Qualifier="42")


def test_a_name_that_can_be_none_is_400(function: ScriptedFunction) -> None:
    with pytest.raises(ClientError) as refused:
        function.invoke(FunctionName="not a name")

    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_every_refusal_has_a_request_id_and_an_error_type(function: ScriptedFunction) -> None:
    refused = function.call(name="other").read_response()

    assert refused.header("X-Amzn-ErrorType") == "ResourceNotFoundException"
    assert refused.header("Content-Type") == "application/json"
    assert re.fullmatch(r"[0-9a-f-]{36}", refused.header("X-Amzn-RequestId") or "")


# Payloads on the wire


PATH = "/2015-03-31/functions/my-function/invocations"


def test_a_caller_that_expects_100_continue_is_told_to_at_once(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-22: curl, for a payload of more than a mebibyte
    caller = function.connect()
    fields = (("Content-Length", "2"), ("Expect", "100-continue"))

    assert caller.ask(head("POST", PATH, fields)).status == 100
    caller.send(b"{}")

    function.serve(runtime)
    assert caller.read_response().status == 200


def test_a_payload_may_be_chunked(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    caller = function.connect()
    caller.send(head("POST", PATH, (("Transfer-Encoding", "chunked"),)) + chunks(b'"a', b'b"'))

    assert runtime.next().body == b'"ab"'


def test_a_payload_that_does_not_arrive_whole_runs_nothing(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    caller = function.connect()
    caller.send(head("POST", PATH, (("Content-Length", "4"),)) + b"{}")
    caller.finish_sending()

    assert caller.read_response().header("X-Amzn-ErrorType") == "InvalidRequestContentException"
    function.call(b'"whole"')
    assert runtime.next().body == b'"whole"'


def test_a_connection_is_kept_for_further_calls(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    caller = function.connect()
    for number in (b"1", b"2"):
        caller.send(request("POST", PATH, number))
        event = runtime.next()
        runtime.respond(event.request_id, event.body)
        assert caller.read_response().body == number
