"""How a connection ends: peers that go away, stall or dribble, and a server that closes."""

from __future__ import annotations

import asyncio
import gc
import os

import pytest

from rie.http.listening import listen
from rie.http.message import Response
from rie.http.server import BodyError, Exchange, Limits, Server, Truncated
from tests.http.wire import (
    BODY_LIMIT,
    LIMIT,
    Client,
    chunked,
    echo,
    echo_body,
    everywhere,
    get,
    pause_reading,
    post,
    refuse_body,
    resume_reading,
    serving,
    until,
)

pytestmark = pytest.mark.anyio

PATIENT = 3600.0
IMPATIENT = 0.05
IDLE = 0.3  # time enough for a request on a busy machine
FDS = "/dev/fd"


class Parking:
    """An endpoint that parks GET, as a long poll, and echoes anything else."""

    def __init__(self) -> None:
        self.parked: list[Exchange] = []
        self.gone: list[Exchange] = []
        self.failed: list[BodyError] = []

    def __call__(self, exchange: Exchange) -> None:
        if exchange.head.method == "GET":
            exchange.on_disconnect = self.gone.append
            self.parked.append(exchange)
        else:
            exchange.read_body(BODY_LIMIT, echo_body, self.fail)

    def fail(self, exchange: Exchange, error: BodyError) -> None:
        self.failed.append(error)
        refuse_body(exchange, error)


def ok(exchange: Exchange) -> None:
    exchange.respond(Response(200, b"ok"))


async def park(client: Client, parking: Parking) -> Exchange:
    before = len(parking.parked)
    await client.send(get())
    await until(lambda: len(parking.parked) > before)
    return parking.parked[-1]


async def test_a_client_that_reads_late_gets_every_answer() -> None:
    def answer(exchange: Exchange) -> None:
        exchange.respond(Response(200, b"x" * 60_000))

    async with serving(answer) as served, await served.connect() as client:
        await client.ask(get())
        (connection,) = served.server.connections
        pause_reading(client)
        asked = 0
        while not connection._writing_paused:
            await client.send(get())
            asked += 1
            await asyncio.sleep(0)
            assert asked < 10_000
        for _ in range(3):
            await client.send(get())
        resume_reading(client)

        for _ in range(asked + 3):
            assert len((await client.answer()).body) == 60_000
        await until(lambda: connection._quick)


async def test_a_second_request_waits_for_the_first_whatever_was_scheduled_before() -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        first = await park(client, parking)
        (connection,) = served.server.connections
        connection._run_held()  # as call_soon does, after an exchange that was unusual
        await client.send(post(b"second"))
        await until(lambda: connection._held)
        ok(first)

        assert (await client.answer()).body == b"ok"
        assert (await client.answer()).body == b"second"
        assert connection._quick


@pytest.mark.parametrize("leave", [Client.hang_up, Client.reset, Client.shut_down_sending])
async def test_a_poller_that_goes_away_while_parked_is_noticed(leave: object) -> None:
    assert callable(leave)
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        exchange = await park(client, parking)
        left = leave(client)
        if left is not None:
            await left
        await until(lambda: parking.gone)

        assert parking.gone == [exchange]
        assert exchange.closed
        ok(exchange)  # too late, and no error
        assert not exchange.answered
        await until(lambda: not served.server.connections)
    assert parking.gone == [exchange]


async def test_the_other_pollers_live_on_when_one_goes_away() -> None:
    parking = Parking()

    async with serving(parking) as served:
        clients = [await served.connect() for _ in range(10)]
        exchanges = [await park(client, parking) for client in clients]
        clients[3].reset()
        await until(lambda: parking.gone)
        assert parking.gone == [exchanges[3]]
        for number, (client, exchange) in enumerate(zip(clients, exchanges, strict=True)):
            if number != 3:
                ok(exchange)
                assert (await client.answer()).body == b"ok"
                await client.hang_up()


async def test_a_poller_that_has_pipelined_is_still_noticed() -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        await client.send(get() + get())
        await until(lambda: parking.parked)
        client.reset()
        await until(lambda: parking.gone)

        assert len(parking.parked) == 1


async def test_a_poll_parked_after_its_peer_is_gone_is_noticed_too() -> None:
    waiting: list[Exchange] = []
    gone: list[Exchange] = []

    async with serving(waiting.append) as served, await served.connect() as client:
        await client.send(get())
        client.shut_down_sending()
        await until(lambda: waiting)
        connection = next(iter(served.server.connections))
        await until(lambda: connection._eof)
        waiting[0].on_disconnect = gone.append
        await until(lambda: gone)

        assert waiting[0].closed


