from __future__ import annotations

import os

import pytest

from rie.http.buffers import BufferPool, first_free
from rie.http.listening import listen
from rie.http.server import Server
from tests.http.wire import LIMIT, Served, echo, everywhere, get, post, serving, until

pytestmark = pytest.mark.anyio

LARGE = os.urandom(1024 * 1024)


async def test_after_a_large_body_small_requests_are_taken_again() -> None:
    async with serving(echo) as served, await served.connect() as client:
        for body in (LARGE, b"small", LARGE[::-1], b""):
            assert (await client.ask(post(body))).body == body


async def test_what_follows_a_large_body_at_once_is_the_next_request() -> None:
    async with serving(echo) as served, await served.connect() as client:
        await client.send(post(LARGE) + post(b"second") + get())

        assert (await client.answer()).body == LARGE
        assert (await client.answer()).body == b"second"
        assert (await client.answer()).body == b""


async def test_a_client_that_is_lost_within_a_large_body_leaves_its_buffer() -> None:
    async with serving(echo) as served:
        async with await served.connect() as client:
            await client.send(post(LARGE)[:-1])
            await until(lambda: any(each._filling for each in served.server.connections))
            client.reset()
        await until(lambda: not served.server.connections)
        await until(lambda: first_free(served.server.pool._buffers))

    assert not served.errors


async def test_servers_that_share_a_pool_take_turns_with_one_buffer() -> None:
    pool = BufferPool()
    errors: list[BaseException] = []
    servers = [
        Server(everywhere(echo), on_error=lambda _, e: errors.append(e), pool=pool)
        for _ in range(2)
    ]
    for server in servers:
        await server.start(listen("127.0.0.1", 0))
    try:
        for server in servers * 2:
            async with await Served(server).connect() as client:
                assert (await client.ask(post(LARGE))).body == LARGE
            await until(lambda: first_free(pool._buffers))
    finally:
        for server in servers:
            await server.close(LIMIT)

    assert len(pool._buffers) == 1
    assert not errors
