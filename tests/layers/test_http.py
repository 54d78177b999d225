"""The http layer under the emulator: an HTTP server as a function, behind each sender of events."""

from __future__ import annotations

import base64
import json
import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pytest_httpserver import HTTPServer

from tests.layers import events
from tests.layers.built import FUNCTIONS, built
from tests.layers.starts import fail_to_start
from tests.real.emulator import Answer, Function, emulator
from tests.real.runtimes import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024 * 1024


def run(
    handler: str, directory: Path, *variables: str, task_root: Path = FUNCTIONS, timeout: int = 60
) -> AbstractContextManager[Function]:
    # A port that is free: other tests run beside these, and so may other servers.
    settings = ("RIE_HTTP_PORT=0", "RIE_HTTP_READY_PROTOCOL=tcp", *variables)
    return emulator(
        [str(built("http") / "bootstrap")],
        task_root=task_root,
        directory=directory,
        timeout=timeout,
        options=(
            f"--handler={handler}",
            "--function-name=function",
            *(f"--env={each}" for each in settings),
        ),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    with run("server.py", tmp_path_factory.mktemp("server")) as function:
        yield function


def error_of(answer: Answer) -> tuple[object, str]:
    assert answer.error == "Unhandled", answer
    fields = answer.fields()
    return fields["errorType"], str(fields["errorMessage"])


def asked(function: Function, event: object) -> dict[str, object]:
    """Send an event; return the request that the server got."""
    answer = function.invoke(event)
    assert answer.error is None, answer
    body: dict[str, object] = json.loads(str(answer.fields()["body"]))
    return body


def fields(request: dict[str, object], name: str) -> list[str]:
    pairs = request["headers"]
    assert isinstance(pairs, list)
    return [value for each, value in pairs if each == name]


def body_of(request: dict[str, object]) -> bytes:
    return base64.b64decode(str(request["body"]))


# --- from events to requests --------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "target"),
    [
        (events.rest_api(path="/a%20b/%C5%BE", query=[("q", "ž&=+ "), ("q", "2")]),
         "/a%20b/%C5%BE?q=%C5%BE%26%3D%2B+&q=2"),
        (events.http_api(path="/a b/ž/100%25", query="q=%C5%BE&q=2&flag"),
         "/a%20b/%C5%BE/100%2525?q=%C5%BE&q=2&flag"),
        (events.function_url("/a%20b/%C5%BE", "q=%C5%BE&q=2"), "/a%20b/%C5%BE?q=%C5%BE&q=2"),
        (events.load_balancer(path="/a%20b", query=[("q%5B%5D", "a%20b"), ("r", "2")]),
         "/a%20b?q%5B%5D=a%20b&r=2"),
        (events.load_balancer(path="/x", query=[("q", "1+1"), ("q", "2")], multi_value=True),
         "/x?q=1+1&q=2"),
    ],
    ids=["REST API", "HTTP API", "function URL", "load balancer", "its multi-value headers"],
)  # fmt: skip
def test_the_server_is_asked_for_what_the_client_wrote(
    server: Function, event: object, target: str
) -> None:
    assert asked(server, event)["path"] == target


ALL_REQUESTS: list[tuple[str, Callable[..., dict[str, object]]]] = [
    ("REST API", events.rest_api),
    ("HTTP API", events.http_api),
    ("load balancer", events.load_balancer),
]


@pytest.mark.parametrize("make", [make for _, make in ALL_REQUESTS], ids=dict(ALL_REQUESTS))
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_method_arrives(
    server: Function, make: Callable[..., dict[str, object]], method: str
) -> None:
    assert asked(server, make(method))["method"] == method


def test_repeated_headers_are_repeated(server: Function) -> None:
    for event in (events.rest_api(), events.load_balancer(multi_value=True)):
        assert fields(asked(server, event), "x-many") == ["one", "two"]


