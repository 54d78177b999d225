"""What goes over the wire: framing, pipelining, versions, and what real clients do."""

from __future__ import annotations

import asyncio
import gc
import os
import socket

import pytest

from rie.http.buffers import first_free
from rie.http.message import Response
from rie.http.server import Exchange, Limits
from tests.http.wire import (
    BODY_LIMIT,
    LIMIT,
    Answer,
    chunked,
    echo,
    echo_body,
    get,
    pause_reading,
    post,
    refuse_body,
    resume_reading,
    serving,
    until,
)

pytestmark = pytest.mark.anyio

SIX_MIB = os.urandom(6 * 1024 * 1024)

ONE_READ = 256 * 1024  # bytes, at most, in both event loops


def ok(exchange: Exchange) -> None:
    exchange.respond(Response(200, exchange.head.raw_path))


async def test_a_body_of_known_length_comes_back() -> None:
    async with serving(echo) as served, await served.connect() as client:
        answer = await client.ask(post(b"payload"))

    assert (answer.status, answer.body) == (200, b"payload")


async def test_an_answer_carries_date_and_length_and_is_never_compressed() -> None:
    async with serving(echo) as served, await served.connect() as client:
        answer = await client.ask(post(b"a" * 1000, b"Accept-Encoding: gzip, deflate"))

    assert answer.headers["content-length"] == "1000"
    assert answer.headers["date"].endswith(" GMT")
    assert "content-encoding" not in answer.headers


async def test_a_head_may_come_byte_by_byte() -> None:
    async with serving(echo) as served, await served.connect() as client:
        for byte in post(b"payload"):
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        answer = await client.answer()

    assert answer.body == b"payload"


async def test_six_mib_of_known_length_are_echoed_byte_by_byte() -> None:
    async with serving(echo) as served, await served.connect() as client:
        for _ in range(2):
            assert (await client.ask(post(SIX_MIB))).body == SIX_MIB


async def test_six_mib_in_chunks_are_echoed_byte_by_byte() -> None:
    async with serving(echo) as served, await served.connect() as client:
        for size in (32 * 1024, len(SIX_MIB)):
            assert (await client.ask(chunked(SIX_MIB, size))).body == SIX_MIB


async def test_bodies_of_one_connection_do_not_mix_with_those_of_another() -> None:
    bodies = [bytes((number,)) * (1_000_000 + number) for number in range(8)]

    async def exchange(body: bytes) -> bytes:
        async with await served.connect() as client:
            return (await client.ask(post(body))).body

    async with serving(echo) as served:
        answers = await asyncio.gather(*map(exchange, bodies))

    assert answers == bodies


async def test_an_answer_that_is_not_yet_sent_keeps_its_buffer() -> None:
    other = SIX_MIB[::-1]

    async with (
        serving(echo) as served,
        await served.connect() as slow,
        await served.connect() as quick,
    ):
        pause_reading(slow)
        await slow.send(post(SIX_MIB))
        await until(lambda: any(each._writing_paused for each in served.server.connections))
        for _ in range(5):
            assert (await quick.ask(post(other))).body == other
        resume_reading(slow)
        assert (await slow.answer()).body == SIX_MIB


async def test_large_bodies_use_the_same_few_buffers_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        async with serving(echo) as served, await served.connect() as client:
            for _ in range(20):
                await client.ask(post(SIX_MIB[:1_000_000]))
            buffers = served.server.pool._buffers
            await until(lambda: first_free(buffers) is buffers[0])
            assert len(buffers) <= 3
    finally:
        gc.enable()


async def test_trailers_are_reported_after_a_chunked_body() -> None:
    trailers = b"Lambda-Runtime-Function-Error-Type: Boom\r\nOther: \xc3\xa9\r\n"
    request = chunked(
        b"partial", 3, b"Trailer: Lambda-Runtime-Function-Error-Type", trailers=trailers
    )

    async with serving(echo) as served, await served.connect() as client:
        answer = await client.ask(request)

    assert answer.body == b"partial"
    assert answer.headers["x-trailer-lambda-runtime-function-error-type"] == "Boom"
    assert answer.headers["x-trailer-other"] == "Ã©"


