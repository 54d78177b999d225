"""Heads that a client has sent before: most clients send the same ones again and again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from rie.http.head import BadHeadError, Head, parse_head
from rie.http.head_reader import FIRST_LETTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from rie.http.exchange import Endpoint

Finder: TypeAlias = "Callable[[Head], Endpoint]"

MAX_BYTES = 2048  # of a head that is kept
MAX_KEPT = 8  # heads
WATCHED = 4  # heads that have been here once, and may come again


class RecentHeads(dict[bytes, Head]):
    """What heads say, by their bytes, of one connection; what is not known yet is parsed.

    A head is found by all of its bytes. Kept is one that comes again before some others have;
    when there are too many, all are forgotten: those in use will be back.
    """

    __slots__ = ("_find", "_max_head", "_once")

    def __init__(self, find: Finder, max_head: int) -> None:
        super().__init__()
        self._find = find
        self._max_head = max_head
        self._once: deque[bytes] = deque(maxlen=WATCHED)

    def __missing__(self, raw: bytes) -> Head:
        """Parse one complete head. Raises BadHeadError."""
        if len(raw) > self._max_head or raw[0] < FIRST_LETTER:
            raise BadHeadError(400, "no HTTP request")
        head = parse_head(raw)
        head.endpoint = self._find(head)
        if raw in self._once:
            if len(self) == MAX_KEPT:
                self.clear()
            self[raw] = head
        elif len(raw) <= MAX_BYTES:
            self._once.append(raw)
        return head
