from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.http.head import BadHeadError, parse_head
from rie.http.message import Response
from rie.http.recent_heads import MAX_BYTES, MAX_KEPT, RecentHeads
from rie.http.server import Exchange, Limits
from tests.http.wire import echo, everywhere, get, post, serving

POLL = get(b"/next")


def make_heads() -> RecentHeads:
    return RecentHeads(everywhere(echo), 2 * MAX_BYTES)


def test_the_same_bytes_are_parsed_twice_and_no_more() -> None:
    heads = make_heads()

    assert heads[POLL] is not heads[POLL]
    assert heads[POLL] is heads[bytes(bytearray(POLL))]


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.sampled_from(["GET", "POST"]), st.integers(0, 9), st.integers(0, 9))))
def test_whatever_was_sent_before_a_head_is_parsed_as_if_it_were_the_first(
    history: list[tuple[str, int, int]],
) -> None:
    heads = make_heads()

    for method, path, value in history:
        raw = b"%b /%d HTTP/1.1\r\nName: %d\r\n\r\n" % (method.encode(), path, value)
        head, fresh = heads[raw], parse_head(raw)
        assert (head.method, head.raw_path) == (fresh.method, fresh.raw_path)
        assert head.headers == fresh.headers


def test_a_head_in_steady_use_stays_among_others_that_come_once() -> None:
    heads = make_heads()
    heads[POLL]
    first = heads[POLL]

    for number in range(100):
        heads[get(b"/%d" % number)]
        assert heads[POLL] is first


def test_what_is_kept_is_bounded_in_number_and_bytes() -> None:
    heads = make_heads()

    for number in range(100):
        for _ in range(3):
            heads[get(b"/%d" % number)]
            heads[get(b"/%d" % number, b"Name: " + b"x" * MAX_BYTES)]

    assert 0 < len(heads) <= MAX_KEPT
    assert all(len(raw) <= MAX_BYTES for raw in (*heads, *heads._once))


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        get(b"/", b"Name: " + b"x" * 2 * MAX_BYTES),
    ],
)
def test_a_head_that_is_refused_is_not_kept(raw: bytes) -> None:
    heads = make_heads()

    for _ in range(3):
        with pytest.raises(BadHeadError):
            heads[raw]
    assert not heads


@pytest.mark.anyio
async def test_requests_with_the_same_head_have_bodies_of_their_own() -> None:
    requests = []

    def remember(exchange: Exchange) -> None:
        requests.append(exchange)
        exchange.read_body(10, lambda exchange: exchange.respond(Response(200)), lambda *_: None)

    async with serving(remember) as served, await served.connect() as client:
        for body in (b"one", b"two", b"six"):
            await client.ask(post(body))

    assert [request.body for request in requests] == [b"one", b"two", b"six"]
    assert requests[1].head is requests[2].head


@pytest.mark.anyio
async def test_a_value_that_changed_is_the_one_that_is_seen() -> None:
    def say(exchange: Exchange) -> None:
        exchange.respond(Response(200, exchange.head.headers.get(b"id") or b"none"))

    async with serving(say) as served, await served.connect() as client:
        for value in (b"1", b"2", b"1", b"3", b"2"):
            assert (await client.ask(get(b"/", b"Id: " + value))).body == value
        assert (await client.ask(get())).body == b"none"


@pytest.mark.anyio
async def test_a_head_over_the_limit_is_refused_also_when_it_comes_at_once() -> None:
    def welcome(exchange: Exchange) -> None:
        exchange.respond(Response(200))

    async with serving(welcome, Limits(head_bytes=100)) as served, await served.connect() as client:
        assert (await client.ask(get(b"/", b"Name: " + b"x" * 20))).status == 200
        assert (await client.ask(get(b"/", b"Name: " + b"x" * 100))).status == 431
