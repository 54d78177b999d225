"""Buffers for large bodies, used again: the page faults of a fresh 6 MB cost a millisecond."""

import sys

SMALL = 64 * 1024  # bytes; below this, plain bytes objects are cheaper than any bookkeeping
BUFFER_SIZE = 8 * 1024 * 1024  # one size for all: pages that were never touched cost nothing
MAX_BUFFERS = 3  # what arrives, what leaves, and one for whoever comes between

# The pool's list, the loop variable and getrefcount's own argument.
_FREE_REFERENCES = 3


class BufferPool:
    """Hands out buffers that nobody else refers to; nothing is ever given back by hand.

    A memoryview refers to its bytearray, and so does a pending write of the event loop. So a
    buffer that only the pool refers to is free, and no path, however odd, can forget to release
    one or release it too early.
    """

    def __init__(self, *, size: int = BUFFER_SIZE, count: int = MAX_BUFFERS) -> None:
        self._size = size
        self._count = count
        self._buffers: list[bytearray] = []

    def take(self, size: int) -> bytearray:
        """Return a buffer of at least `size` bytes, with whatever it held before."""
        if size > self._size:
            return bytearray(size)
        for buffer in self._buffers:
            if sys.getrefcount(buffer) == _FREE_REFERENCES:
                return buffer
        if len(self._buffers) == self._count:
            return bytearray(size)
        buffer = bytearray(self._size)
        self._buffers.append(buffer)
        return buffer