def test_cookies_of_version_2_are_one_header(server: Function) -> None:
    request = asked(server, events.http_api(cookies=["a=1", "b=2"], headers={"cookie": "no"}))

    assert fields(request, "cookie") == ["a=1; b=2"]


def test_the_host_is_the_one_that_the_client_called(server: Function) -> None:
    assert fields(asked(server, events.rest_api()), "host") == ["example.com"]


def test_a_server_learns_who_is_in_front_of_it(server: Function) -> None:
    request = asked(server, events.http_api())

    assert fields(request, "x-forwarded-for") == ["192.0.2.1"]
    assert fields(request, "x-forwarded-proto") == ["https"]
    assert fields(request, "x-forwarded-port") == ["443"]


def test_headers_of_one_connection_are_not_passed_on(server: Function) -> None:
    hops = {"connection": "keep-alive, x-hop", "x-hop": "1", "te": "trailers", "upgrade": "h2c"}

    request = asked(server, events.http_api(headers=hops))

    names = {name for name, _ in request["headers"]}  # type: ignore[attr-defined]  # a JSON list
    assert not names & {"connection", "x-hop", "te", "upgrade", "user-agent"}


def test_bodies_arrive_as_bytes(server: Function) -> None:
    text = events.http_api("POST", body="ž")
    binary = events.rest_api("POST", body="AP8K", is_base64=True)

    assert body_of(asked(server, text)) == "ž".encode()
    assert body_of(asked(server, binary)) == b"\x00\xff\n"


def test_the_request_context_and_the_lambda_context_are_headers(server: Function) -> None:
    event = events.rest_api(headers=[("x-amzn-request-context", "forged")])

    answer = server.invoke(event)

    request = json.loads(str(answer.fields()["body"]))
    (context,) = fields(request, "x-amzn-request-context")
    (lambda_context,) = fields(request, "x-amzn-lambda-context")
    assert json.loads(context) == event["requestContext"]
    assert context.isascii()
    told = json.loads(lambda_context)
    assert told["request_id"] == answer.request_id
    assert told["env_config"]["function_name"] == "function"
    assert told["env_config"]["memory"] == 1024
    assert fields(request, "x-amzn-trace-id") == [told["xray_trace_id"]]


def test_a_base_path_is_cut_off(tmp_path: Path) -> None:
    with run("server.py", tmp_path, "RIE_HTTP_BASE_PATH=/v1/") as function:
        paths = [
            asked(function, events.http_api(path=path))["path"]
            for path in ("/v1/a", "/v1", "/v1x/a", "/other/v1/a")
        ]

    assert paths == ["/a", "/", "/v1x/a", "/other/v1/a"]


# --- from answers to events' answers ------------------------------------------------------


def test_version_2_has_cookies_of_their_own_and_joined_headers(server: Function) -> None:
    answer = server.invoke(events.http_api(path="/cookies")).fields()

    dates = "; Expires=Wed, 21 Oct 2026 07:28:00 GMT"
    assert answer == {
        "statusCode": 200,
        "headers": {"Content-Type": "text/plain", "Content-Length": "7", "X-Many": "one, two"},
        "cookies": ["a=1" + dates, "b=2" + dates],
        "body": "cookies",
        "isBase64Encoded": False,
    }


def test_version_1_has_lists(server: Function) -> None:
    answer = server.invoke(events.rest_api(path="/cookies")).fields()

    lists = answer["multiValueHeaders"]
    assert isinstance(lists, dict)
    assert lists["X-Many"] == ["one", "two"]
    assert len(lists["Set-Cookie"]) == 2
    assert "headers" not in answer
    assert "statusDescription" not in answer


def test_a_load_balancer_is_answered_as_it_asks(server: Function) -> None:
    several = server.invoke(events.load_balancer(path="/cookies", multi_value=True)).fields()
    single = server.invoke(events.load_balancer(path="/cookies")).fields()

    assert several["statusDescription"] == single["statusDescription"] == "200 OK"
    assert "headers" not in several
    headers = single["headers"]
    assert isinstance(headers, dict)
    assert headers["X-Many"] == "one, two"
    # Of one name it takes one value: the names differ in their case.
    assert headers["set-cookie"].startswith("a=1")
    assert headers["Set-cookie"].startswith("b=2")


