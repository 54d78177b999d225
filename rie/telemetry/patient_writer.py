"""Writes to a descriptor whose reader may be slow, and never makes its caller wait.

As long as the reader keeps up, bytes are written at once. When a pipe or a terminal is full, a
thread takes over and waits in the caller's place, in order, until it has caught up.
"""

from __future__ import annotations

import os
import select
import stat
import threading
from collections import deque

# A pipe that poll() calls writable takes this much without blocking: pipe(7), PIPE_BUF.
_SURE = select.PIPE_BUF


class PatientWriter:
    """One descriptor. All methods are for one thread; another one may be at work inside."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._may_block = _may_block(fd)
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

    def write(self, data: bytes) -> None:
        """Write whole lines, now or as soon as there is room. Nothing is raised."""
        if self.failure is not None or not data:
            return
        rest = memoryview(data)
        if self._thread is None:
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


def _may_block(fd: int) -> bool:
    """Whether a write can wait for a reader: to anything but a file or a device like /dev/null."""
    try:
        mode = os.fstat(fd).st_mode
        return not stat.S_ISREG(mode) and (not stat.S_ISCHR(mode) or os.isatty(fd))
    except OSError:
        return False
