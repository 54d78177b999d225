"""What the processes of an environment print, turned into lines.

One pipe takes stdout and stderr of the runtime and all that it starts, a second one the
frames of clients that know `_LAMBDA_TELEMETRY_LOG_FD`. Each keeps its order; the order
between the two cannot be known. Both stay open for the environment's whole life, also
between a reset and the next start, so that an end of file never has to be dealt with.

Frames, from the official clients: big-endian u32 type, u32 length, u64 microseconds since
the epoch, then the message. Type 0xa55a0002 is JSON and 0xa55a0003 text, or'ed with a level.
Whatever is no frame is taken for text, so that nothing printed is lost.
"""

from __future__ import annotations

import os
import select
import struct
from typing import TYPE_CHECKING

from rie.telemetry.lines import FunctionLine, Level

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable

# The size of one event in CloudWatch Logs; longer lines are split there too.
MAX_LINE = 256 * 1024

# A longer frame is no frame: its length is not to be believed.
MAX_FRAME = 64 * 1024 * 1024

# What a pipe holds, unless its writer asks for more, and so the most that one read takes: a
# function that prints without end has its share of each iteration of the loop, not more.
# Larger pipes were measured to be no faster, and count against the user's quota of pages.
PIPE_SIZE = 64 * 1024

# Reads of a drain, at most: 1 MiB is the most that a writer may ask for its pipe to hold.
MOST_READS = 16

# For how long the pipes are left alone when the log's reader is far behind, in seconds.
CONGESTION_PAUSE = 0.02

_HEADER = struct.Struct(">IIQ")
_MAGIC = b"\xa5\x5a\x00"
_LEVEL_BITS: dict[int, Level | None] = {
    0x00: None,
    0x04: "TRACE",
    0x08: "DEBUG",
    0x0C: "INFO",
    0x10: "WARN",
    0x14: "ERROR",
    0x18: "FATAL",
}
_FRAME_TYPES: dict[int, tuple[Level | None, bool]] = {
    0xA55A0000 | kind | bits: (level, kind == 2)  # noqa: PLR2004 - see the docstring
    for bits, level in _LEVEL_BITS.items()
    for kind in (2, 3)
}


class LineSplitter:
    """Bytes in, lines out; a line over MAX_LINE comes in pieces.

    Pure: the same bytes give the same lines, however they were cut when they came.
    """

    def __init__(self) -> None:
        self._partial = bytearray()  # never longer than MAX_LINE between calls

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, without their newlines."""
        first, *others = data.split(b"\n")
        self._partial += first
        if not others:
            return self._overflow()
        lines = [*self._overflow(), bytes(self._partial)]
        self._partial = bytearray(others.pop())
        if len(data) <= MAX_LINE:
            return lines + others
        for line in others:
            lines += _pieces(line) or [b""]
        return lines + self._overflow()

    def end(self) -> list[bytes]:
        """Return what came after the last newline as a line of its own, if there was any."""
        partial, self._partial = bytes(self._partial), bytearray()
        return [partial] if partial else []

    def _overflow(self) -> list[bytes]:
        if len(self._partial) <= MAX_LINE:
            return []
        *pieces, rest = _pieces(bytes(self._partial))
        self._partial = bytearray(rest)
        return pieces


class FrameSplitter:
    """Bytes of the telemetry pipe in, records out. Pure, as LineSplitter is.

    A message over MAX_LINE comes in pieces, so that memory is bounded whatever a frame's
    length says.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._stray = LineSplitter()  # what is no frame
        self._record: FunctionLine | None = None  # the frame that is being read, without text
        self._missing = 0  # bytes of its message that have not been taken yet

    def feed(self, data: bytes) -> list[FunctionLine]:
        """Return the records that are complete now."""
        self._buffer += data
        records: list[FunctionLine] = []
        while self._step(records):
            pass
        return records

    def end(self) -> list[FunctionLine]:
        """Return what is there of a record, and expect a frame to begin next."""
        record, self._record, self._missing = self._record, None, 0
        rest, self._buffer = bytes(self._buffer), bytearray()
        if record is None:
            return [FunctionLine(line) for line in (*self._stray.feed(rest), *self._stray.end())]
        return [record._replace(text=rest.removesuffix(b"\n"))] if rest else []

    def _step(self, records: list[FunctionLine]) -> bool:
        if self._record is not None:
            return self._message(self._record, records)
        self._skip(_frame_at(self._buffer), records)
        if len(self._buffer) < _HEADER.size:
            return False
        kind, self._missing, microseconds = _HEADER.unpack_from(self._buffer)
        del self._buffer[: _HEADER.size]
        level, json = _FRAME_TYPES[kind]
        self._record = FunctionLine(b"", level, json, microseconds / 1_000_000)
        records.extend(FunctionLine(line) for line in self._stray.end())
        return True

    def _skip(self, count: int, records: list[FunctionLine]) -> None:
        if count:
            lines = self._stray.feed(bytes(self._buffer[:count]))
            records.extend(FunctionLine(line) for line in lines)
            del self._buffer[:count]

    def _message(self, record: FunctionLine, records: list[FunctionLine]) -> bool:
        size = min(self._missing, MAX_LINE)
        if len(self._buffer) < size:
            return False
        text = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._missing -= size
        if not self._missing:
            self._record, text = None, text.removesuffix(b"\n")
        records.append(record._replace(text=text))
        return True