@pytest.mark.parametrize(
    ("kind", "body", "is_base64"),
    [
        ("text/html; charset=utf-8", b"\xc5\xbe", False),
        ("application/problem+json", b"{}", False),
        ("", b"plain", False),
        ("text/plain; charset=iso-8859-1", b"\xe9", True),
        ("image/png", b"png", True),
        ("application/octet-stream", b"text", True),
    ],
)
def test_what_is_not_text_goes_as_base64(
    server: Function, kind: str, body: bytes, *, is_base64: bool
) -> None:
    event = events.http_api(
        "POST",
        "/type",
        headers={"x-type": kind},
        body=base64.b64encode(body).decode(),
        is_base64=True,
    )

    answer = server.invoke(event).fields()

    expected = base64.b64encode(body).decode() if is_base64 else body.decode()
    assert (answer["isBase64Encoded"], answer["body"]) == (is_base64, expected)


def test_what_is_compressed_stays_so_and_goes_as_base64(server: Function) -> None:
    answer = server.invoke(events.http_api(path="/gzip")).fields()

    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(str(answer["body"])).startswith(b"\x1f\x8b")
    assert answer["headers"]["Content-Encoding"] == "gzip"  # type: ignore[index]  # JSON


def test_types_can_be_named_binary(tmp_path: Path) -> None:
    with run("server.py", tmp_path, "RIE_HTTP_BINARY_TYPES=text/csv, text/x-*") as function:
        answers = [
            function.invoke(
                events.http_api("POST", "/type", headers={"x-type": kind}, body="a")
            ).fields()["isBase64Encoded"]
            for kind in ("text/csv", "text/x-special", "text/plain")
        ]

    assert answers == [True, True, False]


@pytest.mark.parametrize("status", [201, 204, 301, 304, 404, 500])
def test_a_status_is_an_answer_and_redirects_are_the_clients(server: Function, status: int) -> None:
    answer = server.invoke(events.http_api(path=f"/status/{status}")).fields()

    assert answer["statusCode"] == status
    assert answer["body"] == ("" if status in (204, 304) else "a body")
    assert answer["headers"]["Location"] == "/elsewhere"  # type: ignore[index]  # JSON


def test_head_has_no_body_and_its_length(server: Function) -> None:
    answer = server.invoke(events.http_api("HEAD", "/status/200")).fields()

    assert answer["body"] == ""
    assert answer["headers"]["Content-Length"] == "6"  # type: ignore[index]  # JSON


def test_a_chunked_answer_is_whole(server: Function) -> None:
    answer = server.invoke(events.http_api(path="/chunked")).fields()

    assert (answer["body"], answer["headers"]) == ("abc", {})


def test_an_answer_of_nearly_6_mb_arrives(server: Function) -> None:
    answer = server.invoke(events.http_api(path=f"/big/{6 * MIB - 1000}")).fields()

    assert len(str(answer["body"])) == 6 * MIB - 1000


@pytest.mark.parametrize("size", [6 * MIB + 50, 20 * MIB])
def test_a_larger_answer_is_an_error_and_no_more(server: Function, size: int) -> None:
    kind, message = error_of(server.invoke(events.http_api(path=f"/big/{size}")))

    assert kind == "Function.ResponseSizeTooLarge"
    assert message.startswith(
        "Response payload size exceeded maximum allowed payload size (6291556 bytes). The server's"
    )
    assert asked(server, events.http_api())["path"] == "/"


def test_statuses_can_be_errors(tmp_path: Path) -> None:
    with run("server.py", tmp_path, "RIE_HTTP_ERROR_STATUS=404,500-599") as function:
        kind, message = error_of(function.invoke(events.http_api(path="/status/503")))
        other = function.invoke(events.http_api(path="/status/403"))

    assert kind == "Function.HttpStatus"
    assert message == "GET /status/503 is answered 503 Service Unavailable: a body"
    assert other.error is None


