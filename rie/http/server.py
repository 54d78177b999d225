"""The server: accepts connections, owns what they share, and ends them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rie.http.answer import Answers
from rie.http.body import BodyError, TooLarge, Truncated
from rie.http.buffers import BufferPool
from rie.http.connection import Connection
from rie.http.exchange import Endpoint, Exchange
from rie.http.limits import Limits
from rie.http.listening import BACKLOG
from rie.http.recent_heads import Finder

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

__all__ = [
    "BodyError",
    "Endpoint",
    "Exchange",
    "Finder",
    "Limits",
    "Server",
    "TooLarge",
    "Truncated",
]

LONGEST_SWEEP_INTERVAL = 1.0  # seconds; how late a deadline may be noticed


class Server:
    """An HTTP/1.1 server. `find` says which endpoint a request belongs to: see Router.find.

    `on_error` hears of every exception of an endpoint, after which the client is told 500.
    """

    def __init__(
        self,
        find: Finder,
        *,
        limits: Limits | None = None,
        on_error: Callable[[Exchange | None, BaseException], None],
        pool: BufferPool | None = None,
    ) -> None:
        self.find = find
        self.limits = limits or Limits()
        self.on_error = on_error
        self.pool = pool or BufferPool()
        self.answers = Answers()
        self.connections: set[Connection] = set()
        self.closing = False
        self.gathers = False  # whether head and body are written in one call
        self.loop: asyncio.AbstractEventLoop
        self._listener: asyncio.Server | None = None
        self._address: tuple[str, int] = ("", 0)
        self._watched: set[Connection] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._all_gone: asyncio.Event | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as the listening socket has them."""
        return self._address

    async def start(self, sock: socket.socket) -> None:
        """Serve on a socket that listens; it is the server's from now on."""
        self.loop = asyncio.get_running_loop()
        self._address = sock.getsockname()[:2]
        # uvloop's writelines() is one writev, and copies nothing. asyncio's joins everything
        # first (3.11) or forgets to pause the writer (3.12.1, 3.13.0).
        self.gathers = type(self.loop).__module__.partition(".")[0] == "uvloop"
        self._listener = await self.loop.create_server(
            lambda: Connection(self), sock=sock, backlog=BACKLOG
        )

    async def close(self, grace: float = 0.0) -> None:
        """Stop accepting, wait up to `grace` seconds for answers that are due, end the rest."""
        if self._listener is None:
            return
        self.closing = True
        for connection in self.connections:
            connection.look_closer()
        self._listener.close()
        self._all_gone = asyncio.Event()
        await asyncio.sleep(0)  # what was accepted or written in this turn of the loop
        for connection in list(self.connections):
            if connection.idle:
                connection.close()
        if not await self._gone_within(grace):
            for connection in list(self.connections):
                connection.abort()
            await self._all_gone.wait()
        await self._listener.wait_closed()
        self._listener = None
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None

    def forget(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        self.connections.discard(connection)
        self._watched.discard(connection)
        if self._all_gone is not None and not self.connections:
            self._all_gone.set()

    def watch(self, connection: Connection) -> None:
        """See to it that the deadline of the connection is kept."""
        self._watched.add(connection)
        if self._sweep_timer is None:
            self._sweep_timer = self.loop.call_later(self._sweep_interval(), self._sweep)

    async def _gone_within(self, seconds: float) -> bool:
        if not self.connections or self._all_gone is None:
            return True
        try:
            await asyncio.wait_for(self._all_gone.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _sweep_interval(self) -> float:
        limits = self.limits
        times = (limits.head_timeout, limits.stall_timeout, limits.linger, limits.idle)
        shortest = min(time for time in times if time is not None)
        return min(LONGEST_SWEEP_INTERVAL, shortest / 4)

    def _sweep(self) -> None:
        """Expire what is overdue: one timer for all, and none while there is nothing to expire."""
        now = self.loop.time()
        for connection in list(self._watched):
            overdue = connection.overdue(now)
            if overdue is None:
                self._watched.discard(connection)
            elif overdue:
                connection.expire()
        self._sweep_timer = None
        if self.pool.sweep(now) or self._watched:
            self._sweep_timer = self.loop.call_later(self._sweep_interval(), self._sweep)