class Output:
    """The two pipes of one execution environment.

    `on_line` is called for each line, from `drain`, `settle` or the loop. As long as
    `congested` says that the log's own reader is far behind, the loop leaves the pipes alone:
    then whoever prints waits, and nobody else.
    """

    def __init__(
        self,
        on_line: Callable[[FunctionLine], None],
        congested: Callable[[], bool] = lambda: False,
    ) -> None:
        self._on_line = on_line
        self._congested = congested
        self._pause: TimerHandle | None = None
        self._lines, self._frames = LineSplitter(), FrameSplitter()
        self._printed, self.child_output = _pipe()
        try:
            self._framed, self.child_telemetry = _pipe()
        except OSError:  # no descriptors left
            os.close(self._printed)
            os.close(self.child_output)
            raise
        self._poll = select.poll()
        self._poll.register(self._printed, select.POLLIN)
        self._poll.register(self._framed, select.POLLIN)
        self._loop: AbstractEventLoop | None = None
        self._read_since = False  # anything, since the last settle

    @property
    def child_fds(self) -> tuple[int, int]:
        """What a process is started with: its stdout and stderr, and its telemetry log.

        They stay open here, for the next process; neither is inherited unless it is named.
        """
        return self.child_output, self.child_telemetry

    def attach(self, loop: AbstractEventLoop) -> None:
        """Read by `loop` as output comes."""
        self._loop = loop
        self._listen(loop)

    def drain(self) -> None:
        """Read all that has been written by now.

        One read takes all that a pipe of the usual size held at that moment, so this is
        complete for whoever wrote before, and it ends though somebody prints without end.
        """
        for fd, _ in self._poll.poll(0):
            for _again in range(MOST_READS):
                if self._read(fd) < PIPE_SIZE:
                    break

    def settle(self) -> None:
        """Take all that was printed, to the last line without its end: who printed is done."""
        if self._poll.poll(0):  # 0.3 us; two reads that find nothing would cost 2.5 us
            self.drain()
        if not self._read_since:  # most invocations print nothing
            return
        self._read_since = False
        for line in self._lines.end():
            self._on_line(FunctionLine(line))
        for record in self._frames.end():
            self._on_line(record)

    def close(self) -> None:
        """Let go of both pipes, at once, whoever still holds their other ends."""
        if self._loop is not None:
            self._unlisten(self._loop)
            self._loop = None
        for fd in (self._printed, self._framed, *self.child_fds):
            if fd >= 0:
                os.close(fd)
        self._poll = select.poll()
        self._printed = self._framed = self.child_output = self.child_telemetry = -1

    def _listen(self, loop: AbstractEventLoop) -> None:
        self._pause = None
        loop.add_reader(self._printed, self._readable, self._printed)
        loop.add_reader(self._framed, self._readable, self._framed)

    def _unlisten(self, loop: AbstractEventLoop) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        loop.remove_reader(self._printed)
        loop.remove_reader(self._framed)

    def _readable(self, fd: int) -> None:
        if self._congested() and self._loop is not None:
            self._unlisten(self._loop)
            self._pause = self._loop.call_later(CONGESTION_PAUSE, self._listen, self._loop)
        else:
            self._read(fd)

    def _read(self, fd: int) -> int:
        try:
            data = os.read(fd, PIPE_SIZE)
        except BlockingIOError:  # drained since it was seen to be ready
            return 0
        self._read_since = True
        if fd == self._framed:
            for record in self._frames.feed(data):
                self._on_line(record)
        else:
            for line in self._lines.feed(data):
                self._on_line(FunctionLine(line))
        return len(data)


def _pipe() -> tuple[int, int]:
    """Return a pipe that no child inherits; only the end that is read never blocks."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    return read_end, write_end


def _pieces(line: bytes) -> list[bytes]:
    return [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)]


def _frame_at(buffer: bytearray) -> int:
    """Return where a frame begins, or where one may once more has come; else the end."""
    at = -1
    while (at := buffer.find(_MAGIC, at + 1)) >= 0:
        head = buffer[at : at + 8]
        if _may_be_frame(head):
            return at
    for size in (2, 1):
        if buffer.endswith(_MAGIC[:size]):
            return len(buffer) - size
    return len(buffer)


def _may_be_frame(head: bytearray) -> bool:
    """Tell whether these first bytes of a header, 3 to 8 of them, can be those of a frame."""
    if len(head) > 3 and int.from_bytes(head[:4]) not in _FRAME_TYPES:  # noqa: PLR2004
        return False
    return len(head) < 8 or int.from_bytes(head[4:8]) <= MAX_FRAME  # noqa: PLR2004
