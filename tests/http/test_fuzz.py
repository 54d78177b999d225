"""Whatever bytes a client sends, however they are cut: an end, no 500, and the next is served."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.http.message import Response
from rie.http.server import Exchange, Limits
from tests.http.wire import Served, chunked, echo, get, post, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits(head_bytes=4096, held_bytes=1000, drain_bytes=1_000_000)
PROTOCOL_REFUSALS = {501, 505}  # of a transfer coding, of a version

VALID = [
    get(),
    get(b"/unread", b"Connection: close"),
    get(version=b"1.0"),
    post(b"payload"),
    post(b"payload" * 500, path=b"/unread"),
    post(b"payload", b"Expect: 100-continue"),
    post(b"payload", b"Connection: Upgrade", b"Upgrade: h2c"),
    chunked(b"payload" * 20, 9, b"Trailer: A", trailers=b"A: \xc3\xa9\r\n"),
    chunked(b"payload", 3).replace(b"POST /", b"POST /unread"),
]
INTERESTING = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b":", b" ", b"0", b"-1", b"\xff", b";"]


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Requests, some of them damaged, cut anywhere."""
    wire = bytearray(b"".join(draw(st.lists(st.sampled_from(VALID) | st.binary(), max_size=5))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(wire)))
        until = at + draw(st.integers(0, 3))
        wire[at:until] = draw(st.sampled_from(INTERESTING) | st.binary(max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    return [
        bytes(wire[start:end]) for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)
    ]


def endpoint(exchange: Exchange) -> None:
    """Echo the body, or leave it unread."""
    if exchange.head.path == "/unread":
        exchange.respond(Response(200, b"unread"))
    else:
        echo(exchange)


async def converse(served: Served, pieces: list[bytes]) -> list[int]:
    """Send the pieces, then end; return the statuses of all answers."""
    async with await served.connect() as client:
        for piece in pieces:
            client.writer.write(piece)
            await asyncio.sleep(0)
        client.shut_down_sending()
        return statuses(await client.rest())


def statuses(received: bytes) -> list[int]:
    """Take the answers apart: there must be nothing else, and nothing missing."""
    found = []
    while received:
        head, separator, received = received.partition(b"\r\n\r\n")
        assert separator
        line, *fields = head.split(b"\r\n")
        headers = dict(field.split(b": ", 1) for field in fields)
        length = int(headers.get(b"Content-Length", b"0"))
        assert len(received) >= length
        received = received[length:]
        found.append(int(line.split()[1]))
    return found


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


@settings(max_examples=200, deadline=None)
@given(conversations=st.lists(conversations(), min_size=1, max_size=3))
def test_no_input_hangs_or_breaks_the_server(
    runner: asyncio.Runner, conversations: list[list[bytes]]
) -> None:
    async def run() -> None:
        async with serving(endpoint, LIMITS) as served:
            found = await asyncio.gather(*(converse(served, each) for each in conversations))
            assert served.errors == []
            for status in {status for each in found for status in each}:
                assert status < 500 or status in PROTOCOL_REFUSALS
            assert await converse(served, [post(b"honest")]) == [200]

    runner.run(run())


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, sum(map(len, VALID))), max_size=30))
def test_valid_requests_are_served_however_they_are_cut(
    runner: asyncio.Runner, cuts: list[int]
) -> None:
    kept = [request for request in VALID if b"close" not in request and b"/1.0" not in request]
    wire = b"".join(kept)
    edges = [0, *sorted(cut % len(wire) for cut in cuts), len(wire)]
    pieces = [wire[start:end] for start, end in itertools.pairwise(edges)]

    async def run() -> None:
        async with serving(endpoint, LIMITS) as served:
            answers = await converse(served, pieces)
            assert [status for status in answers if status != 100] == [200] * len(kept)

    runner.run(run())
