"""The Runtime API on the wire: all that real runtimes' HTTP clients do, byte by byte.

The ids in the comments number what a Runtime API has to keep to, whoever serves it. Most of
these have broken a server: Go's trailers, curl's Expect, raw UTF-8 and 1 MiB in a header,
Java's Upgrade, Node's many connections, Ruby's new one per request.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rie.settings import Settings
from tests.support.raw_http import LIMIT, chunks, head, request
from tests.support.scripted_runtime import NEXT

if TYPE_CHECKING:
    from tests.support.emulator import ScriptedFunction
    from tests.support.scripted_runtime import Event, ScriptedRuntime


def response_path(event: Event) -> str:
    return f"/2018-06-01/runtime/invocation/{event.request_id}/response"


@pytest.mark.parametrize("trailers", [(), (("X-Checksum", "abc"), ("X-Other", "d"))])
@pytest.mark.parametrize("kind", ["respond", "error"])
def test_answers_may_be_chunked_and_have_trailers(
    kind: str,
    trailers: tuple[tuple[str, str], ...],
    function: ScriptedFunction,
    runtime: ScriptedRuntime,
) -> None:
    # SV-21
    call = function.call()
    event = runtime.next()
    post = runtime.main.respond if kind == "respond" else runtime.main.error

    accepted = post(event.request_id, b'"in two pieces"', chunked=True, trailers=trailers)

    assert accepted.status == 202
    assert call.read_response().body == b'"in two pieces"'


def test_an_init_error_may_be_chunked_and_have_trailers(runtime: ScriptedRuntime) -> None:
    # SV-21
    accepted = runtime.main.init_error(b"{}", chunked=True, trailers=(("X-Checksum", "a"),))

    assert accepted.status == 202


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_body_that_comes_byte_by_byte_or_chunk_by_chunk_is_one_body(
    size: int, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    call = function.call()
    event = runtime.next()
    fields = (("Transfer-Encoding", "chunked"),)
    pieces = [b"ab"] * size
    spelled = head("POST", response_path(event), fields) + chunks(*pieces)

    for at in range(0, 300, 1):
        runtime.main.send(spelled[at : at + 1])
    accepted = runtime.main.ask(spelled[300:])

    assert accepted.status == 202
    assert call.read_response().body == b"ab" * size


def test_expect_100_continue_is_answered_before_the_body_is_sent(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-22
    call = function.call()
    event = runtime.next()
    fields = (("Content-Length", "4"), ("Expect", "100-continue"))

    interim = runtime.main.ask(head("POST", response_path(event), fields))
    accepted = runtime.main.ask(b'"ok"')

    assert (interim.status, interim.body) == (100, b"")
    assert accepted.status == 202
    assert call.read_response().body == b'"ok"'


def test_expect_100_continue_is_refused_at_once_where_the_answer_is_no(
    runtime: ScriptedRuntime,
) -> None:
    # SV-22
    fields = (("Content-Length", "4"), ("Expect", "100-continue"))
    path = "/2018-06-01/runtime/invocation/nobody/response"

    assert runtime.main.ask(head("POST", path, fields)).status == 400


@pytest.mark.parametrize("value", ["é中😀".encode(), b"\xff\xfe", b"x" * 1024 * 1024])
def test_headers_may_hold_any_bytes_and_a_mebibyte(
    value: bytes, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-24
    call = function.call()
    event = runtime.next()

    accepted = runtime.error(
        event.request_id, b"1", (("Lambda-Runtime-Function-XRay-Error-Cause", value),)
    )

    assert accepted.status == 202
    assert call.read_response().body == b"1"


def test_a_context_that_is_no_ascii_reaches_the_runtime_as_raw_utf8(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-24
    context = '{"custom":{"name":"é中😀"}}'
    function.call(headers=(("X-Amz-Client-Context", base64.b64encode(context.encode())),))

    assert runtime.next().header("Lambda-Runtime-Client-Context") == context


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_header_names_are_taken_in_any_case(
    change: type[str], function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-25
    call = function.call()
    event = runtime.next()
    names = ("content-length", "lambda-runtime-invocation-id", "content-type")
    values = ("4", event.invocation_id, "text/x")
    fields = tuple(zip(map(change, names), values, strict=True))

    accepted = runtime.main.ask(head("POST", response_path(event), fields) + b'"ok"')

    assert accepted.status == 202
    assert call.read_response().header("Content-Type") == "text/x"


def test_nothing_is_compressed_whatever_is_accepted(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-26
    payload = b'"' + b"a" * 10_000 + b'"'
    function.call(payload)

    event = runtime.main.next((("Accept-Encoding", "gzip, deflate, br"),))

    assert event.header("Content-Encoding") is None
    assert event.body == payload


def test_an_offer_to_upgrade_is_ignored(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    function.call()
    upgrade = (
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAEAAEAAAAIAAAAB"),
    )

    event = runtime.main.next(upgrade)
    accepted = runtime.main.respond(event.request_id, b"1", upgrade)

    assert (event.status, accepted.status) == (200, 202)


def test_next_on_one_connection_and_responses_on_another(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-27
    posts = runtime.connect()
    for number in (b"1", b"2", b"3"):
        call = function.call(number)
        event = runtime.next()
        assert posts.respond(event.request_id, event.body).status == 202
        assert call.read_response().body == number


def test_a_new_connection_for_each_request(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-28
    for number in (b"1", b"2", b"3"):
        call = function.call(number)
        with runtime.connect() as connection:
            event = connection.next()
        with runtime.connect() as connection:
            connection.respond(event.request_id, event.body)
        assert call.read_response().body == number


def test_many_idle_connections_do_no_harm(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-29
    idle = [runtime.connect() for _ in range(100)]
    for connection in idle:
        connection.ping()

    call = function.call()
    event = idle[50].next()
    assert idle[99].respond(event.request_id).status == 202

    assert call.read_response().status == 200
    idle[0].ping()


def test_http_1_0_is_served_and_the_connection_closed(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-30
    call = function.call(b"1")
    poller, answerer = runtime.connect(), runtime.connect()

    poller.send(head("GET", NEXT, version="1.0"))
    event = poller.read_event()
    accepted = answerer.ask(request("POST", response_path(event), b"2", version="1.0"))

    assert event.body == b"1"
    assert poller.is_ended()
    assert accepted.status == 202
    assert answerer.is_ended()
    assert call.read_response().body == b"2"


def test_connection_close_is_honoured(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    # SV-30
    call = function.call()
    close = (("Connection", "close"),)
    poller, answerer = runtime.connect(), runtime.connect()

    event = poller.next(close)
    accepted = answerer.respond(event.request_id, b"2", close)

    assert poller.is_ended()
    assert accepted.header("Connection") == "close"
    assert answerer.is_ended()
    assert call.read_response().body == b"2"


def test_pipelined_requests_are_served_in_order(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-31
    first = function.call(b"1")
    function.settle()
    second = function.call(b"2")
    event = runtime.next()

    runtime.main.send(request("POST", response_path(event), b'"a"') + head("GET", NEXT))

    assert runtime.main.read_response().status == 202
    assert runtime.main.read_event().body == b"2"
    assert first.read_response().body == b'"a"'
    del second


def test_a_next_whose_process_is_replaced_by_another_goes_on(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-33: a supervisor that starts a new poller for each event
    poller = "import sys, http.client as h; c = h.HTTPConnection(sys.argv[1]); "
    poller += "c.request('GET', sys.argv[2]); r = c.getresponse(); i = r.headers; b = r.read(); "
    poller += "i = i['Lambda-Runtime-Aws-Request-Id']; "
    poller += "c.request('POST', f'/2018-06-01/runtime/invocation/{i}/response', b); "
    poller += "sys.exit(c.getresponse().status - 202)"
    for number in (b"1", b"2"):
        call = function.call(number)

        subprocess.run(
            [sys.executable, "-I", "-S", "-c", poller, runtime.api, NEXT], check=True, timeout=LIMIT
        )

        assert call.read_response().body == number


def test_both_apis_are_on_the_loopback_interface_by_default(
    function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    # SV-68
    assert Settings().listen[0] == "127.0.0.1"
    assert function.url.startswith("http://127.0.0.1:")
    assert runtime.api.startswith("127.0.0.1:")


def test_the_api_s_address_is_a_host_and_a_port_and_nothing_else(runtime: ScriptedRuntime) -> None:
    host, _, port = runtime.api.partition(":")

    assert host == "127.0.0.1"
    assert port.isdigit()


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"nonsense\r\n\r\n",
        (
            b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        (
            b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"
        ),
    ],
)
def test_what_is_no_http_is_refused_and_harms_nobody_else(
    bytes_sent: bytes, function: ScriptedFunction, runtime: ScriptedRuntime
) -> None:
    with runtime.connect() as connection:
        assert connection.ask(bytes_sent).status == 400
        assert connection.is_ended()

    call = function.call()
    function.serve(runtime)
    assert call.read_response().status == 200