async def test_a_client_that_shuts_down_sending_still_gets_its_answers() -> None:
    waiting: list[Exchange] = []

    async with serving(waiting.append) as served, await served.connect() as client:
        await client.send(get() + get())
        client.shut_down_sending()
        for _ in range(2):
            await until(lambda: waiting)
            ok(waiting.pop())
            assert (await client.answer()).body == b"ok"

        assert await client.rest() == b""


@pytest.mark.parametrize("request_", [post(b"payload")[:-1], chunked(b"payload", 3)[:-1]])
async def test_a_body_that_ends_too_early_is_answered_if_the_client_still_reads(
    request_: bytes,
) -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        await client.send(request_)
        client.shut_down_sending()

        assert (await client.answer()).status == 400
        assert await client.rest() == b""
    assert parking.failed == [Truncated("the connection ended before the body did")]


async def test_a_body_asked_for_after_its_early_end_fails_at_once() -> None:
    parking = Parking()
    waiting: list[Exchange] = []

    async with serving(waiting.append) as served, await served.connect() as client:
        await client.send(post(b"payload")[:-1])
        client.shut_down_sending()
        await until(lambda: waiting)
        connection = next(iter(served.server.connections))
        await until(lambda: connection._eof)
        parking(waiting[0])

        assert (await client.answer()).status == 400
    assert isinstance(parking.failed[0], Truncated)


async def test_an_early_end_of_a_body_that_nobody_wants_ends_the_connection() -> None:
    async with serving(ok) as served, await served.connect() as client:
        await client.send(post(b"payload")[:-1])
        assert (await client.answer()).status == 200
        client.shut_down_sending()

        assert await client.rest() == b""


async def test_a_connection_reset_within_a_body_is_told_to_the_endpoint() -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        await client.send(post(b"a" * 1_000_000)[:500_000])
        await until(lambda: served.server.connections)
        connection = next(iter(served.server.connections))
        await until(lambda: connection._filling)
        client.reset()
        await until(lambda: parking.failed)

        assert isinstance(parking.failed[0], Truncated)


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\na\r\n",
        b"1_1\r\n",
        b"0x1\r\na\r\n",
        b" 1\r\na\r\n",
        b"\r\n",
        b"1\na\n0\n\n",
        b"1\r\nab\r\n",
        b"1\r\na0\r\n",
        b"1;a\rb\r\na\r\n",
        b"ffffffffffffffff\r\n",
        b"1;" + b"a" * 5000,
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nA: \0\r\n\r\n",
    ],
)
async def test_broken_chunks_are_a_truncated_body_and_end_the_connection(chunks: bytes) -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        answer = await client.answer()

        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert await client.rest() == b""
    assert isinstance(parking.failed[0], Truncated)


async def test_broken_chunks_in_a_body_that_nobody_wants_end_the_connection() -> None:
    async with serving(ok) as served, await served.connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n")

        assert (await client.answer()).status == 200
        assert await client.rest() == b""


async def test_trailers_over_the_limit_end_the_connection() -> None:
    request = chunked(b"a", 1, trailers=b"A: " + b"a" * 5000 + b"\r\n")

    async with serving(echo, Limits(head_bytes=4096)) as served, await served.connect() as client:
        assert (await client.ask(request)).status == 400


async def test_a_head_that_ends_too_early_is_refused() -> None:
    async with serving(ok) as served, await served.connect() as client:
        await client.send(b"GET / HT")
        client.shut_down_sending()

        assert (await client.answer()).status == 400
        assert await client.rest() == b""


@pytest.mark.parametrize("idle", [None, PATIENT])
async def test_a_client_that_dribbles_its_head_is_given_up(idle: float | None) -> None:
    async with (
        serving(ok, Limits(head_timeout=IMPATIENT, idle=idle)) as served,
        await served.connect() as client,
    ):
        await client.send(b"GET / HTTP/1.1\r\n")
        await until(lambda: served.server.connections)
        connection = next(iter(served.server.connections))
        async with asyncio.timeout(LIMIT):
            while connection._phase.name == "HEAD":
                client.writer.write(b"A: b\r\n")
                await asyncio.sleep(0)

        assert (await client.answer()).status == 408


async def test_a_client_that_stalls_within_its_body_is_given_up() -> None:
    parking = Parking()

    async with (
        serving(parking, Limits(stall_timeout=IMPATIENT)) as served,
        await served.connect() as client,
    ):
        await client.send(post(b"payload")[:-1])

        assert (await client.answer()).status == 400
        assert await client.rest() == b""
    assert isinstance(parking.failed[0], Truncated)


async def test_a_client_that_stalls_within_a_body_nobody_wants_is_given_up() -> None:
    async with (
        serving(ok, Limits(stall_timeout=IMPATIENT)) as served,
        await served.connect() as client,
    ):
        await client.send(post(b"payload")[:-1])

        assert (await client.answer()).status == 200
        assert await client.rest() == b""