async def test_chunk_extensions_are_ignored() -> None:
    request = chunked(b"", 1)[: -len(b"0\r\n\r\n")] + b"3;name=value\r\nabc\r\n0;last\r\n\r\n"

    async with serving(echo) as served, await served.connect() as client:
        assert (await client.ask(request)).body == b"abc"


async def test_a_chunked_body_may_come_byte_by_byte() -> None:
    async with serving(echo) as served, await served.connect() as client:
        for byte in chunked(b"payload", 3, trailers=b"A: b\r\n"):
            await client.send(bytes((byte,)))
            await asyncio.sleep(0)
        answer = await client.answer()

    assert answer.body == b"payload"


async def test_a_header_of_one_mib_of_raw_utf8_arrives_whole() -> None:
    cause = "é".encode() * (512 * 1024)
    seen: list[bytes | None] = []

    def endpoint(exchange: Exchange) -> None:
        seen.append(exchange.head.headers.get(b"lambda-runtime-function-xray-error-cause"))
        ok(exchange)

    async with serving(endpoint) as served, await served.connect() as client:
        await client.ask(get(b"/", b"Lambda-Runtime-Function-XRay-Error-Cause: " + cause))

    assert seen == [cause]


async def test_header_names_are_found_whatever_their_case() -> None:
    seen: list[bytes | None] = []

    def endpoint(exchange: Exchange) -> None:
        seen.append(exchange.head.headers.get(b"x-name"))
        ok(exchange)

    async with serving(endpoint) as served, await served.connect() as client:
        for name in (b"x-name", b"X-NAME", b"X-Name"):
            await client.ask(get(b"/", name + b": value"))

    assert seen == [b"value"] * 3


@pytest.mark.parametrize("complete", [True, False])
async def test_a_head_over_the_limit_is_refused_with_431(*, complete: bool) -> None:
    head = b"GET / HTTP/1.1\r\nA: " + b"a" * 5000 + (b"\r\n\r\n" if complete else b"")

    async with serving(ok, Limits(head_bytes=4096)) as served, await served.connect() as client:
        assert (await client.ask(head)).status == 431
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\r\nHost: a\nB: c\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\nName : value\r\n\r\n",
        b"GET / HTTP/1.1\r\nName: a\0b\r\n\r\n",
        b"BREW / HTTP/1.1\r\n\r\n",
        b"CONNECT host:80 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_a_head_that_can_be_read_in_two_ways_or_none_is_refused(head: bytes) -> None:
    async with serving(ok) as served, await served.connect() as client:
        answer = await client.ask(head)

        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""


