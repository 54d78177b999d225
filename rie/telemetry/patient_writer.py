"""Writes to a descriptor whose reader may be slow, and never makes its caller wait.

As long as the reader keeps up, bytes are written at once. When a pipe or a terminal is full, a
thread takes over and waits in the caller's place, in order, until it has caught up.
"""

from __future__ import annotations

import atexit
import os
import select
import stat
import threading
import weakref
from collections import deque

# A pipe that poll() calls writable takes this much without blocking: pipe(7), PIPE_BUF.
_SURE = select.PIPE_BUF


# For how long the last lines may take to a reader that does not keep up, in seconds.
FINISH_GRACE = 1.0

_known: weakref.WeakSet[PatientWriter] = weakref.WeakSet()


def patient_writer(fd: int) -> PatientWriter:
    """Return the writer of a descriptor, the same one for two that are the same open file.

    stdout and stderr often are (`2>&1`): what one thinks is free the other would fill.
    """
    for writer in list(_known):
        if writer.writes_to(fd):
            return writer
    writer = PatientWriter(fd)
    _known.add(writer)
    return writer


class PatientStream:
    """The text stream of a descriptor, for whoever needs one; what it takes is never waited for."""

    def __init__(self, fd: int) -> None:
        self._writer = patient_writer(fd)
        atexit.register(self._writer.finish, FINISH_GRACE)

    def write(self, text: str) -> int:
        """Write a text; what is no Unicode in it becomes question marks."""
        self._writer.write(text.encode("utf-8", "replace"))
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is kept that could be written."""


class PatientWriter:
    """One descriptor. May be used by several threads, besides the one that waits."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._file = _file(fd)
        self._may_block = _may_block(fd)
        # A terminal says that it is writable when there is room for one byte.
        self._is_terminal = self._may_block and os.isatty(fd)
        self._direct = threading.Lock()
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._lock = threading.Condition()
        self._queue: deque[memoryview] = deque()
        self._behind = 0
        self._thread: threading.Thread | None = None
        self.failure: OSError | None = None  # after it nothing is written any more

    @property
    def behind(self) -> int:
        """How many bytes wait for the reader."""
        return self._behind

    def writes_to(self, fd: int) -> bool:
        """Whether this writes to the file that is open as `fd`, and has to wait for its reader."""
        # Its own descriptor may have been closed, and its number given to another file.
        mine = self._file is not None and self._file == _file(self._fd) == _file(fd)
        return mine and self._may_block and self.failure is None

    def write(self, data: bytes) -> None:
        """Write whole lines, now or as soon as there is room. Nothing is raised."""
        if self.failure is not None or not data:
            return
        rest = memoryview(data)
        with self._direct:
            if self._thread is None and not self._is_terminal:
                try:
                    rest = self._write_what_fits(rest)
                except OSError as error:
                    self.failure = error
                    return
            if rest:
                self._leave_to_thread(rest)

    def finish(self, grace: float) -> None:
        """Wait up to `grace` seconds until the reader has everything."""
        with self._lock:
            self._lock.wait_for(lambda: self._thread is None, grace)

    def _write_what_fits(self, rest: memoryview) -> memoryview:
        if not self._may_block:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        while rest and self._poll.poll(0):
            try:
                rest = rest[os.write(self._fd, rest[:_SURE]) :]
            except BlockingIOError:  # somebody made it non-blocking: Node does, to a terminal
                break
        return rest

    def _leave_to_thread(self, rest: memoryview) -> None:
        with self._lock:
            self._queue.append(rest)
            self._behind += len(rest)
            if self._thread is None:
                self._thread = threading.Thread(target=self._catch_up, name="log", daemon=True)
                self._thread.start()

    def _catch_up(self) -> None:
        while (rest := self._next()) is not None:
            try:
                while rest:
                    self._poll_one()
                    written = self._write_some(rest)
                    rest = rest[written:]
                    with self._lock:
                        self._behind -= written
            except OSError as error:
                self.failure = error

    def _next(self) -> memoryview | None:
        with self._lock:
            if self._queue and self.failure is None:
                return self._queue.popleft()
            self._queue.clear()
            self._behind = 0
            self._thread = None
            self._lock.notify_all()
            return None

    def _poll_one(self) -> None:
        waiting = select.poll()  # a poll object is not for two threads
        waiting.register(self._fd, select.POLLOUT)
        waiting.poll()

    def _write_some(self, rest: memoryview) -> int:
        try:
            return os.write(self._fd, rest[:_SURE])
        except BlockingIOError:
            return 0


def _file(fd: int) -> tuple[int, int] | None:
    """Say which file a descriptor is open to: a device and a number on it."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _may_block(fd: int) -> bool:
    """Whether a write can wait for a reader: to anything but a file or a device like /dev/null."""
    try:
        mode = os.fstat(fd).st_mode
        return not stat.S_ISREG(mode) and (not stat.S_ISCHR(mode) or os.isatty(fd))
    except OSError:
        return False
