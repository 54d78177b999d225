"""The rest of a large body: received by the event loop straight into its place."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rie.http.body import FixedBody
    from rie.http.connection import Connection


class Filling(asyncio.BufferedProtocol):
    """Stands in for the protocol of a connection until the body is complete or given up.

    Not from the start: for what is small, being asked for a buffer costs more than a copy.
    """

    __slots__ = ("_body", "_connection")

    def __init__(self, connection: Connection, body: FixedBody) -> None:
        self._connection = connection
        self._body = body

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Say where the next bytes go."""
        window = self._body.window()
        if window is None:
            raise AssertionError("a body that was given up is still being filled")
        return window

    def buffer_updated(self, nbytes: int) -> None:
        """Note that so many bytes are in their place."""
        self._body.filled(nbytes)
        self._connection.body_filled()

    def eof_received(self) -> bool:
        """Pass it on."""
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._connection.resume_writing()