@pytest.mark.parametrize("head", [get(version=b"2.0"), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
async def test_an_unknown_version_is_refused_with_505(head: bytes) -> None:
    async with serving(ok) as served, await served.connect() as client:
        assert (await client.ask(head)).status == 505


async def test_an_unknown_transfer_coding_is_refused_with_501() -> None:
    async with serving(ok) as served, await served.connect() as client:
        request = b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        assert (await client.ask(request)).status == 501


async def test_empty_lines_before_a_request_are_skipped() -> None:
    async with serving(echo) as served, await served.connect() as client:
        await client.ask(post(b"one"))
        assert (await client.ask(b"\r\n\r\n" + post(b"two"))).body == b"two"


async def test_pipelined_requests_are_answered_in_order() -> None:
    bodies = [b"%d" % number for number in range(50)]

    async with serving(echo) as served, await served.connect() as client:
        await client.send(b"".join(chunked(body, 1) + post(body) for body in bodies))
        answers = [(await client.answer()).body for _ in range(2 * len(bodies))]

    assert answers == [body for body in bodies for _ in range(2)]


async def test_a_pipelined_request_waits_for_the_answer_before_it() -> None:
    waiting: list[Exchange] = []
    arrived = asyncio.Event()

    def park(exchange: Exchange) -> None:
        waiting.append(exchange)
        arrived.set()

    async with serving(park) as served, await served.connect() as client:
        await client.send(get(b"/first") + get(b"/second"))
        await asyncio.wait_for(arrived.wait(), LIMIT)
        assert len(waiting) == 1
        arrived.clear()
        ok(waiting[0])
        assert len(waiting) == 1  # never from within respond()
        await asyncio.wait_for(arrived.wait(), LIMIT)
        ok(waiting[1])

        assert (await client.answer()).body == b"/first"
        assert (await client.answer()).body == b"/second"


async def test_input_ahead_of_its_turn_is_held_within_a_bound() -> None:
    waiting: list[Exchange] = []
    arrived = asyncio.Event()

    def park_first(exchange: Exchange) -> None:
        if waiting:
            echo(exchange)
        else:
            waiting.append(exchange)
            arrived.set()

    limits = Limits(held_bytes=10_000)
    async with serving(park_first, limits) as served, await served.connect() as client:
        await client.send(get(b"/parked"))
        await asyncio.wait_for(arrived.wait(), LIMIT)
        sending = asyncio.create_task(client.send(post(SIX_MIB) + get(b"/last")))
        connection = next(iter(served.server.connections))
        await until(lambda: connection._reading_paused)
        assert len(connection._held) <= 10_000 + ONE_READ
        ok(waiting[0])

        assert (await client.answer()).body == b"/parked"
        assert (await client.answer()).body == SIX_MIB
        assert (await client.answer()).status == 200
        await sending


async def test_a_client_that_does_not_read_is_not_served_further() -> None:
    served_count = 0

    def large(exchange: Exchange) -> None:
        nonlocal served_count
        served_count += 1
        exchange.respond(Response(200, SIX_MIB))

    async with serving(large) as served, await served.connect() as client:
        pause_reading(client)
        await client.send(get() * 10)
        await until(lambda: served_count)
        connection = next(iter(served.server.connections))
        await until(lambda: connection._writing_paused)
        assert served_count == 1
        resume_reading(client)

        for _ in range(10):
            assert len((await client.answer()).body) == len(SIX_MIB)


async def test_expect_100_continue_is_answered_when_the_body_is_wanted() -> None:
    head, _, body = post(b"payload", b"Expect: 100-continue").partition(b"\r\n\r\n")

    async with serving(echo) as served, await served.connect() as client:
        assert (await client.ask(head + b"\r\n\r\n")).status == 100
        assert (await client.ask(body)).body == b"payload"


async def test_no_100_is_sent_when_the_body_is_there_already() -> None:
    async with serving(echo) as served, await served.connect() as client:
        assert (await client.ask(post(b"payload", b"Expect: 100-continue"))).body == b"payload"


async def test_a_body_that_is_not_wanted_is_not_asked_for() -> None:
    head = post(b"payload", b"Expect: 100-continue").removesuffix(b"payload")

    async with serving(ok) as served, await served.connect() as client:
        answer = await client.ask(head)

        assert answer.status == 200
        assert answer.headers["connection"] == "close"  # it may send the body or not
        assert await client.rest() == b""


@pytest.mark.parametrize("make", [post, lambda body, *headers: chunked(body, 4, *headers)])
async def test_upgrade_to_h2c_is_ignored_and_the_body_read(make: object) -> None:
    assert callable(make)
    headers = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA")

    async with serving(echo) as served, await served.connect() as client:
        for _ in range(2):
            answer = await client.ask(make(b"payload", *headers))
            assert (answer.status, answer.body) == (200, b"payload")


async def test_http_1_0_is_answered_and_closed() -> None:
    async with serving(echo) as served, await served.connect() as client:
        answer = await client.ask(post(b"payload", version=b"1.0"))

        assert answer.body == b"payload"
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""


async def test_http_1_0_may_ask_to_be_kept() -> None:
    async with serving(echo) as served, await served.connect() as client:
        for _ in range(2):
            answer = await client.ask(post(b"a", b"Connection: keep-alive", version=b"1.0"))
            assert answer.headers["connection"] == "keep-alive"


async def test_connection_close_is_honoured() -> None:
    async with serving(echo) as served, await served.connect() as client:
        answer = await client.ask(post(b"payload", b"Connection: close"))

        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""


async def test_an_answer_to_head_has_the_length_but_no_body() -> None:
    def endpoint(exchange: Exchange) -> None:
        exchange.respond(Response(200, b"payload"))

    async with serving(endpoint) as served, await served.connect() as client:
        await client.send(get().replace(b"GET", b"HEAD"))
        answer = await client.answer(to_head=True)
        assert answer.headers["content-length"] == "7"
        assert (await client.ask(get())).body == b"payload"


async def test_204_has_no_length_and_no_body() -> None:
    async with (
        serving(lambda exchange: exchange.respond(Response(204))) as served,
        await served.connect() as client,
    ):
        assert "content-length" not in (await client.ask(get())).headers
        assert (await client.ask(get())).status == 204


async def test_a_target_may_be_a_whole_url() -> None:
    async with serving(ok) as served, await served.connect() as client:
        assert (await client.ask(get(b"http://rie/path?query"))).body == b"/path"


async def test_a_path_may_hold_raw_utf8() -> None:
    paths: list[str] = []

    def endpoint(exchange: Exchange) -> None:
        paths.append(exchange.head.path)
        ok(exchange)

    async with serving(endpoint) as served, await served.connect() as client:
        await client.ask(get("/é/%C3%A9".encode(), b"A: \xff"))

    assert paths == ["/é/é"]


async def answer_to_too_large(request: bytes, limit: int) -> tuple[Answer, Answer]:
    """Answer to `request`, and to the next one on the same connection."""

    def endpoint(exchange: Exchange) -> None:
        exchange.read_body(limit, echo_body, refuse_body)

    async with serving(endpoint) as served, await served.connect() as client:
        # As http.client does: send all of it, then look for the answer.
        refused = await client.ask(request)
        return refused, await client.ask(post(b"next"))


async def test_a_client_whose_declared_length_is_too_large_reads_the_answer() -> None:
    refused, following = await answer_to_too_large(post(SIX_MIB), 1_000_000)

    assert refused.status == 413
    assert refused.body == b"TooLarge(size=6291456, limit=1000000)"
    assert following.body == b"next"


async def test_a_client_whose_chunks_grow_too_large_reads_the_answer() -> None:
    refused, following = await answer_to_too_large(chunked(SIX_MIB, 1000), 1_000_000)

    assert refused.status == 413
    assert refused.body == b"TooLarge(size=1001000, limit=1000000)"
    assert following.body == b"next"


async def test_a_body_of_exactly_the_limit_is_not_too_large() -> None:
    for request in (post(b"a" * 1000), chunked(b"a" * 1000, 7)):
        answer, _ = await answer_to_too_large(request, 1000)
        assert answer.status == 200


async def test_a_body_that_nobody_reads_is_drained_before_the_next_request() -> None:
    async with serving(ok) as served, await served.connect() as client:
        for request in (post(SIX_MIB), chunked(SIX_MIB, 10_000), post(b"small")):
            assert (await client.ask(request)).body == b"/"
        assert (await client.ask(get(b"/next"))).body == b"/next"


async def test_a_body_too_large_to_be_drained_ends_the_connection() -> None:
    async with serving(ok, Limits(drain_bytes=1000)) as served, await served.connect() as client:
        answer = await client.ask(post(b"a" * 2000).removesuffix(b"a" * 2000))
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""


async def test_a_body_may_be_asked_for_later() -> None:
    waiting: list[Exchange] = []
    arrived = asyncio.Event()

    def later(exchange: Exchange) -> None:
        waiting.append(exchange)
        arrived.set()

    async with serving(later) as served, await served.connect() as client:
        for body in (b"payload", SIX_MIB, b""):
            arrived.clear()
            sending = asyncio.create_task(client.send(post(body)))
            await asyncio.wait_for(arrived.wait(), LIMIT)
            echo(waiting.pop())
            assert (await client.answer()).body == body
            await sending


async def test_a_body_that_was_read_can_be_asked_for_again() -> None:
    def twice(exchange: Exchange) -> None:
        exchange.read_body(BODY_LIMIT, echo, refuse_body)

    async with serving(twice) as served, await served.connect() as client:
        assert (await client.ask(post(b"payload"))).body == b"payload"


async def test_an_answer_may_come_before_the_body_that_was_asked_for() -> None:
    waiting: list[Exchange] = []

    def early(exchange: Exchange) -> None:
        echo(exchange)
        waiting.append(exchange)

    async with serving(early) as served, await served.connect() as client:
        await client.send(post(SIX_MIB)[:1_000_000])
        await until(lambda: waiting)
        ok(waiting.pop())
        assert (await client.answer()).body == b"/"
        await client.send(post(SIX_MIB)[1_000_000:])
        assert (await client.ask(post(b"next"))).body == b"next"


async def test_an_exception_of_the_endpoint_is_answered_with_500_and_reported() -> None:
    def endpoint(exchange: Exchange) -> None:
        if exchange.head.path == "/fails":
            raise LookupError("ours")
        ok(exchange)

    async with serving(endpoint) as served, await served.connect() as client:
        answer = await client.ask(get(b"/fails"))

        assert answer.status == 500
        assert answer.headers["content-type"] == "application/json"
        assert b'"errorType":"InternalServerError"' in answer.body
        assert [str(error) for error in served.errors] == ["ours"]
        assert (await client.ask(get(b"/works"))).status == 200


async def test_an_exception_once_the_body_is_there_is_answered_with_500() -> None:
    def fail(exchange: Exchange) -> None:
        raise LookupError(exchange.head.path)

    async with (
        serving(lambda exchange: exchange.read_body(100, fail, refuse_body)) as served,
        await served.connect() as client,
    ):
        assert (await client.ask(post(b"a"))).status == 500
        assert (await client.ask(post(b"a"))).status == 500


async def test_an_exception_after_the_answer_is_only_reported() -> None:
    def endpoint(exchange: Exchange) -> None:
        ok(exchange)
        raise LookupError("late")

    async with serving(endpoint) as served, await served.connect() as client:
        assert (await client.ask(get())).status == 200
        assert (await client.ask(get())).status == 200
        assert len(served.errors) == 2


async def test_a_second_answer_is_an_error_of_the_endpoint() -> None:
    def endpoint(exchange: Exchange) -> None:
        ok(exchange)
        ok(exchange)

    async with serving(endpoint) as served, await served.connect() as client:
        await client.ask(get())

        assert isinstance(served.errors[0], RuntimeError)


async def test_a_header_that_breaks_out_of_its_line_is_an_error_of_the_endpoint() -> None:
    def endpoint(exchange: Exchange) -> None:
        exchange.respond(Response(200, content_type=b"b\r\nSet-Cookie: c"))

    async with serving(endpoint) as served, await served.connect() as client:
        assert (await client.ask(get())).status == 500
        assert isinstance(served.errors[0], ValueError)


async def test_small_answers_are_not_delayed_for_larger_segments() -> None:
    async with serving(ok) as served, await served.connect() as client:
        await client.ask(get())
        connection = next(iter(served.server.connections))
        sock = connection._transport.get_extra_info("socket")

        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
