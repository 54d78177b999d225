"""RuntimeClient on the wire, for those who write a loop of their own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from werkzeug import Response

from bootstrap import Invocation, RuntimeApiError, RuntimeClient
from bootstrap.errors import Fault
from tests.bootstrap.scripted import ACCEPTED, REQUEST_ID, Event, ScriptedApi, status

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer

ROOT = "/2018-06-01/runtime"
JSON = "application/json"


def make_invocation(request_id: str = REQUEST_ID, **headers: str) -> Invocation:
    return Invocation({"lambda-runtime-aws-request-id": request_id, **headers}, b"{}")


def test_a_loop_of_ones_own_needs_two_calls(httpserver: HTTPServer) -> None:
    headers = {
        "Lambda-Runtime-Aws-Request-Id": REQUEST_ID,
        "Lambda-Runtime-Deadline-Ms": "1542409706888",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
        "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7",
    }
    next_call = httpserver.expect_ordered_request(f"{ROOT}/invocation/next", method="GET")
    next_call.respond_with_response(Response(b'{"a": 1}', headers=headers, content_type=JSON))
    answer = httpserver.expect_ordered_request(
        f"{ROOT}/invocation/{REQUEST_ID}/response",
        method="POST",
        data="42",
        headers={"Content-Type": JSON, "Content-Length": "2"},
    )
    answer.respond_with_data("", status=202)
    client = RuntimeClient(f"{httpserver.host}:{httpserver.port}")

    invocation = client.next()
    client.respond(invocation, "42")
    client.close()

    httpserver.check()
    assert invocation.body == b'{"a": 1}'
    assert invocation.deadline_ms == 1542409706888
    assert invocation.function_arn == headers["Lambda-Runtime-Invoked-Function-Arn"]
    assert invocation.trace_id == "Root=1-5bef4de7"
    assert (invocation.tenant_id, invocation.client_context) == (None, None)


def test_next_is_asked_for_as_the_documentation_says() -> None:
    with ScriptedApi(Event()) as api:
        client = RuntimeClient(api.address)
        client.next()
        client.close()

    request = api.requests[0]
    version = ".".join(map(str, sys.version_info[:3]))
    assert (request.method, request.path, request.body) == ("GET", f"{ROOT}/invocation/next", b"")
    agent = f"rie-bootstrap-python/{version}"
    assert request.headers == {"host": api.address, "user-agent": agent}


def test_an_error_is_posted_with_its_cause_for_x_ray() -> None:
    with ScriptedApi(ACCEPTED) as api:
        client = RuntimeClient(api.address)
        client.fail(make_invocation(), ValueError("größe\r\nX-Evil: 1 🎈\0"))
        client.close()

    request = api.requests[0]
    cause = json.loads(request.headers["lambda-runtime-function-xray-error-cause"])
    assert request.path == f"{ROOT}/invocation/{REQUEST_ID}/error"
    assert request.headers["content-type"] == JSON
    assert "x-evil" not in request.headers
    # The official client sends no type with an invocation's error, and AWS shows none.
    assert "lambda-runtime-function-error-type" not in request.headers
    assert cause["exceptions"][0]["message"] == request.json()["errorMessage"]
    assert request.json() == {
        "errorMessage": "größe\r\nX-Evil: 1 🎈\0",
        "errorType": "ValueError",
        "requestId": REQUEST_ID,
        "stackTrace": [],
    }


def test_a_cause_of_a_megabyte_is_left_out_and_the_error_still_posted() -> None:
    with ScriptedApi(ACCEPTED) as api:
        client = RuntimeClient(api.address)
        client.fail(make_invocation(), ValueError("x" * 1_048_576))
        client.close()

    assert "lambda-runtime-function-xray-error-cause" not in api.requests[0].headers
    assert len(api.requests[0].body) > 1_048_576


@pytest.mark.parametrize(
    ("error", "header"),
    [(Fault("Runtime.ImportModuleError", "m"), "Runtime.ImportModuleError"),
     (KeyError("k"), "Runtime.Unknown")],
)  # fmt: skip
def test_an_init_error_has_a_type_that_aws_takes(error: Exception, header: str) -> None:
    with ScriptedApi(ACCEPTED) as api:
        client = RuntimeClient(api.address)
        client.init_error(error)
        client.close()

    request = api.requests[0]
    assert request.path == f"{ROOT}/init/error"
    assert request.headers["lambda-runtime-function-error-type"] == header
    assert request.json()["requestId"] == ""


def test_the_invocation_id_goes_back_with_its_answer_only() -> None:
    with ScriptedApi(ACCEPTED, ACCEPTED, ACCEPTED) as api:
        client = RuntimeClient(api.address)
        client.respond(make_invocation(**{"lambda-runtime-invocation-id": "n-1"}), b"1")
        client.fail(make_invocation(**{"lambda-runtime-invocation-id": "n-2"}), OSError())
        client.respond(make_invocation(), b"3")
        client.close()

    sent = [request.headers.get("lambda-runtime-invocation-id") for request in api.requests]
    assert sent == ["n-1", "n-2", None]


@pytest.mark.parametrize(
    ("request_id", "encoded"),
    [
        ("a" * 128, "a" * 128),
        ("not a/uuid?#", "not%20a%2Fuuid%3F%23"),
        ("x HTTP/1.1\r\nEvil: 1", "x%20HTTP%2F1.1%0D%0AEvil%3A%201"),
        ("größe", "gr%C3%B6%C3%9Fe"),
    ],
)
def test_a_request_id_cannot_leave_its_place_in_the_path(request_id: str, encoded: str) -> None:
    with ScriptedApi(ACCEPTED) as api:
        client = RuntimeClient(api.address)
        client.respond(make_invocation(request_id), b"")
        client.close()

    assert api.requests[0].path == f"{ROOT}/invocation/{encoded}/response"


@pytest.mark.parametrize("content_type", ["text/plain\r\nEvil: 1", "a\nb"])
def test_a_content_type_cannot_start_another_header(content_type: str) -> None:
    with ScriptedApi() as api, pytest.raises(ValueError, match="control characters"):
        RuntimeClient(api.address).respond(make_invocation(), b"", content_type)


def test_an_invocation_id_cannot_start_another_header() -> None:
    forged = make_invocation(**{"lambda-runtime-invocation-id": "n\nEvil: 1"})

    with ScriptedApi() as api, pytest.raises(ValueError, match="control characters"):
        RuntimeClient(api.address).respond(forged, b"")


@pytest.mark.parametrize("code", [200, 202, 204])
def test_any_success_will_do(code: int) -> None:
    with ScriptedApi(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code) as api:
        client = RuntimeClient(api.address)
        client.respond(make_invocation(), b"")
        client.close()

    assert len(api.requests) == 1


@pytest.mark.parametrize("code", [400, 403, 410, 413, 500])
def test_a_refusal_is_raised_with_its_status(code: int) -> None:
    with ScriptedApi(status(code, b"why")) as api:
        client = RuntimeClient(api.address)
        with pytest.raises(RuntimeApiError, match="why") as raised:
            client.respond(make_invocation(), b"")
        client.close()

    assert raised.value.status == code


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        Event(request_id="").whole(),
        status(403).pieces[0],
        status(500).pieces[0],
    ],
)
def test_a_reply_without_an_invocation_is_none(reply: bytes) -> None:
    with ScriptedApi(reply) as api:
        client = RuntimeClient(api.address)
        with pytest.raises(RuntimeApiError):
            client.next()
        client.close()


def test_an_address_may_have_a_path() -> None:
    with ScriptedApi(Event()) as api:
        client = RuntimeClient(f"{api.address}/.rt/my function/")
        client.next()
        client.close()

    assert api.requests[0].path == f"/.rt/my%20function{ROOT}/invocation/next"
    assert api.requests[0].headers["host"] == api.address


def test_an_ipv6_address_is_taken() -> None:
    client = RuntimeClient("[::1]:9001")

    assert client._connection._host == "::1"


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":9001", "host:port", "a b\r\n:1", "http://h:1", "hö:1"]
)
def test_an_address_of_another_shape_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        RuntimeClient(address)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_RUNTIME_API", raising=False)
    with pytest.raises(KeyError):
        RuntimeClient()

    monkeypatch.setenv("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
    assert RuntimeClient()._connection._port == 1
