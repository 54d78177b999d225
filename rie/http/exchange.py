"""One request and its answer, as the endpoint sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rie.http.message import NO_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rie.http.body import BodyError
    from rie.http.connection import Connection
    from rie.http.head import Head
    from rie.http.message import Response

Endpoint: TypeAlias = "Callable[[Exchange], None]"


class Exchange:
    """Handed to the endpoint when the head of the request is complete.

    `body` and `trailers` are empty until the body is complete. A large body is a memoryview into
    a pooled buffer: the buffer is used again when the last view of it is gone, so a view that is
    kept stays valid. All of it is for the thread of the event loop only.
    """

    __slots__ = (
        "_connection",
        "_on_disconnect",
        "answered",
        "body",
        "complete",
        "head",
        "trailers",
    )

    def __init__(
        self,
        head: Head,
        connection: Connection,
        body: bytes,
        complete: bool,  # noqa: FBT001 - one is made for each request
    ) -> None:
        self.head = head
        self.body: bytes | memoryview = body
        self.complete = complete  # whether the body came with the head, or there is none
        self.trailers = NO_HEADERS
        self.answered = False
        self._connection = connection
        self._on_disconnect: Callable[[Exchange], None] | None = None

    @property
    def closed(self) -> bool:
        """Whether it was answered, or the peer is gone."""
        return not self._connection.awaits(self)

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
        """Call `then` when the body is complete and in `body`, or else `failed`.

        Either is called at once, or from the connection when the last byte has come; neither
        when the exchange has been answered in the meantime. `limit` is in bytes.
        """
        if self.complete and len(self.body) <= limit and not self.answered:
            then(self)
        else:
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
        content type that holds CR or LF.
        """
        self._connection.respond(self, response)

    def __repr__(self) -> str:
        head = self.head
        return f"<Exchange {head.method} {head.path}{' closed' if self.closed else ''}>"
