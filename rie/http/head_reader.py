"""Finds where a head ends, however it is cut, and refuses early what will never be one.

A head is fed to the parser whole: llhttp has no limit of size, and takes quadratic time for a
header in many small pieces.
"""

from __future__ import annotations

from rie.http.head import BadHeadError

END_OF_HEAD = b"\r\n\r\n"
FIRST_LETTER = 0x41  # methods begin with one


class HeadReader:
    """Remembers what it has searched, so that each byte is looked at once."""

    __slots__ = ("_max_bytes", "searched")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.searched = 0  # bytes of an incomplete head; they will be there again

    def read(self, source: bytes | bytearray, start: int, end: int) -> bytes | None:
        """Return the head that begins at `start`, or None when it is not complete.

        Raises BadHeadError for what is too large, or cannot become a head.
        """
        searched = self.searched
        stop = source.find(END_OF_HEAD, max(start, start + searched - 3), end)
        size = (end if stop < 0 else stop + 4) - start
        if size > self._max_bytes:
            raise BadHeadError(431, "the head of the request is too large")
        if stop < 0:
            self._check(source, start, start + searched, end)
            self.searched = size
            return None
        self.searched = 0
        return bytes(source[start : stop + 4])

    def reset(self) -> None:
        """Begin with another head."""
        self.searched = 0

    def _check(self, source: bytes | bytearray, start: int, fresh: int, end: int) -> None:
        """Check the part from `fresh` on: no need to wait for the end of a bad head."""
        if source[start] < FIRST_LETTER:
            raise BadHeadError(400, "no HTTP request")
        if source.count(b"\n", fresh, end) != source.count(b"\r\n", max(start, fresh - 1), end):
            raise BadHeadError(400, "bare LF in the head of the request")


def skip_line_ends(source: bytes | bytearray, start: int, end: int) -> int:
    """Return where the next head begins: some clients send an empty line after a body."""
    while start < end and source[start] in b"\r\n":
        start += 1
    return start
