"""Heads that a client has sent before: most clients send the same ones again and again."""

from __future__ import annotations

from rie.http.head import Head, parse_head

MAX_BYTES = 2048  # of a head that is kept
GENERATION = 4  # heads; twice as many are kept at most


class RecentHeads:
    """Parses heads, of one connection. All the bytes of a head must be the same to be found.

    Kept are two generations. What is asked for again moves into the younger one; when that is
    full it becomes the older, and what was in that is gone. So a head in steady use stays, among
    any number that come once.
    """

    __slots__ = ("_older", "_younger")

    def __init__(self) -> None:
        self._younger: dict[bytes, Head] = {}
        self._older: dict[bytes, Head] = {}

    def parse(self, raw: bytes) -> Head:
        """Parse one complete head. Raises BadHeadError."""
        return self._younger.get(raw) or self._other(raw)

    def _other(self, raw: bytes) -> Head:
        head = self._older.get(raw) or parse_head(raw)
        if len(raw) <= MAX_BYTES:
            if len(self._younger) == GENERATION:
                self._older, self._younger = self._younger, {}
            self._younger[raw] = head
        return head
