from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rie.http.body import ChunkedBody, FixedBody, TooLarge
from rie.http.buffers import SMALL, BufferPool
from tests.http.wire import chunked

POOL = BufferPool(size=4 * SMALL)
LIMIT = 100 * SMALL
TRAILERS = b"A: b\r\nC: \xff\r\n"


def feed(body: FixedBody | ChunkedBody, wire: bytes, cuts: list[int]) -> int:
    """Feed `wire` cut into pieces; return how much of it was taken."""
    source = bytearray(wire)
    ends = [*sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    at = 0
    for end in ends:
        at = body.feed(source, at, end)
    return at


def chunks(content: bytes, size: int) -> bytes:
    return chunked(content, size, trailers=TRAILERS).partition(b"\r\n\r\n")[2]


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=50), st.integers(1, 60), st.lists(st.integers(0, 500)))
def test_chunks_are_put_together_wherever_they_were_cut(
    content: bytes, size: int, cuts: list[int]
) -> None:
    wire = chunks(content, size)
    body = ChunkedBody(POOL, 1000)
    body.collect(LIMIT)

    taken = feed(body, wire + b"GET /next", cuts)

    assert taken == len(wire)
    assert body.complete
    assert body.result == content
    assert body.trailers == {b"a": b"b", b"c": b"\xff"}


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 4 * SMALL), st.integers(SMALL // 3, 5 * SMALL), st.lists(st.integers()))
def test_large_chunked_bodies_grow_into_pooled_buffers(
    length: int, size: int, cuts: list[int]
) -> None:
    content = bytes(range(256)) * (length // 256)
    body = ChunkedBody(POOL, 1000)
    body.collect(LIMIT)

    feed(body, chunks(content, size), cuts)

    assert body.result == content


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=50), st.integers(1, 60), st.integers(0, 50), st.lists(st.integers()))
def test_a_chunked_body_over_its_limit_is_followed_to_its_end(
    content: bytes, size: int, limit: int, cuts: list[int]
) -> None:
    wire = chunks(content, size)
    body = ChunkedBody(POOL, 1000)
    body.collect(limit)

    taken = feed(body, wire + b"GET /next", cuts)

    assert taken == len(wire)
    assert (body.too_large is not None) == (len(content) > limit)
    assert body.length == len(content)


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(1, 3 * SMALL), st.lists(st.integers(0), max_size=10))
def test_a_body_of_known_length_is_put_together_wherever_it_was_cut(
    length: int, cuts: list[int]
) -> None:
    content = (bytes(range(256)) * (length // 256 + 1))[:length]
    body = FixedBody(length, POOL)
    assert body.collect(LIMIT) is None

    taken = feed(body, content + b"GET /next", cuts)

    assert taken == length
    assert body.complete
    assert body.result == content


def test_the_rest_of_a_large_body_goes_straight_to_its_place() -> None:
    body = FixedBody(2 * SMALL, POOL)
    body.collect(LIMIT)
    body.feed(bytearray(b"head"), 0, 4)

    window = body.window()
    assert window is not None
    assert len(window) == 2 * SMALL - 4
    window[:] = b"a" * len(window)
    body.filled(len(window))

    assert body.complete
    assert body.result == b"head" + b"a" * (2 * SMALL - 4)


def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_kept() -> None:
    body = FixedBody(11, POOL)

    assert body.collect(10) == TooLarge(size=11, limit=10)


def test_a_body_that_is_discarded_is_only_counted() -> None:
    body = FixedBody(SMALL, POOL)
    body.collect(LIMIT)
    body.feed(bytearray(10), 0, 10)
    body.discard()

    assert body.window() is None
    assert body.feed(bytearray(SMALL), 0, SMALL) == SMALL - 10
    assert body.complete
    assert body.result == b""
