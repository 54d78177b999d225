"""The connection to the Runtime API, whatever a server may do to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.scripted import (
    ACCEPTED,
    Answer,
    Event,
    ScriptedApi,
    finish,
    refusing_address,
    status,
)
from tests.node.played import OURS, THE_END, event, play_ours, start, write
from tests.real.runtimes import OUR_NODE, require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.bootstrap.scripted import Finished

ECHO = "exports.handler = async (event) => event;"
TEXT = {"größe": "漢字 😀" * 5}
LONG = json.dumps(TEXT, ensure_ascii=False).encode()
REDIRECTED = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture(autouse=True)
def node() -> None:
    require(*OUR_NODE.tools)


def run(
    folder: Path,
    *script: Answer | Event | bytes,
    source: str = ECHO,
    env: Mapping[str, str] | None = None,
) -> tuple[ScriptedApi, Finished]:
    write(folder, {"app.js": source})
    with ScriptedApi(*script) as api:
        return api, finish(start(OURS, api, folder, "app.handler", env))


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces,)) + (
        b"0\r\nTrailer: 1\r\n\r\n"
    )


WHOLE = Event(LONG).whole()
REPLIES = {
    "in one piece": Answer((WHOLE,)),
    "byte by byte": Answer(tuple(WHOLE[at : at + 1] for at in range(len(WHOLE)))),
    "in chunks": Answer((Event().head("Transfer-Encoding: chunked") + chunked(LONG, 7),)),
    "in chunks, byte by byte": Answer(
        tuple(
            bytes([byte]) for byte in Event().head("Transfer-Encoding: chunked") + chunked(LONG, 7)
        )
    ),
    "up to the end of the connection": Answer((Event().head() + LONG,), "close"),
    "closed afterwards": Answer(
        (Event().head("Connection: close", f"Content-Length: {len(LONG)}") + LONG,), "close"
    ),
    "after a 100": Answer((REDIRECTED + WHOLE,)),
    "with names in capitals": Answer((WHOLE.replace(b"Lambda-Runtime", b"LAMBDA-RUNTIME"),)),
    "without a content type": Answer((Event(LONG, content_type=None).whole(),)),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_an_event_arrives_however_it_is_sent(tmp_path: Path, reply: Answer) -> None:
    api, _ = run(tmp_path, reply, ACCEPTED, THE_END)

    (post,) = api.posts()
    assert post.json() == TEXT


def test_all_requests_go_over_one_connection(tmp_path: Path) -> None:
    api, _ = run(tmp_path, event(), ACCEPTED, event(), ACCEPTED, THE_END)

    assert [request.connection for request in api.requests] == [0] * 5


def test_a_connection_dropped_while_it_was_idle_is_replaced(tmp_path: Path) -> None:
    accepted_and_dropped = Answer((ACCEPTED,), "close")

    api, ended = run(tmp_path, event(1), accepted_and_dropped, event(2), ACCEPTED, THE_END)

    assert [post.body for post in api.posts()] == [b"1", b"2"]
    assert ended.code == 1


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_next_is_asked_again_when_its_connection_is_lost(tmp_path: Path, ending: str) -> None:
    api, _ = run(tmp_path, Answer((), ending), event(1), ACCEPTED, THE_END)

    assert [post.body for post in api.posts()] == [b"1"]


@pytest.mark.parametrize("code", [400, 403, 410, 413])
def test_an_answer_that_is_refused_is_logged_and_the_next_event_served(
    tmp_path: Path, code: int
) -> None:
    api, ended = run(tmp_path, event(1), status(code, b"why"), event(2), ACCEPTED, THE_END)

    assert [post.body for post in api.posts()] == [b"1", b"2"]
    assert f"Reason: '{code}'. Response body: 'why'" in ended.out


def test_an_answer_that_is_refused_before_it_is_sent_is_survived(tmp_path: Path) -> None:
    source = "exports.handler = async (event) => event === 1 ? 'x'.repeat(8e6) : event;"
    early = Answer((b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\n{}",), unread=True)

    with ScriptedApi(event(1), early) as first:
        write(tmp_path, {"app.js": source})
        process = start(OURS, first, tmp_path, "app.handler")
        first.wait_for_requests(3)
        process.kill()
        ended = finish(process)

    assert "Reason: '413'" in ended.out


def test_500_is_the_word_to_exit(tmp_path: Path) -> None:
    _, ended = run(tmp_path, event(), status(500))

    assert ended.code == 1


def test_a_reply_without_an_invocation_ends_it(tmp_path: Path) -> None:
    _, ended = run(tmp_path, status(204, b""))

    assert ended.code == 1
    assert "Reason: '204'" in ended.out


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
    ],
)
def test_what_does_not_speak_http_ends_it(tmp_path: Path, garbage: bytes) -> None:
    _, ended = run(tmp_path, garbage)

    assert ended.code == 1
    assert "Failed to get the next invocation" in ended.out


def test_an_api_that_is_not_there_ends_it(tmp_path: Path) -> None:
    write(tmp_path, {"app.js": ECHO})

    with refusing_address() as (host, port), ScriptedApi() as api:
        api.address = f"{host}:{port}"
        ended = finish(start(OURS, api, tmp_path, "app.handler"))

    assert ended.code == 1
    assert "ECONNREFUSED" in ended.out


def test_the_invocations_nonce_goes_back_with_answer_and_error(tmp_path: Path) -> None:
    source = "exports.handler = async (event) => { if (event) throw new Error('bad'); };"

    played = play_ours(
        tmp_path, source, event(0, Invocation_Id="n1"), event(1, Invocation_Id="n2"), event(1)
    )

    nonces = [post.headers.get("lambda-runtime-invocation-id") for post in played.posts]
    assert nonces == ["n1", "n2", None]


def test_the_cause_of_an_error_goes_along_in_utf_8(tmp_path: Path) -> None:
    source = "exports.handler = async function named() { throw new TypeError('größer\\n漢'); };"

    played = play_ours(tmp_path, source)

    cause = json.loads(played.posts[0].headers["lambda-runtime-function-xray-error-cause"])
    (error,) = cause["exceptions"]
    assert (error["type"], error["message"]) == ("TypeError", "größer\n漢")
    assert error["stack"][0] == {
        "path": str(tmp_path / "app.js"),
        "line": 1,
        "label": "named",
    }


def test_a_cause_too_large_for_a_header_is_left_out(tmp_path: Path) -> None:
    source = "exports.handler = async () => { throw new Error('x'.repeat(1_100_000)); };"

    played = play_ours(tmp_path, source)

    assert "lambda-runtime-function-xray-error-cause" not in played.posts[0].headers
    assert played.answers()[0][0] == "error"


def test_an_init_error_has_a_type_that_the_platform_knows(tmp_path: Path) -> None:
    played = play_ours(tmp_path, "throw new TypeError('bad');")
    found = play_ours(tmp_path, "exports.other = 1;")

    types = [p.posts[0].headers["lambda-runtime-function-error-type"] for p in (played, found)]
    assert types == ["Runtime.Unknown", "Runtime.HandlerNotFound"]


def test_a_path_may_follow_the_address(tmp_path: Path) -> None:
    write(tmp_path, {"app.js": ECHO})

    with ScriptedApi(THE_END) as api:
        address = {"AWS_LAMBDA_RUNTIME_API": f"{api.address}/some/prefix/"}
        finish(start(OURS, api, tmp_path, "app.handler", address))

    assert api.requests[0].path == "/some/prefix/2018-06-01/runtime/invocation/next"
