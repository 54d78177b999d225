"""The body of a request: of known length, or chunked; collected or discarded.

Both kinds are fed with what arrived, as (source, from, to), and say how far they got: what
follows belongs to the next request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rie.http.buffers import SMALL, BufferPool
from rie.http.head import CHUNKED, BadHeadError, parse_trailers
from rie.http.message import NO_HEADERS, Headers

if TYPE_CHECKING:
    from mmap import mmap

MAX_SIZE_LINE = 4096  # bytes of a chunk's size and its extensions
MAX_SIZE_DIGITS = 15
HEX_DIGITS = b"0123456789abcdefABCDEF"


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The body is over the limit. `size` is what was declared, or else counted so far."""

    size: int
    limit: int


@dataclass(frozen=True, slots=True)
class Truncated:
    """The body ended, stalled or broke its framing before it was complete."""

    reason: str


BodyError: TypeAlias = TooLarge | Truncated


class BadChunkError(Exception):
    """The chunked framing is broken: where the body ends is not known any more."""


class FixedBody:
    """A body of known length. A large one is received straight into one pooled buffer."""

    __slots__ = ("_buffer", "_collecting", "_pool", "_received", "length", "result")

    trailers = NO_HEADERS
    too_large = None  # known before anything is fed

    def __init__(self, length: int, pool: BufferPool) -> None:
        self.length = length
        self.result: bytes | memoryview = b""
        self._pool = pool
        self._received = 0
        self._collecting = False
        self._buffer: memoryview | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it has been fed."""
        return self._received == self.length

    def collect(self, limit: int) -> TooLarge | None:
        """Keep what will be fed, unless it is known to be too large."""
        if self.length > limit:
            return TooLarge(self.length, limit)
        self._collecting = True
        return None

    def discard(self) -> None:
        """Count what will be fed, and keep none of it."""
        self._collecting = False
        self._buffer = None

    def feed(self, source: bytes | bytearray, start: int, end: int) -> int:
        """Take what is ours of source[start:end], and return where it ends."""
        count = min(end - start, self.length - self._received)
        stop = start + count
        if self._collecting and count:
            with memoryview(source)[start:stop] as piece:
                if count == self.length:  # the usual case: head and body came together
                    self.result = bytes(piece)
                else:
                    self._keep(piece)
        self.filled(count)
        return stop

    def window(self) -> memoryview | None:
        """Return where the rest of the body belongs, to be received right there."""
        return None if self._buffer is None else self._buffer[self._received :]

    def filled(self, count: int) -> None:
        """Note that `count` bytes are in their place."""
        self._received += count
        if self._received == self.length and self._buffer is not None:
            self.result = bytes(self._buffer) if self.length < SMALL else self._buffer
            self._buffer = None

    def _keep(self, piece: memoryview) -> None:
        if self._buffer is None:
            self._buffer = memoryview(_room(self.length, self._pool))[: self.length]
        self._buffer[self._received : self._received + len(piece)] = piece


class ChunkedBody:
    """A body in chunks, and the trailers after it. feed() raises BadChunkError.

    `too_large` is set as soon as the limit is passed; the rest is discarded. Not left to
    llhttp, which copies each chunk and cannot tell where the message ended: what follows it is
    the next request's.
    """

    __slots__ = (
        "_buffer",
        "_left",
        "_limit",
        "_line",
        "_max_trailers",
        "_pool",
        "_step",
        "_trailer_lines",
        "complete",
        "length",
        "result",
        "too_large",
        "trailers",
    )

    def __init__(self, pool: BufferPool, max_trailers: int) -> None:
        self.length = 0  # so far
        self.complete = False
        self.result: bytes | memoryview = b""
        self.trailers: Headers = NO_HEADERS
        self.too_large: TooLarge | None = None
        self._pool = pool
        self._max_trailers = max_trailers
        self._limit: int | None = None  # None: nothing is kept
        self._buffer: bytearray | mmap = bytearray()
        self._line = bytearray()  # the part that has arrived of a line that has not ended
        self._left = 0  # bytes of the current chunk
        self._trailer_lines = bytearray()
        self._step = ChunkedBody._size_line

    def collect(self, limit: int) -> TooLarge | None:
        """Keep what will be fed, until it is too large."""
        self._limit = limit
        return None

    def discard(self) -> None:
        """Follow the framing of what will be fed, and keep none of it."""
        self._limit = None
        self._buffer = bytearray()

    def window(self) -> None:
        """Return None: where the bytes of a chunk belong is only known when they are here."""

    def feed(self, source: bytes | bytearray, start: int, end: int) -> int:
        """Take what is ours of source[start:end], and return where it ends."""
        while start < end and not self.complete:
            start = self._step(self, source, start, end)
        return start

    def _size_line(self, source: bytes | bytearray, start: int, end: int) -> int:
        line, start = self._read_line(source, start, end, MAX_SIZE_LINE)
        if line is None:
            return start
        digits, semicolon, _ = line[:-2].partition(b";")
        if semicolon:
            digits = digits.rstrip(b" \t")
        self._left = _chunk_size(digits)
        self._step = ChunkedBody._data if self._left else ChunkedBody._trailer_line
        return start

    def _data(self, source: bytes | bytearray, start: int, end: int) -> int:
        count = min(end - start, self._left)
        if self._limit is not None and self.length + self._left > self._limit:
            self.too_large = TooLarge(self.length + self._left, self._limit)
            self.discard()
        if self._limit is not None:
            self._keep(source, start, start + count)
        self.length += count
        self._left -= count
        if not self._left:
            self._step = ChunkedBody._after_data
        return start + count

    def _after_data(self, source: bytes | bytearray, start: int, end: int) -> int:
        line, start = self._read_line(source, start, end, 2)
        if line is not None:
            self._step = ChunkedBody._size_line
        return start

    def _trailer_line(self, source: bytes | bytearray, start: int, end: int) -> int:
        room = self._max_trailers - len(self._trailer_lines)
        line, start = self._read_line(source, start, end, room)
        if line is None:
            return start
        self._trailer_lines += line
        if line == b"\r\n":
            self._finish()
        return start

    def _read_line(
        self, source: bytes | bytearray, start: int, end: int, max_length: int
    ) -> tuple[bytearray | None, int]:
        """Return the line, with its CRLF, that ends here, or None, and where to go on."""
        newline = source.find(b"\n", start, end)
        stop = end if newline < 0 else newline + 1
        line = self._line
        line += source[start:stop]
        if len(line) > max_length:
            raise BadChunkError("a line of the chunked framing is too long")
        if newline < 0:
            return None, stop
        if line[-2:] != b"\r\n" or line.find(b"\r") != len(line) - 2:
            raise BadChunkError("bare CR or LF in the chunked framing")
        self._line = bytearray()
        return line, stop

    def _keep(self, source: bytes | bytearray, start: int, stop: int) -> None:
        size = self.length + stop - start
        if size > len(self._buffer):
            self._grow(size)
        with memoryview(source)[start:stop] as piece:
            self._buffer[self.length : size] = piece

    def _grow(self, size: int) -> None:
        larger = _room(SMALL if size < SMALL else 2 * size, self._pool)
        with memoryview(self._buffer)[: self.length] as kept:
            larger[: self.length] = kept
        self._buffer = larger

    def _finish(self) -> None:
        if self._limit is not None:
            body = memoryview(self._buffer)[: self.length]
            self.result = bytes(body) if self.length < SMALL else body
        if len(self._trailer_lines) > len(b"\r\n"):
            try:
                self.trailers = parse_trailers(bytes(self._trailer_lines))
            except BadHeadError as error:
                raise BadChunkError(str(error)) from None
        self.complete = True


def make_body(length: int, pool: BufferPool, max_trailers: int) -> FixedBody | ChunkedBody:
    """Return the body that a head announced; `length` may be CHUNKED."""
    return ChunkedBody(pool, max_trailers) if length == CHUNKED else FixedBody(length, pool)


def _room(size: int, pool: BufferPool) -> bytearray | mmap:
    return bytearray(size) if size <= SMALL else pool.take(size)


def _chunk_size(digits: bytes | bytearray) -> int:
    # Checked here, for int() would also take b" 1", b"+1", b"1_1" and b"0x1".
    if not 0 < len(digits) <= MAX_SIZE_DIGITS or digits.strip(HEX_DIGITS):
        raise BadChunkError("bad chunk size")
    return int(digits, 16)