@pytest.mark.parametrize("request_", [chunked(b"a" * 5000, 100), get(b"/", b"Connection: close")])
async def test_a_client_that_sends_on_and_on_after_its_answer_is_cut_off(request_: bytes) -> None:
    async with serving(ok, Limits(drain_bytes=1000)) as served, await served.connect() as client:
        await client.send(request_ + b"a" * 5000)
        await until(lambda: not served.server.connections)


async def test_a_client_that_never_hangs_up_after_the_last_answer_is_given_up() -> None:
    async with serving(ok, Limits(linger=IMPATIENT)) as served, await served.connect() as client:
        assert (await client.ask(get(b"/", b"Connection: close"))).status == 200
        await until(lambda: not served.server.connections)


async def test_an_idle_connection_is_kept_unless_told_otherwise() -> None:
    limits = Limits(head_timeout=IMPATIENT, stall_timeout=IMPATIENT, linger=IMPATIENT)

    async with serving(ok, limits) as served, await served.connect() as idle:
        await idle.ask(get())
        async with await served.connect() as other:
            await other.ask(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc")
            assert await other.rest() == b""  # every deadline has passed by now
        assert (await idle.ask(get())).status == 200
        assert served.server._sweep_timer is None or not served.server._watched


@pytest.mark.parametrize("first", [b"", get()])
async def test_an_idle_connection_is_closed_after_the_time_for_it(first: bytes) -> None:
    async with serving(ok, Limits(idle=IDLE)) as served, await served.connect() as client:
        if first:
            await client.ask(first)
        assert await client.rest() == b""


async def test_a_parked_poll_is_no_idle_connection() -> None:
    parking = Parking()

    async with (
        serving(parking, Limits(idle=IDLE)) as served,
        await served.connect() as poller,
        await served.connect() as idle,
    ):
        exchange = await park(poller, parking)
        assert await idle.rest() == b""
        ok(exchange)
        assert (await poller.answer()).body == b"ok"


async def test_many_idle_connections_are_kept() -> None:
    async with serving(echo) as served:
        clients = [await served.connect() for _ in range(100)]
        for _ in range(2):
            for client in clients:
                assert (await client.ask(post(b"payload"))).body == b"payload"
        for client in clients:
            await client.hang_up()


async def test_a_new_connection_for_each_request_leaves_none_behind() -> None:
    async with serving(echo) as served:
        for _ in range(50):
            async with await served.connect() as client:
                assert (await client.ask(post(b"payload"))).body == b"payload"
        await until(lambda: not served.server.connections)


async def test_close_lets_an_answer_that_is_due_be_sent() -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        exchange = await park(client, parking)
        closing = asyncio.create_task(served.server.close(grace=PATIENT))
        await until(lambda: served.server.closing)
        ok(exchange)
        answer = await client.answer()

        assert answer.headers["connection"] == "close"
        await asyncio.wait_for(closing, LIMIT)
    assert not parking.gone


async def test_close_ends_what_is_still_parked_when_its_grace_is_over() -> None:
    parking = Parking()

    async with serving(parking) as served, await served.connect() as client:
        await park(client, parking)
        await served.server.close(grace=IMPATIENT)

        assert len(parking.gone) == 1


async def test_close_does_not_wait_for_idle_connections() -> None:
    async with serving(ok) as served, await served.connect() as client:
        await client.ask(get())
        await asyncio.wait_for(served.server.close(grace=PATIENT), LIMIT)

        assert await client.rest() == b""


async def test_a_closed_server_can_be_closed_again_and_refuses_connections() -> None:
    async with serving(ok) as served:
        await served.server.close()
        await served.server.close()

        with pytest.raises(ConnectionError):
            await served.connect()


async def test_close_leaves_no_task_and_no_file_descriptor() -> None:
    def descriptors() -> int:
        gc.collect()
        return len(os.listdir(FDS))  # noqa: PTH208 - counted at once, its own among them

    async def live() -> None:
        parking = Parking()
        server = Server(everywhere(parking), on_error=print)
        await server.start(listen("127.0.0.1", 0))
        clients = [Client(*await asyncio.open_connection(*server.address)) for _ in range(3)]
        await park(clients[0], parking)
        await clients[1].ask(post(b"payload"))
        await clients[2].send(post(b"payload")[:-1])
        await server.close()
        for client in clients:
            await client.hang_up()

    await live()  # the loop opens what it keeps
    tasks, before = asyncio.all_tasks(), descriptors()
    await live()

    assert asyncio.all_tasks() == tasks
    await until(lambda: descriptors() <= before)