# --- events that are no requests ----------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"eventSource": "aws:sqs", "body": "ž"}]},
        {"httpMethod": "GET"},
        {"type": "REQUEST", "methodArn": "arn:x", "httpMethod": "GET", "path": "/",
         "requestContext": {}},
        [1, 2],
        "text",
        None,
    ],
)  # fmt: skip
def test_an_event_that_is_no_request_is_the_body_of_one(server: Function, event: object) -> None:
    answer = server.invoke(event)

    told = answer.fields()
    assert (told["event"], told["type"]) == (event, "application/json")
    assert told["context"]["request_id"] == answer.request_id  # type: ignore[index]  # JSON


def test_an_event_that_the_server_refuses_has_failed(server: Function) -> None:
    kind, message = error_of(server.invoke({"refuse": True}))

    assert kind == "Function.HttpStatus"
    assert message == "POST /events is answered 500 Internal Server Error: no such thing"


# --- the server's life --------------------------------------------------------------------


def count(function: Function) -> dict[str, object]:
    return function.invoke({"count": True}).fields()


def test_one_connection_is_kept(server: Function) -> None:
    first = count(server)
    for _ in range(20):
        asked(server, events.http_api())
    last = count(server)

    assert last["born"] == first["born"]
    assert last["count"] == int(str(first["count"])) + 21
    # A pause of the machine's may cost one; a connection for each request would cost 21.
    assert int(str(last["connections"])) - int(str(first["connections"])) < 5


def test_a_server_may_close_its_connections(server: Function) -> None:
    for _ in range(10):
        event = events.http_api("POST", "/close", body="x")
        assert server.invoke(event).fields()["body"] == "closing"


def test_a_server_that_dies_is_an_error_and_the_environment_starts_anew(tmp_path: Path) -> None:
    with run("server.py", tmp_path) as function:
        before = count(function)["born"]
        answer = function.invoke(events.http_api(path="/exit/3"))
        after = count(function)

    assert error_of(answer) == (
        "Function.ServerExited",
        "server.py exited with status 3 while it was to answer GET /exit/3: the last words",
    )
    assert after["born"] != before
    assert after["count"] == 1


def test_a_server_that_has_died_since_is_started_again(tmp_path: Path) -> None:
    with run("server.py", tmp_path) as function:
        answer = function.invoke(events.http_api(path="/exit_later"))
        # Whether it is gone by then or not: it is another's to answer.
        after = count(function)

    assert answer.fields()["body"] == "goodbye"
    assert after["count"] == 1


def test_an_answer_that_breaks_off_is_an_error(server: Function) -> None:
    kind, message = error_of(server.invoke(events.http_api(path="/hang_up")))

    assert kind == "Function.BadServerResponse"
    assert "GET /hang_up is not answered as HTTP has it: unexpected EOF" in message


def test_a_server_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    with run("server.py", tmp_path, timeout=1) as function:
        assert error_of(function.invoke(events.http_api(path="/sleep")))[0] == "Sandbox.Timedout"
        assert asked(function, events.http_api())["path"] == "/"


def test_an_init_error_is_what_callers_get(tmp_path: Path) -> None:
    with run("server.py", tmp_path, "BROKEN=exit") as function:
        kind, message = error_of(function.invoke(events.http_api()))

    assert kind == "Runtime.ServerExited"
    assert message.startswith("server.py exited with status 5 before it listened at 127.0.0.1:")
    assert message.endswith("; it has to stay in the foreground: no such database")


