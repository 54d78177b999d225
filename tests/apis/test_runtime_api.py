"""The Runtime API: what a runtime is given, what it may say, and when.

The ids in the comments number what a Runtime API has to keep to, whoever serves it. Sources:
Runtime API reference; statuses, bodies and state names as the official emulator's. How the
bytes may come is test_runtime_api_wire.py's.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.emulator import scripted_function
from tests.support.scripted_runtime import NEXT

if TYPE_CHECKING:
    from tests.support.emulator import ScriptedFunction
    from tests.support.raw_http import Connection, Response
    from tests.support.scripted_runtime import Event, RuntimeConnection, ScriptedRuntime

ARN = "arn:aws:lambda:us-east-1:123456789012:function:my-function"
LARGEST_RESPONSE = 6 * 1024 * 1024 + 100
SOMEBODY_ELSES = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


def begin(
    function: ScriptedFunction, runtime: ScriptedRuntime, payload: bytes = b"{}"
) -> tuple[Connection, Event]:
    call = function.call(payload)
    return call, runtime.next()


def refusal(response: Response) -> tuple[int, object, object]:
    """Check the form that every refusal has; return its status, type and message."""
    document = response.fields()
    assert list(document) == ["errorMessage", "errorType"]
    assert response.header("Content-Type") == "application/json"
    assert response.body.endswith(b"}\n")
    return response.status, document["errorType"], document["errorMessage"]


def transition(state: str, wanted: str) -> tuple[int, str, str]:
    message = (
        f"State transition from {state} to {wanted} failed for runtime. "
        "Error: State transition is not allowed"
    )
    return 403, "InvalidStateTransition", message


INVALID_ID = (400, "InvalidRequestID", "Invalid request ID")
TOO_LATE = (410, "InvokeTimeout", "Invoke timeout")


# What /next brings


def test_next_says_nothing_until_there_is_an_event(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-01
    runtime.park()
    runtime.main.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        runtime.main.socket.recv(1)
    runtime.main.socket.settimeout(20)

    function.call(b'"now"')

    assert runtime.main.read_event().body == b'"now"'


def test_next_always_has_id_deadline_arn_and_content_type(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-02, SV-04
    function.call(headers=(("Content-Type", "text/plain"),))

    event = runtime.next()

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event.request_id)
    assert event.status == 200
    assert event.header("Lambda-Runtime-Deadline-Ms")
    assert event.header("Lambda-Runtime-Invoked-Function-Arn") == ARN
    assert event.header("Content-Type") == "application/json"
    assert event.invocation_id != event.request_id


def test_next_leaves_out_optional_headers_that_would_be_empty(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-03
    empty = (("X-Amz-Client-Context", ""), ("X-Amz-Tenant-Id", ""))
    function.call(headers=empty)

    event = runtime.next()

    for name in ("Client-Context", "Cognito-Identity", "Aws-Tenant-Id"):
        assert event.header(f"Lambda-Runtime-{name}") is None


@pytest.mark.parametrize(
    "payload",
    [b' {"a" : 1.10,\n"b":1e400}\n', b"null", "\u00e9\u2028".encode().join((b'"', b'"')), b"[ ]"],
)
def test_the_payload_reaches_the_runtime_byte_by_byte(
    payload: bytes, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-05
    _, event = begin(function, runtime, payload)

    assert event.body == payload


def test_the_deadline_is_the_start_of_this_invocation_and_the_timeout(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-06
    for _ in range(2):
        before = time.time()
        _, event = begin(function, runtime)
        after = time.time()

        assert before + 60 - 0.1 <= event.deadline <= after + 60 + 0.1
        runtime.respond(event.request_id)


def test_the_callers_content_type_is_passed_on_where_asked_for() -> None:
    with scripted_function(forward_content_type=True) as function:
        runtime = function.runtime()
        function.call(headers=(("Content-Type", "application/x-mine"),))

        assert runtime.next().header("Content-Type") == "application/x-mine"


def test_each_invocation_has_a_nonce_of_its_own(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    _, first = begin(function, runtime)
    runtime.respond(first.request_id)
    _, second = begin(function, runtime)

    assert first.invocation_id != second.invocation_id


# What the runtime answers


def test_a_response_is_accepted_and_reaches_the_caller(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-07
    call, event = begin(function, runtime)

    accepted = runtime.respond(event.request_id, b'{"a": [1]}')
    answer = call.read_response()

    assert (accepted.status, accepted.body) == (202, b'{"status":"OK"}\n')
    assert accepted.header("Content-Type") == "application/json"
    assert (answer.status, answer.body) == (200, b'{"a": [1]}')
    assert answer.header("X-Amz-Function-Error") is None


def test_an_error_is_accepted_and_reaches_the_caller_verbatim(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call, event = begin(function, runtime)
    body = b'{ "errorMessage": "no" , "errorType" : "E", "extra": [1.0] }'

    accepted = runtime.error(event.request_id, body)
    answer = call.read_response()

    assert (accepted.status, accepted.body) == (202, b'{"status":"OK"}\n')
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "a/b; c=d"])
@pytest.mark.parametrize("body", [b"\x00\xff\xfe binary", b"", b"a=b&c=%20"])
def test_a_response_is_opaque_bytes_of_any_content_type(
    body: bytes, content_type: str | None, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-23
    call, event = begin(function, runtime)
    headers = (("Content-Type", content_type),) if content_type else ()

    accepted = runtime.respond(event.request_id, body, headers)

    assert accepted.status == 202
    answer = call.read_response()
    assert answer.body == body
    assert answer.header("Content-Type") == (content_type or "application/json")


@pytest.mark.parametrize(
    "error_type",
    [None, "unhandled", "Function<ArgumentError>", "Runtime.NoSuchHandler", "Function.Bad", "é"],
)
def test_whatever_error_type_the_runtime_gives_the_caller_is_told_unhandled(
    error_type: str | None, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-38
    call, event = begin(function, runtime)
    name = "Lambda-Runtime-Function-Error-Type"

    runtime.error(event.request_id, headers=((name, error_type),) if error_type else ())

    assert call.read_response().header("X-Amz-Function-Error") == "Unhandled"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Function.Broken", "Function.Broken"),
        ("Runtime.NoSuchHandler", "Runtime.NoSuchHandler"),
        ("Function.E", "Function.Unknown"),
        ("Function.", "Function.Unknown"),
        ("unhandled", "Runtime.Unknown"),
        ("Function<ArgumentError>", "Runtime.Unknown"),
        (None, "Runtime.Unknown"),
    ],
)
def test_the_error_type_in_the_log_is_filtered(
    given: str | None, told: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-39
    _, event = begin(function, runtime)
    headers = (("Lambda-Runtime-Function-Error-Type", given),) if given else ()

    runtime.error(event.request_id, headers=headers)
    runtime.park()

    report = function.log.wait_for("REPORT RequestId")
    assert report.endswith(f"\tStatus: error\tError Type: {told}")


@pytest.mark.parametrize(
    "cause",
    [
        '{"working_directory":"/x","exceptions":[],"paths":[]}',
        "no JSON",
        '{"message":"' + "x" * 100_000 + '"}',
    ],
)
def test_an_xray_cause_good_or_bad_does_no_harm(
    cause: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-40
    call, event = begin(function, runtime)

    accepted = runtime.error(
        event.request_id, b'{"e":1}', (("Lambda-Runtime-Function-XRay-Error-Cause", cause),)
    )

    assert accepted.status == 202
    assert call.read_response().body == b'{"e":1}'


CAUSE = (("Content-Type", "application/vnd.aws.lambda.error.cause+json"),)


def test_the_cause_inside_an_error_body_is_not_for_the_caller(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-41
    call, event = begin(function, runtime)
    error = {"errorMessage": "no", "errorType": "E", "stackTrace": ["a"]}

    runtime.error(event.request_id, json.dumps({**error, "errorCause": "{}"}).encode(), CAUSE)

    assert call.read_response().json() == error


@pytest.mark.parametrize("body", [b"no JSON", b"[1]", b""])
def test_an_error_body_with_a_cause_that_cannot_be_read_says_so(
    body: bytes, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-41
    call, event = begin(function, runtime)

    assert runtime.error(event.request_id, body, CAUSE).status == 202

    assert call.read_response().body == b'"Invalid error body"'


# Sizes


def test_a_response_of_the_limit_is_taken(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-17
    call, event = begin(function, runtime)
    body = b"x" * LARGEST_RESPONSE

    assert runtime.respond(event.request_id, body).status == 202

    assert call.read_response().body == body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", ["respond", "error"])
def test_a_response_over_the_limit_is_refused_and_the_runtime_goes_on(
    kind: str, *, chunked: bool, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-17
    call, event = begin(function, runtime)
    body = b"x" * (LARGEST_RESPONSE + 1)

    with runtime.connect() as connection:
        post = connection.respond if kind == "respond" else connection.error
        refused = post(event.request_id, body, chunked=chunked)

    message = "Exceeded maximum allowed payload size (6291556 bytes)."
    assert refusal(refused) == (413, "RequestEntityTooLarge", message)
    answer = call.read_response()
    assert answer.header("X-Amz-Function-Error") == "Unhandled"
    assert answer.body == (
        b'{"errorMessage":"Response payload size exceeded maximum allowed payload size '
        b'(6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}'
    )
    again = function.call()
    function.serve(runtime)
    assert again.read_response().status == 200
    assert not function.script.has_started_another()


def test_six_megabytes_there_and_back_arrive_whole(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-70
    payload = b'"' + bytes(range(48, 58)) * 629_145 + b'"'
    assert len(payload) <= 6 * 1024 * 1024
    call, event = begin(function, runtime, payload)

    runtime.respond(event.request_id, event.body)

    assert call.read_response().body == payload


# What is refused, and leaves no mark


@pytest.mark.parametrize("kind", ["respond", "error"])
@pytest.mark.parametrize("request_id", [SOMEBODY_ELSES, "", "%00", "x" * 1000])
def test_a_wrong_id_is_400_and_costs_the_invocation_nothing(
    request_id: str, kind: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-09
    call, event = begin(function, runtime)
    post = runtime.respond if kind == "respond" else runtime.error

    assert refusal(post(request_id)) == INVALID_ID

    assert runtime.respond(event.request_id, b'"mine"').status == 202
    assert call.read_response().body == b'"mine"'


@pytest.mark.parametrize("first", ["respond", "error"])
@pytest.mark.parametrize(
    ("second", "wanted"), [("respond", "InvocationResponse"), ("error", "InvocationErrorResponse")]
)
def test_a_second_answer_is_403_and_does_not_change_the_first(
    first: str, second: str, wanted: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-10, SV-12, SV-13
    posts = {"respond": runtime.respond, "error": runtime.error}
    call, event = begin(function, runtime)
    posts[first](event.request_id, b'"first"')

    refused = posts[second](event.request_id, b'"second"')

    assert refusal(refused) == transition("RuntimeResponseSentState", wanted)
    assert call.read_response().body == b'"first"'


def test_a_response_before_the_first_next_is_400(runtime: ScriptedRuntime) -> None:
    # SV-11
    assert refusal(runtime.respond(SOMEBODY_ELSES)) == INVALID_ID


def test_an_answer_to_a_finished_invocation_is_400(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    _, event = begin(function, runtime)
    runtime.respond(event.request_id)
    runtime.park()

    assert refusal(runtime.connect().respond(event.request_id)) == INVALID_ID


def test_after_an_init_error_every_call_is_403(runtime: ScriptedRuntime) -> None:
    # SV-14, SV-15
    assert runtime.main.init_error().body == b'{"status":"OK"}\n'

    main = runtime.main
    assert refusal(main.next()) == transition("InitError", "Ready")
    assert refusal(main.init_error()) == transition("InitError", "InitError")
    assert refusal(main.respond(SOMEBODY_ELSES)) == transition("InitError", "InvocationResponse")
    assert refusal(main.error(SOMEBODY_ELSES)) == transition("InitError", "InvocationErrorResponse")


def test_an_init_error_after_next_is_403(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    runtime.park()
    other = runtime.connect()
    assert refusal(other.init_error()) == transition("Ready", "InitError")

    call = function.call()
    event = runtime.main.read_event()
    assert refusal(other.init_error()) == transition("Running", "InitError")

    runtime.respond(event.request_id)
    assert call.read_response().body == b'"done"'
    assert refusal(other.init_error()) == transition("RuntimeResponseSentState", "InitError")


def test_next_while_a_response_is_being_read_is_403(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call, event = begin(function, runtime)
    path = f"/2018-06-01/runtime/invocation/{event.request_id}/response"
    runtime.main.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n".encode())
    runtime.main.send(b'"o')
    runtime.settle()

    with runtime.connect() as other:
        assert refusal(other.next()) == transition("InvocationResponse", "Ready")
        assert refusal(other.error(event.request_id)) == transition(
            "InvocationResponse", "InvocationErrorResponse"
        )

    assert runtime.main.ask(b'k"').status == 202
    assert call.read_response().body == b'"ok"'


def test_next_while_running_brings_the_same_event_again(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-16
    call, first = begin(function, runtime, b'"once"')

    again = runtime.connect().next()

    assert again == first
    runtime.respond(first.request_id)
    assert call.read_response().body == b'"done"'


def test_two_pollers_share_the_work_and_neither_gets_the_others(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    runtime.park()
    other = runtime.connect()
    other.send_next()
    runtime.settle()

    call = function.call(b"1")
    event = other.read_event()
    other.respond(event.request_id, event.body)
    assert call.read_response().body == b"1"

    # The poll that is parked still is not "I am done": only a new one says that.
    other.send_next()
    call = function.call(b"2")
    event = other.read_event()
    other.respond(event.request_id, event.body)
    assert call.read_response().body == b"2"


# Pollers that come and go


def test_a_poller_that_hangs_up_loses_no_event(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-32
    gone = runtime.connect()
    gone.send_next()
    runtime.settle()
    gone.close()
    runtime.settle()

    call = function.call(b'"kept"')
    function.settle()
    event = runtime.next()

    assert event.body == b'"kept"'
    runtime.respond(event.request_id)
    assert call.read_response().body == b'"done"'


def test_a_poller_that_hangs_up_as_the_event_leaves_loses_nothing(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-32
    gone = runtime.connect()
    gone.send_next()
    runtime.settle()
    call = function.call(b'"kept"')
    function.settle()  # the event is in the poller's socket now, and nobody reads it
    gone.close()

    event = runtime.next()

    assert event.body == b'"kept"'
    runtime.respond(event.request_id)
    assert call.read_response().body == b'"done"'


# Answers that come too late


def test_an_answer_after_the_timeout_is_410_and_reaches_nobody() -> None:
    # SV-43
    with scripted_function(timeout=1) as function:
        runtime = function.runtime()
        call, event = begin(function, runtime)
        assert b"Task timed out" in call.read_response().body

        assert refusal(runtime.connect().respond(event.request_id)) == TOO_LATE
        assert refusal(runtime.connect().error(event.request_id)) == TOO_LATE


def test_a_late_answer_does_not_reach_the_next_caller() -> None:
    # SV-43
    with scripted_function(timeout=1) as function:
        runtime = function.runtime()
        first, late = begin(function, runtime)
        first.read_response()
        second = function.call()
        replaced = function.runtime()
        event = replaced.next()

        # The same API address serves both processes: its number is the environment's.
        assert refusal(replaced.connect().respond(late.request_id, b'"late"')) == TOO_LATE
        replaced.respond(event.request_id, b'"in time"')

        assert second.read_response().body == b'"in time"'


def test_a_response_that_is_cut_off_by_the_timeout_is_410() -> None:
    # SV-43
    with scripted_function(timeout=1) as function:
        runtime = function.runtime()
        call, event = begin(function, runtime)
        path = f"/2018-06-01/runtime/invocation/{event.request_id}/response"
        runtime.main.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n".encode())
        assert b"Task timed out" in call.read_response().body

        assert refusal(runtime.main.ask(b'"ok"')) == TOO_LATE


@pytest.mark.parametrize("kind", ["respond", "error"])
def test_an_echoed_invocation_id_is_checked(
    kind: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-43
    call, event = begin(function, runtime)
    post = runtime.respond if kind == "respond" else runtime.error
    name = "lambda-runtime-invocation-id"  # as the official Python client spells it

    assert refusal(post(event.request_id, b"1", ((name, SOMEBODY_ELSES),))) == TOO_LATE
    assert post(event.request_id, b"2", ((name, event.invocation_id),)).status == 202

    assert call.read_response().body == b"2"


def test_an_invocation_id_that_is_not_echoed_is_not_missed(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-44
    call, event = begin(function, runtime)

    assert runtime.respond(event.request_id).status == 202

    assert call.read_response().status == 200


# Response modes and trailers


@pytest.mark.parametrize("mode", ["buffered", "Streaming", "x"])
def test_a_wrong_response_mode_is_400_and_does_not_wedge_the_runtime(
    mode: str, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-20
    call, event = begin(function, runtime)
    headers = (("Lambda-Runtime-Function-Response-Mode", mode),)

    refused = runtime.respond(event.request_id, b"1", headers)

    assert refusal(refused) == (
        400,
        "InvalidFunctionResponseMode",
        "Invalid function response mode",
    )
    answer = call.read_response()
    assert answer.header("X-Amz-Function-Error") == "Unhandled"
    assert answer.fields()["errorType"] == "Runtime.InvalidResponseModeHeader"
    again = function.call()
    function.serve(runtime, b'"works"')
    assert again.read_response().body == b'"works"'
    assert not function.script.has_started_another()


def test_a_streamed_response_is_taken_whole(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call, event = begin(function, runtime)
    headers = (("Lambda-Runtime-Function-Response-Mode", "streaming"),)

    assert runtime.main.respond(event.request_id, b'"abcd"', headers, chunked=True).status == 202

    assert call.read_response().body == b'"abcd"'


def test_a_failure_in_the_middle_of_a_stream_comes_in_its_trailers(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-49
    call, event = begin(function, runtime)
    error = b'{"errorMessage":"half way","errorType":"E"}'
    headers = (("Lambda-Runtime-Function-Response-Mode", "streaming"),)
    trailers = (
        ("Lambda-Runtime-Function-Error-Type", "Function.Half"),
        ("Lambda-Runtime-Function-Error-Body", base64.b64encode(error)),
    )

    accepted = runtime.main.respond(event.request_id, b"half of it", headers, trailers=trailers)

    assert accepted.status == 202
    answer = call.read_response()
    assert answer.header("X-Amz-Function-Error") == "Unhandled"
    assert answer.body == error


def test_a_trailer_without_an_error_type_is_no_failure(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call, event = begin(function, runtime)
    trailers = (("Lambda-Runtime-Function-Error-Type", ""),)

    assert runtime.main.respond(event.request_id, b'"all"', trailers=trailers).status == 202

    answer = call.read_response()
    assert answer.header("X-Amz-Function-Error") is None
    assert answer.body == b'"all"'


def test_an_empty_invocation_id_is_none(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call, event = begin(function, runtime)
    headers = (("Lambda-Runtime-Invocation-Id", ""),)

    assert runtime.main.respond(event.request_id, b'"mine"', headers).status == 202

    assert call.read_response().body == b'"mine"'


# Bodies that do not arrive whole


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nfour", b"Transfer-Encoding: chunked\r\n\r\n4\r\nfour"]
)
@pytest.mark.parametrize("kind", ["response", "error"])
def test_a_truncated_body_is_400_and_fails_the_invocation(
    kind: str, framing: bytes, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-19
    call, event = begin(function, runtime)
    with runtime.connect() as connection:
        truncate(connection, f"invocation/{event.request_id}/{kind}", framing)
        refused = connection.read_response()

    message = "HTTP request detected as truncated"
    assert refusal(refused) == (400, "TruncatedHTTPRequest", message)
    answer = call.read_response()
    assert answer.header("X-Amz-Function-Error") == "Unhandled"
    assert answer.fields()["errorType"] == "Runtime.TruncatedResponse"
    again = function.call()
    function.serve(runtime, b'"works"')
    assert again.read_response().body == b'"works"'


def test_a_runtime_that_hangs_up_within_its_response_fails_the_invocation(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-19
    call, event = begin(function, runtime)
    with runtime.connect() as connection:
        truncate(
            connection,
            f"invocation/{event.request_id}/response",
            b"Content-Length: 10\r\n\r\nfour",
        )

    assert call.read_response().fields()["errorType"] == "Runtime.TruncatedResponse"


def test_a_truncated_init_error_is_400_and_init_goes_on(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    with runtime.connect() as connection:
        truncate(connection, "init/error", b"Content-Length: 10\r\n\r\nfour")
        assert connection.read_response().status == 400

    call = function.call()
    function.serve(runtime)
    assert call.read_response().status == 200


def truncate(connection: RuntimeConnection, path: str, framing: bytes) -> None:
    head = f"POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: rie\r\n".encode()
    connection.send(head + framing)
    connection.finish_sending()


# What else there is


def test_ping_answers_pong(runtime: ScriptedRuntime) -> None:
    answer = runtime.main.ask(b"GET /2018-06-01/ping HTTP/1.1\r\nHost: a\r\n\r\n")

    assert (answer.status, answer.body) == (200, b"pong")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/2018-06-01/runtime/invocation/next/",
        "/2018-06-02/runtime/invocation/next",
        "/2018-06-01/runtime/restore/next",
        "/2020-01-01/extension/register",
        "/2018-06-01/runtime/invocation/a/b/response",
    ],
)
def test_an_unknown_path_is_404(path: str, runtime: ScriptedRuntime) -> None:
    # SV-67, SV-63
    answer = runtime.main.ask(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    assert (answer.status, answer.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", NEXT, "GET"),
        ("GET", f"/2018-06-01/runtime/invocation/{SOMEBODY_ELSES}/response", "POST"),
        ("PUT", f"/2018-06-01/runtime/invocation/{SOMEBODY_ELSES}/error", "POST"),
        ("GET", "/2018-06-01/runtime/init/error", "POST"),
        ("DELETE", "/2018-06-01/ping", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_says_which_is_right(
    method: str, path: str, allowed: str, runtime: ScriptedRuntime
) -> None:
    # SV-67
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    answer = runtime.main.ask(head.encode())

    assert (answer.status, answer.header("Allow")) == (405, allowed)
