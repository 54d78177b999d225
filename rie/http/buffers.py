"""Buffers for large bodies, used again: the page faults of a fresh 6 MB cost a millisecond."""

import sys

SMALL = 64 * 1024  # bytes; below this, plain bytes objects are cheaper than any bookkeeping
BUFFER_SIZE = 8 * 1024 * 1024  # one size for all: pages that were never touched cost nothing
MAX_BUFFERS = 3  # what arrives, what leaves, and one for whoever comes between


def _first_free(buffers: list[bytearray], free_references: int) -> bytearray | None:
    """Return a buffer that nothing but the list refers to."""
    for buffer in buffers:
        if sys.getrefcount(buffer) <= free_references:
            return buffer
    return None


def _references_of_a_free_buffer() -> int:
    """Ask the interpreter: whether the loop's variable counts differs between versions."""
    for count in range(1, 10):
        if _first_free([bytearray()], count) is not None:
            return count
    raise AssertionError("a list of one refers to it more than once")


_FREE_REFERENCES = _references_of_a_free_buffer()


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
        free = _first_free(self._buffers, _FREE_REFERENCES)
        if free is not None:
            return free
        if len(self._buffers) == self._count:
            return bytearray(size)
        buffer = bytearray(self._size)
        self._buffers.append(buffer)
        return buffer
