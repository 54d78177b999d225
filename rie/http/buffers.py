"""Buffers for large bodies, used again: the page faults of a fresh 6 MB cost a millisecond.

They are anonymous mappings: pages that were never touched cost nothing, and a buffer that is let
go is the system's again at once, which malloc does not promise.
"""

import sys
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

SMALL = 64 * 1024  # bytes; below this, plain bytes objects are cheaper than any bookkeeping
BUFFER_SIZE = 8 * 1024 * 1024  # one size for all
MAX_BUFFERS = 8  # an invocation has two at a time, the next one's body may come between
QUIET = 10.0  # seconds without use, after which free buffers are let go


class BufferPool:
    """Hands out buffers that nobody else refers to; nothing is ever given back by hand.

    A memoryview refers to its buffer, and so does a pending write of the event loop. So a buffer
    that only the pool refers to is free, and no path, however odd, can forget to release one or
    release it too early. Servers may share a pool: what one is done with another takes.
    """

    def __init__(self, *, size: int = BUFFER_SIZE, count: int = MAX_BUFFERS) -> None:
        self._size = size
        self._count = count
        self._buffers: list[mmap] = []
        self._used = False  # since the last sweep
        self._quiet_since = 0.0

    def take(self, size: int) -> mmap:
        """Return a buffer of at least `size` bytes, with whatever it held before."""
        self._used = True
        if size > self._size:
            return mapping(size)
        free = first_free(self._buffers)
        if free is not None:
            return free
        if len(self._buffers) == self._count:
            return mapping(max(size, 1))
        buffer = mapping(self._size)
        self._buffers.append(buffer)
        return buffer

    def sweep(self, now: float) -> bool:
        """Let go of what is free and has not been used for long; say whether any is left.

        `now` is in seconds, on whichever clock its callers have in common.
        """
        if self._used:
            self._used = False
            self._quiet_since = now
        elif now - self._quiet_since > QUIET:
            while (free := first_free(self._buffers)) is not None:
                self._buffers.remove(free)
                free = None
        return bool(self._buffers)


def mapping(size: int) -> mmap:
    """Return `size` bytes of memory of its own; the default of mmap is shared with children."""
    return mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)


def first_free(buffers: list[mmap]) -> mmap | None:
    """Return a buffer that nothing but the list refers to."""
    for buffer in buffers:
        if sys.getrefcount(buffer) <= _FREE_REFERENCES:
            return buffer
    return None


def _references_of_a_free_buffer() -> int:
    """Ask the interpreter: whether a loop's variable counts differs between its versions."""
    for buffer in [mapping(1)]:
        return sys.getrefcount(buffer)
    raise AssertionError("a list of one is not empty")


_FREE_REFERENCES = _references_of_a_free_buffer()
