"""One connection: heads and bodies in, answers out, one exchange at a time, in order.

Hot path: a request that comes whole is handed to the endpoint by data_received, without a task, a
timer or a queue; whatever comes otherwise goes through _run. The rest of a large body is received
straight into its place (filling.py).

End of input (EOF) while an exchange waits for its answer: a peer that has shut down its sending
side cannot be told from one that is gone. An exchange that has `on_disconnect` set (a parked
long poll) takes it for gone; any other gets its answer, and then the connection is closed.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, cast

from rie.http.answer import CONTINUE, has_body
from rie.http.arrival import waited
from rie.http.body import (
    BadChunkError,
    BodyError,
    ChunkedBody,
    FixedBody,
    TooLarge,
    Truncated,
    make_body,
)
from rie.http.buffers import SMALL
from rie.http.exchange import Exchange
from rie.http.filling import Filling
from rie.http.head import BadHeadError
from rie.http.head_reader import END_OF_HEAD, FIRST_LETTER, HeadReader, skip_line_ends
from rie.http.message import Response
from rie.http.phase import BODY, BUSY, CLOSED, DRAIN, HEAD, LINGER, Phase
from rie.http.recent_heads import RecentHeads

if TYPE_CHECKING:
    from collections.abc import Callable

    from rie.http.head import Head
    from rie.http.server import Server

_TEXT = b"text/plain; charset=utf-8"
_INTERNAL_ERROR = Response(
    500,
    b'{"errorMessage":"Internal Server Error","errorType":"InternalServerError"}\n',
    content_type=b"application/json",
)
_EMPTY = b""
_END_OF_HEAD_SIZE = len(END_OF_HEAD)


class Connection(asyncio.Protocol):
    """The protocol of one client's connection."""

    __slots__ = (
        "_answers",
        "_body",
        "_deadline",
        "_drained",
        "_eof",
        "_exchange",
        "_expects",
        "_failed",
        "_filling",
        "_head_reader",
        "_heads",
        "_held",
        "_idle_limit",
        "_keep_alive",
        "_phase",
        "_quick",
        "_reading_paused",
        "_running",
        "_server",
        "_then",
        "_transport",
        "_write",
        "_writing_paused",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._answers = server.answers
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)  # until it is made
        # Whether nothing about the connection is unusual. Then `_phase` says nothing: it is at
        # its next head, or, if there is an exchange, busy.
        self._quick = False
        self._phase = HEAD
        self._held = bytearray()  # what has arrived ahead of its turn, or of the rest of a head
        self._heads = RecentHeads(server.find, server.limits.head_bytes)
        self._head_reader = HeadReader(server.limits.head_bytes)
        self._idle_limit = server.limits.idle
        self._exchange: Exchange | None = None
        self._body: FixedBody | ChunkedBody | None = None  # None: none, or complete
        self._filling = False  # whether the body is received in its place
        self._then: Callable[[Exchange], None] | None = None
        self._failed: Callable[[Exchange, BodyError], None] | None = None
        self._expects = False  # the client waits for 100 Continue
        self._keep_alive = True
        self._eof = False
        self._running = False
        self._reading_paused = False
        self._writing_paused = False
        self._drained = 0
        self._deadline = inf  # of the loop's clock

    # Called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first head."""
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._server.connections.add(self)
        if self._server.closing:
            self.close()
        self._watch_idle()
        self._relax()

    def data_received(self, data: bytes) -> None:
        """Take what has arrived: one request and all of it, nearly always."""
        if self._quick and self._exchange is None:
            stop = data.find(END_OF_HEAD) + _END_OF_HEAD_SIZE
            if stop >= _END_OF_HEAD_SIZE:
                try:
                    head = self._heads[data[:stop]]
                except BadHeadError:
                    pass  # _take finds the same, and says so
                else:
                    if stop + head.inline_length == len(data):
                        self._exchange = exchange = Exchange(head, self, data[stop:], True)
                        try:
                            head.endpoint(exchange)
                        except Exception as error:  # noqa: BLE001 - as in _call
                            self._report(exchange, error)
                        return
        self._take(data)

    def _take(self, data: bytes) -> None:
        self.look_closer()
        if self._held:
            self._held += data
            self._run_held()
            return
        at = self._run(data, len(data))
        if at < len(data):
            self._held += data[at:]
            self._regulate_reading()
        else:
            self._relax()

    def _relax(self) -> None:
        """Go back to the quick way, when nothing is left to be minded."""
        self._quick = (
            self._phase is HEAD
            and self._exchange is None
            and self._idle_limit is None
            and not (self._running or self._held or self._eof or self._server.closing)
            and not (self._reading_paused or self._writing_paused)
        )

    def body_filled(self) -> None:
        """Go on: some more of the body that is being filled has arrived."""
        self._run(_EMPTY, 0)
        self._relax()

    def eof_received(self) -> bool:
        """Note that the peer sends no more; keep the connection while it is owed an answer."""
        self.look_closer()
        self._eof = True
        self._run_held()  # ends what can only be ended now: a head, a body, nothing
        exchange = self._exchange
        if self._phase is LINGER:
            self.close()
        elif exchange is not None and exchange.on_disconnect is not None:
            self.close()
            self._lose(exchange)
        return True  # this side closes when it has answered

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - gone is gone
        """Tell whoever waits for this peer."""
        self._quick = False
        exchange = self._exchange
        self._phase = CLOSED
        self._body = None
        self._held = bytearray()
        self._deadline = inf
        self._server.forget(self)
        if exchange is not None:
            if self._failed is not None:
                self._exchange = None
                self._tell_failed(exchange, Truncated("the connection was lost within the body"))
            else:
                self._lose(exchange)

    def pause_writing(self) -> None:
        """Begin no further exchange while the client does not read."""
        self.look_closer()
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Go on: the client reads again."""
        self._writing_paused = False
        self._run_held()

    # Called by the exchange

    def read_body(
        self,
        exchange: Exchange,
        limit: int,
        then: Callable[[Exchange], None],
        failed: Callable[[Exchange, BodyError], None],
    ) -> None:
        """See Exchange.read_body."""
        if exchange is not self._exchange:
            return  # answered, or the peer is gone
        body = self._body
        too_large = TooLarge(len(exchange.body), limit) if body is None else body.collect(limit)
        if too_large is not None:
            self._failed = failed
            self._tell_failed(exchange, too_large)
            return
        self._then, self._failed = then, failed
        self._phase = BODY
        if not self._running:
            self._run_held()

    def respond(self, exchange: Exchange, response: Response) -> None:
        """See Exchange.respond."""
        if self._quick and exchange is self._exchange and len(response.body) < SMALL:
            answer = self._answers.whole(response)
            self._exchange = None
            exchange.answered = True
            self._write(answer)  # last: it may call pause_writing, which asks what there is to do
            return
        self._respond(exchange, response)

    def _respond(self, exchange: Exchange, response: Response) -> None:
        if exchange.answered:
            raise RuntimeError(f"answered twice: {exchange!r}")
        self.look_closer()
        if exchange is not self._exchange or self._phase is CLOSED:
            return  # the peer is gone
        unread = self._body is not None
        if self._server.closing or (unread and (self._expects or self._too_much_to_drain())):
            # A client that was not told to continue may send its body or not.
            self._keep_alive = False
        self._send(exchange.head, response)
        exchange.answered = True
        self._exchange = None
        if not self._keep_alive:
            self._close()
        elif unread:
            self._drain()
        else:
            self._phase = HEAD
            self._watch_idle()
            self._relax()
        if not self._running and (self._held or self._eof or self._reading_paused):
            # Not from within respond(): the next endpoint is no business of its caller.
            self._server.loop.call_soon(self._run_held)

    def awaits(self, exchange: Exchange) -> bool:
        """Say whether this exchange is the one that is to be answered, to a peer that is there."""
        return exchange is self._exchange and self._phase is not CLOSED

    # Called by the server

    def look_closer(self) -> None:
        """Leave the quick way: something about this connection is to be minded."""
        if self._quick:
            self._quick = False
            self._phase = HEAD if self._exchange is None else BUSY

    @property
    def idle(self) -> bool:
        """Whether the endpoint owes this client nothing."""
        return self._exchange is None

    def waited(self) -> float:
        """Return for how many seconds the last input of the client has been there."""
        return waited(self._transport.get_extra_info("socket"))

    def close(self) -> None:
        """Close once what has been written is sent."""
        self._quick = False
        self._phase = CLOSED
        self._transport.close()

    def abort(self) -> None:
        """Close now, whatever has not been sent."""
        self._quick = False
        self._phase = CLOSED
        self._body = None
        self._transport.abort()

    def noticed_late(self, exchange: Exchange) -> None:
        """Look again at a peer that had ended its input before anyone minded."""
        if self._eof and exchange is self._exchange:
            self._server.loop.call_soon(self.eof_received)

    def overdue(self, now: float) -> bool | None:
        """Say whether the deadline has passed; None: there is no deadline any more."""
        return None if self._deadline == inf else now >= self._deadline

    def expire(self) -> None:
        """Give up on the client that kept us waiting."""
        self._deadline = inf
        match self._phase:
            case Phase.HEAD if self._held:
                self._refuse(408, "the head of the request took too long")
            case Phase.BODY:
                self._fail_body("no byte of the body came for too long")
            case Phase.HEAD:
                self.close()
            case Phase.DRAIN | Phase.LINGER:
                self.abort()
            case Phase.BUSY | Phase.CLOSED:
                pass

    # Input

    def _run_held(self) -> None:
        if self._running or self._phase is CLOSED:
            return
        self.look_closer()  # it may have been scheduled when something was unusual
        at = self._run(self._held, len(self._held))
        if self._held:
            del self._held[:at]
        self._regulate_reading()
        self._relax()

    def _run(self, source: bytes | bytearray, end: int) -> int:
        """Take what source[:end] has for us now, and return where that ends."""
        self._running = True
        try:
            at = 0
            while True:
                phase = self._phase
                if phase is HEAD:
                    if at < end and source[at] < FIRST_LETTER:
                        at = skip_line_ends(source, at, end)
                    stop = self._take_head(source, at, end)
                    if stop < 0:
                        return at
                    at = stop
                elif phase is BODY or phase is DRAIN:
                    at = self._take_body(source, at, end)
                    if self._body is not None:
                        return at
                elif phase is BUSY:
                    return at
                else:
                    if phase is LINGER:
                        self._count_drained(end - at)
                    return end
        finally:
            self._running = False

    def _take_head(self, source: bytes | bytearray, start: int, end: int) -> int:
        """Begin an exchange and return where its head ends, or -1 for more input."""
        if start == end or self._writing_paused:
            if self._eof and start == end:
                self._close()
            return -1
        reader = self._head_reader
        begun = reader.searched > 0
        try:
            head = reader.read(source, start, end)
            if head is None:
                return self._await_head(begun=begun)
            self._announce(self._heads[head])
        except BadHeadError as error:
            self._refuse(error.status, str(error))
            return end
        return start + len(head)

    def _await_head(self, *, begun: bool) -> int:
        if self._eof:
            raise BadHeadError(400, "the connection ended before the head did")
        if not begun:
            self._watch(self._server.limits.head_timeout)
        return -1

    def _announce(self, head: Head) -> None:
        server = self._server
        self._keep_alive = head.keep_alive
        self._expects = head.expects_continue
        if head.length:
            self._body = make_body(head.length, server.pool, server.limits.head_bytes)
        self._begin(Exchange(head, self, _EMPTY, not head.length))

    def _begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._deadline = inf
        self._phase = BUSY
        try:
            exchange.head.endpoint(exchange)
        except Exception as error:  # noqa: BLE001 - as in _call, which would cost a call
            self._report(exchange, error)

    def _take_body(self, source: bytes | bytearray, start: int, end: int) -> int:
        """Feed the body and return where it ends; while it is due, that is the end of input."""
        body = self._body
        if body is None:
            return start
        try:
            stop = body.feed(source, start, end)
        except BadChunkError as error:
            self._fail_framing(str(error))
            return end
        if self._phase is DRAIN:
            self._count_drained(stop - start)
        if body is not self._body:
            return end  # that was more than is drained
        if body.too_large is not None and self._phase is BODY:
            self._outgrown(body, body.too_large)
        elif body.complete:
            self._finish_body(body)
        elif self._eof:
            self._fail_framing("the connection ended before the body did")
        else:
            self._await_body(body)
        return stop

    def _await_body(self, body: FixedBody | ChunkedBody) -> None:
        if self._phase is BODY:
            if self._expects:
                self._expects = False
                self._transport.write(CONTINUE)
            if isinstance(body, FixedBody) and not self._filling and body.window() is not None:
                self._filling = True
                self._transport.set_protocol(Filling(self, body))
        self._watch(self._server.limits.stall_timeout)

    def _outgrown(self, body: FixedBody | ChunkedBody, error: TooLarge) -> None:
        self._phase = BUSY
        self._deadline = inf
        if body.complete:
            self._body = None
        if self._exchange is not None:
            self._tell_failed(self._exchange, error)

    def _finish_body(self, body: FixedBody | ChunkedBody) -> None:
        self._body = None
        self._end_filling()
        self._deadline = inf
        exchange, then = self._exchange, self._then
        if exchange is None or then is None:  # it was drained
            self._phase = HEAD
            self._watch_idle()
            return
        self._phase = BUSY
        self._then = self._failed = None
        exchange.body = body.result
        exchange.trailers = body.trailers
        self._call(then, exchange)

    def _end_filling(self) -> None:
        if self._filling:
            self._filling = False
            self._transport.set_protocol(self)

    def _fail_framing(self, reason: str) -> None:
        if self._phase is DRAIN:
            self._body = None
            self._close()
        else:
            self._fail_body(reason)

    def _fail_body(self, reason: str) -> None:
        """End the body that will not be completed: the connection is of no further use."""
        exchange = self._exchange
        self._phase = BUSY
        self._deadline = inf
        self._body = None
        self._end_filling()
        self._held.clear()
        self._keep_alive = False
        if exchange is not None:
            self._tell_failed(exchange, Truncated(reason))

    # Output

    def _send(self, request: Head | None, response: Response) -> None:
        body = response.body
        head = self._answers.head(request, response, keep_alive=self._keep_alive)
        if not body or not has_body(request, response):
            self._write(head)
        elif len(body) < SMALL:
            self._write(head + body)
        elif self._server.gathers:
            self._transport.writelines((head, body))
        else:
            self._write(head)
            self._write(body)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what is no request, for the last time."""
        self._held.clear()
        self._head_reader.reset()
        self._keep_alive = False
        response = Response(status, f"{reason}\n".encode(), content_type=_TEXT)
        self._send(None, response)
        self._close()

    def _drain(self) -> None:
        self._phase = DRAIN
        self._then = self._failed = None
        self._end_filling()
        self._drained = 0
        if self._body is not None:
            self._body.discard()
        self._watch(self._server.limits.stall_timeout)

    def _too_much_to_drain(self) -> bool:
        return self._body is not None and self._body.length > self._server.limits.drain_bytes

    def _count_drained(self, count: int) -> None:
        self._drained += count
        if self._drained > self._server.limits.drain_bytes:
            self.abort()

    def _close(self) -> None:
        """Close after the last answer, in such a way that the client can read it.

        Closing a socket with unread input resets the connection, and a reset overtakes answers.
        So this side stops sending, and reads on until the client has hung up.
        """
        self._body = None
        self._end_filling()
        if self._eof or self._server.closing or self._transport.is_closing():
            self.close()
            return
        self._phase = LINGER
        self._drained = 0
        self._transport.write_eof()
        self._watch(self._server.limits.linger)

    # Endpoints

    def _call(self, function: Callable[[Exchange], None], exchange: Exchange) -> None:
        """Call the endpoint; its errors are answered with 500 and reported."""
        try:
            function(exchange)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
            self._report(exchange, error)

    def _tell_failed(self, exchange: Exchange, error: BodyError) -> None:
        failed, self._then, self._failed = self._failed, None, None
        if failed is not None:
            self._call(lambda exchange: failed(exchange, error), exchange)

    def _lose(self, exchange: Exchange) -> None:
        self._exchange = None
        if exchange.on_disconnect is not None:
            self._call(exchange.on_disconnect, exchange)

    def _report(self, exchange: Exchange, error: Exception) -> None:
        if self.awaits(exchange):
            self.respond(exchange, _INTERNAL_ERROR)
        self._server.on_error(exchange, error)

    # Waiting

    def _regulate_reading(self) -> None:
        stuck = self._phase is BUSY or (self._phase is HEAD and self._writing_paused)
        too_much = stuck and len(self._held) > self._server.limits.held_bytes
        if too_much and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        elif self._reading_paused and not too_much:
            self._reading_paused = False
            self._transport.resume_reading()

    def _watch_idle(self) -> None:
        if self._idle_limit is not None:
            self._watch(self._idle_limit)

    def _watch(self, seconds: float) -> None:
        self._deadline = self._server.loop.time() + seconds
        self._server.watch(self)
