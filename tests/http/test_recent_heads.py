from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie.http.head import BadHeadError, parse_head
from rie.http.message import Response
from rie.http.recent_heads import GENERATION, MAX_BYTES, RecentHeads
from rie.http.server import Exchange, Limits
from tests.http.wire import get, post, serving

POLL = get(b"/next")


def kept(heads: RecentHeads) -> list[bytes]:
    return [*heads._younger, *heads._older]


def test_the_same_bytes_are_parsed_once() -> None:
    heads = RecentHeads()

    assert heads.parse(POLL) is heads.parse(bytes(bytearray(POLL)))


@given(st.lists(st.tuples(st.sampled_from(["GET", "POST"]), st.integers(0, 9), st.integers(0, 9))))
def test_whatever_was_sent_before_a_head_is_parsed_as_if_it_were_the_first(
    history: list[tuple[str, int, int]],
) -> None:
    heads = RecentHeads()

    for method, path, value in history:
        raw = b"%b /%d HTTP/1.1\r\nName: %d\r\n\r\n" % (method.encode(), path, value)
        head, fresh = heads.parse(raw), parse_head(raw)
        assert (head.method, head.raw_path) == (fresh.method, fresh.raw_path)
        assert list(head.headers) == list(fresh.headers)


def test_a_head_in_steady_use_stays_among_others_that_come_once() -> None:
    heads = RecentHeads()
    first = heads.parse(POLL)

    for number in range(100):
        heads.parse(get(b"/%d" % number))
        assert heads.parse(POLL) is first


def test_what_is_kept_is_bounded_in_number_and_bytes() -> None:
    heads = RecentHeads()

    for number in range(100):
        heads.parse(get(b"/%d" % number))
        heads.parse(get(b"/%d" % number, b"Name: " + b"x" * MAX_BYTES))

    assert len(kept(heads)) <= 2 * GENERATION
    assert all(len(raw) <= MAX_BYTES for raw in kept(heads))


def test_a_head_that_is_refused_is_not_kept() -> None:
    heads = RecentHeads()

    for _ in range(2):
        with pytest.raises(BadHeadError):
            heads.parse(b"GET / HTTP/1.1\r\nno colon\r\n\r\n")
    assert not kept(heads)


@pytest.mark.anyio
async def test_requests_with_the_same_head_have_bodies_of_their_own() -> None:
    requests = []

    def remember(exchange: Exchange) -> None:
        requests.append(exchange.request)
        exchange.read_body(10, lambda exchange: exchange.respond(Response(200)), lambda *_: None)

    async with serving(remember) as served, await served.connect() as client:
        for body in (b"one", b"two"):
            await client.ask(post(body))

    assert [request.body for request in requests] == [b"one", b"two"]
    assert requests[0].headers is requests[1].headers


@pytest.mark.anyio
async def test_a_value_that_changed_is_the_one_that_is_seen() -> None:
    def say(exchange: Exchange) -> None:
        exchange.respond(Response(200, exchange.request.headers.get(b"id") or b"none"))

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
