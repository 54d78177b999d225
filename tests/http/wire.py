"""A raw HTTP client, and a server under test: what goes over the wire is spelled out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self, cast

from rie.http.listening import listen
from rie.http.message import Response, header_lines
from rie.http.server import BodyError, Endpoint, Exchange, Finder, Limits, Server, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

LIMIT = 20.0  # seconds for anything that is waited for
BODY_LIMIT = 8 * 1024 * 1024


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until `condition` holds: for what tells nobody that it has happened."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection. Whatever is awaited must happen within LIMIT."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.hang_up()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(LIMIT):
            await self.writer.drain()

    async def answer(self, *, to_head: bool = False) -> Answer:
        async with asyncio.timeout(LIMIT):
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *fields = head[:-4].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value for name, value in (field.split(": ", 1) for field in fields)
            }
            length = 0 if to_head else int(headers.get("content-length", 0))
            return Answer(int(line.split()[1]), headers, await self._reader.readexactly(length))

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """Read until the server hangs up."""
        async with asyncio.timeout(LIMIT):
            return await self._reader.read()

    def shut_down_sending(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        self.writer.transport.abort()

    async def hang_up(self) -> None:
        self.writer.close()
        async with asyncio.timeout(LIMIT):
            with suppress(ConnectionError):
                await self.writer.wait_closed()


def pause_reading(client: Client) -> None:
    reading_end(client).pause_reading()


def resume_reading(client: Client) -> None:
    reading_end(client).resume_reading()


def reading_end(client: Client) -> asyncio.ReadTransport:
    return cast("asyncio.ReadTransport", client.writer.transport)  # what both loops give reads too


@dataclass
class Served:
    server: Server
    errors: list[BaseException] = field(default_factory=list)

    async def connect(self) -> Client:
        host, port = self.server.address
        # The limit is for readuntil: a head may be long here.
        return Client(*await asyncio.open_connection(host, port, limit=2**24))


def everywhere(endpoint: Endpoint) -> Finder:
    """Make a server's way to its endpoints of one for all paths."""
    return lambda head: endpoint  # noqa: ARG005 - whatever it says


@asynccontextmanager
async def serving(endpoint: Endpoint, limits: Limits | None = None) -> AsyncIterator[Served]:
    errors: list[BaseException] = []
    server = Server(
        everywhere(endpoint), limits=limits, on_error=lambda _, error: errors.append(error)
    )
    await server.start(listen("127.0.0.1", 0))
    try:
        yield Served(server, errors)
    finally:
        async with asyncio.timeout(LIMIT):
            await server.close()
    assert not server.connections


def echo(exchange: Exchange) -> None:
    exchange.read_body(BODY_LIMIT, echo_body, refuse_body)


def echo_body(exchange: Exchange) -> None:
    headers = header_lines(
        (b"x-trailer-" + name, value) for name, value in exchange.trailers.items()
    )
    exchange.respond(Response(200, exchange.body, headers))


def refuse_body(exchange: Exchange, error: BodyError) -> None:
    status = 413 if isinstance(error, TooLarge) else 400
    exchange.respond(Response(status, repr(error).encode()))


def post(body: bytes, *headers: bytes, path: bytes = b"/", version: bytes = b"1.1") -> bytes:
    fields = b"".join(header + b"\r\n" for header in headers)
    line = b"POST %b HTTP/%b\r\nHost: rie\r\n" % (path, version)
    return line + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(path: bytes = b"/", *headers: bytes, version: bytes = b"1.1") -> bytes:
    fields = b"".join(header + b"\r\n" for header in headers)
    return b"GET %b HTTP/%b\r\nHost: rie\r\n" % (path, version) + fields + b"\r\n"


def chunked(body: bytes, size: int, *headers: bytes, trailers: bytes = b"") -> bytes:
    fields = b"".join(header + b"\r\n" for header in headers)
    head = b"POST / HTTP/1.1\r\nHost: rie\r\n" + fields + b"Transfer-Encoding: chunked\r\n\r\n"
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + chunks + b"0\r\n" + trailers + b"\r\n"