BAD_STARTS: dict[str, tuple[dict[str, str], str, str]] = {
    "exits": (
        {"BROKEN": "exit"},
        "Runtime.ServerExited",
        r"server.py exited with status 5 before it listened at 127.0.0.1:\d+; .*: no such database",
    ),
    "listens elsewhere": (
        {"BROKEN": "elsewhere", "RIE_HTTP_READY_TIMEOUT": "0.3"},
        "Runtime.ServerNotReady",
        r"server.py is not ready after 300ms: nothing listens at 127.0.0.1:\d+ ",
    ),
    "is not ready": (
        {
            "BROKEN": "503",
            "RIE_HTTP_READY_TIMEOUT": "2",
            "RIE_HTTP_READY_PROTOCOL": "http",
            "RIE_HTTP_READY_PATH": "/health",
        },
        "Runtime.ServerNotReady",
        r"server.py is not ready after 2s: GET /health is answered 503 ",
    ),
    "no port": (
        {"RIE_HTTP_PORT": "many"},
        "Runtime.InvalidSetting",
        r'RIE_HTTP_PORT is "many"; it must be a number from 0 to 65535',
    ),
    "streaming": (
        {"AWS_LWA_INVOKE_MODE": "response_stream"},
        "Runtime.InvalidSetting",
        r"AWS_LWA_INVOKE_MODE is response_stream, which this runtime does not have yet",
    ),
    "no program": ({"RIE_HTTP_COMMAND": "no-such"}, "Runtime.HandlerNotFound", "no file .*no-such"),
}


@pytest.mark.parametrize("name", BAD_STARTS)
def test_a_server_that_does_not_get_ready_is_an_init_error(
    httpserver: HTTPServer, name: str
) -> None:
    variables, kind, message = BAD_STARTS[name]
    settings = {"RIE_HTTP_PORT": "0", "RIE_HTTP_READY_PROTOCOL": "tcp", **variables}

    failed = fail_to_start(httpserver, "http", FUNCTIONS, "server.py", **settings)

    assert (failed.kind, failed.header, failed.status) == (kind, kind, 1)
    assert re.match(message, failed.message), failed.message


def test_a_port_that_is_taken_is_an_init_error(httpserver: HTTPServer) -> None:
    # The one that is surely taken is the Runtime API's.
    port = str(httpserver.port)

    failed = fail_to_start(httpserver, "http", FUNCTIONS, "server.py", RIE_HTTP_PORT=port)

    assert failed.kind == "Runtime.PortTaken"
    assert failed.message.startswith(f"another program listens at 127.0.0.1:{port} already")


def test_readiness_can_be_asked_for_by_http(tmp_path: Path) -> None:
    with run("server.py", tmp_path, "RIE_HTTP_READY_PROTOCOL=http") as function:
        assert count(function)["count"] == 2


def test_the_variables_of_the_web_adapter_are_understood(tmp_path: Path) -> None:
    variables = ("RIE_HTTP_PORT=", "AWS_LWA_PORT=0", "AWS_LWA_REMOVE_BASE_PATH=/v1")
    with run("server.py", tmp_path, *variables) as function:
        assert asked(function, events.http_api(path="/v1/a"))["path"] == "/a"


NODE_SERVER = """
require("http").createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    response.setHeader("Set-Cookie", ["a=1", "b=2"]);
    response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
  });
}).listen(process.env.PORT, "127.0.0.1");
"""


def test_a_server_of_nodes_behind_a_script(tmp_path: Path) -> None:
    require("node")
    (tmp_path / "log").mkdir()
    (tmp_path / "server.js").write_text(NODE_SERVER)
    (tmp_path / "run.sh").write_text("#!/bin/sh\nexec node server.js\n")
    (tmp_path / "run.sh").chmod(0o755)

    with run("run.sh", tmp_path / "log", task_root=tmp_path) as function:
        event = events.http_api("POST", "/ž", "a=1", body="ž")
        answer = function.invoke(event).fields()

    assert answer["body"] == "POST /%C5%BE?a=1 ž"
    assert answer["cookies"] == ["a=1", "b=2"]


def test_the_command_can_be_a_variable(tmp_path: Path) -> None:
    with run("ignored", tmp_path, "RIE_HTTP_COMMAND=python3 server.py") as function:
        assert asked(function, events.http_api())["path"] == "/"
