"""One request and its answer, as the endpoint sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rie.http.body import BodyError
    from rie.http.connection import Connection
    from rie.http.message import Request, Response

Endpoint: TypeAlias = "Callable[[Exchange], None]"

_NO_PARAMS: Mapping[str, str] = {}


class Exchange:
    """Handed to the endpoint when the head of the request is complete.

    All of it is for the thread of the event loop only.
    """

    __slots__ = ("_connection", "_on_disconnect", "answered", "closed", "params", "request")

    def __init__(self, request: Request, connection: Connection) -> None:
        self.request = request
        self.params = _NO_PARAMS  # what the route's template names, percent-decoded
        self.answered = False
        self.closed = False  # answered, or the peer is gone
        self._connection = connection
        self._on_disconnect: Callable[[Exchange], None] | None = None

    @property
    def on_disconnect(self) -> Callable[[Exchange], None] | None:
        """What is called when the peer goes away before the answer, at most once.

        Only an exchange that has it takes the end of the peer's input for the peer's end.
        """
        return self._on_disconnect

    @on_disconnect.setter
    def on_disconnect(self, callback: Callable[[Exchange], None] | None) -> None:
        self._on_disconnect = callback
        if callback is not None:
            self._connection.noticed_late(self)

    def read_body(
        self,
        limit: int,
        then: Callable[[Exchange], None],
        failed: Callable[[Exchange, BodyError], None],
    ) -> None:
        """Call `then` when the body is complete and in the request, or else `failed`.

        Either is called at once, or from the connection when the last byte has come; neither
        when the exchange has been answered in the meantime. `limit` is in bytes.
        """
        self._connection.read_body(self, limit, then, failed)

    def waited(self) -> float:
        """Return for how many seconds the request had been there before it was read.

        More than nothing where the program was busy: while it was starting, above all.
        """
        return self._connection.waited()

    def respond(self, response: Response) -> None:
        """Answer, once, now or later. Nothing happens when the peer is gone.

        A body that was not read is read and discarded, so that a client that is still sending
        comes to read the answer. Raises RuntimeError for a second answer, ValueError for a
        header that holds CR or LF.
        """
        self._connection.respond(self, response)

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r}{' closed' if self.closed else ''}>"
