"""What /proc tells: who descends from whom, who belongs to an environment, who uses how much.

Where there is no /proc (macOS) everything is empty and the process group must do.
Memory is in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = "/proc"
_LIVE = frozenset({b"R", b"S", b"D", b"T", b"t", b"I", b"P", b"K", b"W"})
_PR_SET_CHILD_SUBREAPER = 36
_MOST_ASKED = 16  # processes, for their shares of memory: each costs 50 us and more
_MARK_INTERVAL = 0.005  # seconds


def descendants(pid: int) -> Iterator[int]:
    """Yield every living descendant of a process, in whatever session or group it is."""
    for child in _children(pid):
        yield child
        yield from descendants(child)


def members(marker: bytes) -> Iterator[int]:
    """Yield each process whose start environment holds `marker`, a whole NAME=value.

    Whoever left its parents and sessions behind still has the environment that it was
    started with, unless it cleared it.
    """
    for name in _listed(_PROC):
        if name.isdigit() and marker in _read(f"{_PROC}/{name}/environ").split(b"\0"):
            yield int(name)


def parent(pid: int) -> int:
    """Return the parent of a process; 0 where there is none, or no such process."""
    with suppress(ValueError, IndexError):
        return int(_read(f"{_PROC}/{pid}/stat").rpartition(b")")[2].split()[1])
    return 0


def orphans() -> Iterator[int]:
    """Yield the children of this process: its own, and those it has been left with."""
    return _children(os.getpid())


def adopt_orphans() -> bool:
    """Have the kernel give this process whatever its descendants leave behind (Linux).

    For a process that is nothing but an emulator: it takes every unknown child for a
    function's.
    """
    try:
        import ctypes  # noqa: PLC0415 - costs 10 ms; by now the first runtime is loading

        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def oom_kills() -> int:
    """Count the processes that the kernel has killed for want of memory, since it started.

    Both kinds count: of the whole machine's memory and of a control group's (vmstat).
    """
    counts = _read(f"{_PROC}/vmstat")
    start = counts.find(b"\noom_kill ")
    return int(counts[start + 10 :].split(None, 1)[0]) if start >= 0 else 0


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie.

    One whose first thread has ended looks like a zombie, although its other threads run on.
    """
    if _state(f"{_PROC}/{pid}/stat") in _LIVE:
        return True
    threads = _listed(f"{_PROC}/{pid}/task")
    return any(_state(f"{_PROC}/{pid}/task/{thread}/stat") in _LIVE for thread in threads)


def resident(pid: int) -> int:
    """Memory that a process has resident now."""
    fields = _read(f"{_PROC}/{pid}/statm").split(None, 2)
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def proportional(pid: int) -> int:
    """Memory that a process has resident, its part only of what it shares with others."""
    figures = _read(f"{_PROC}/{pid}/smaps_rollup")
    start = figures.find(b"\nPss:")
    return int(figures[start + 5 :].split(None, 1)[0]) * 1024 if start >= 0 else resident(pid)


def _anonymous(pid: int) -> int:
    """Memory that a process has resident, but for pages of files."""
    fields = _read(f"{_PROC}/{pid}/statm").split(None, 3)
    return (int(fields[1]) - int(fields[2])) * _PAGE if len(fields) > 3 else 0  # noqa: PLR2004


def _shares(pids: Iterable[int]) -> int:
    """Add up the memory of processes, what they share once.

    The kernel is asked for the largest only: it takes its time, and for ever where processes fork
    without end. The others are taken to share as much as those do.
    """
    sizes = sorted(((_anonymous(pid), pid) for pid in pids), reverse=True)
    asked, others = sizes[:_MOST_ASKED], sizes[_MOST_ASKED:]
    known, counted = sum(proportional(pid) for _, pid in asked), sum(size for size, _ in asked)
    rest = sum(size for size, _ in others)
    return known + (rest * known // counted if counted else rest)


class PeakMemory:
    """The highest memory of one process and its descendants so far, as far as anybody tells.

    `others` yields who belongs to it besides, its descendants where it is not given; `counted`
    says what the kernel has counted for all together.

    The kernel keeps the mark of each process (VmHWM), but writes a page of text to tell it:
    9 us and more, as much as all else that is done for an invocation's report. So under load
    it is asked every few milliseconds only. It is never forgotten: a peak in between is told
    by the next reading.
    """

    def __init__(
        self,
        pid: int,
        others: Callable[[], Iterable[int]] | None = None,
        counted: Callable[[], int] = lambda: 0,
    ) -> None:
        self.peak = 0  # in bytes, as far as it has been looked at
        self.together = 0  # what all held when they were last looked at, in bytes
        self._status = _open(f"{_PROC}/{pid}/status")
        self._children = _open(f"{_PROC}/{pid}/task/{pid}/children")
        self._pid = pid
        self._others = others or (lambda: descendants(pid))
        self._counted = counted
        self._asked = 0.0

    def read(self, now: float) -> int:
        """Return the peak in bytes: the kernel's own mark, or what all processes held together.

        `now` is in seconds, on a clock of its callers.
        """
        if now - self._asked >= _MARK_INTERVAL:
            self._asked = now
            self.peak = max(self.peak, self._mark(), self._counted())
            if _pread(self._children):
                self._add_up()
        return self.peak

    def sample(self) -> None:
        """Look at all processes together, those that other threads started too."""
        self.peak = max(self.peak, self._mark(), self._counted())
        self._add_up()

    def exited(self, most_resident: int) -> int:
        """Take in what the kernel says of the process after its end, and return the peak.

        `most_resident` (rusage) counts the memory of whoever started the process as well, up
        to its exec: it is believed only where it is more than we ever had ourselves.
        """
        if most_resident > _mark_in(_read(f"{_PROC}/self/status")):
            self.peak = max(self.peak, most_resident)
        return self.peak

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._status, self._children):
            if descriptor >= 0:
                os.close(descriptor)
        self._status = self._children = -1

    def _add_up(self) -> None:
        everybody = (self._pid, *self._others())
        together = sum(map(resident, everybody))
        if len(everybody) > 1 and together > self.peak:
            together = _shares(everybody)  # what they share was counted twice
        self.together = together
        self.peak = max(self.peak, together)

    def _mark(self) -> int:
        return _mark_in(_pread(self._status))


def _mark_in(status: bytes) -> int:
    start = status.find(b"VmHWM:")
    if start < 0:  # a zombie has no memory to tell of
        return 0
    return int(status[start + 6 : status.index(b"kB", start)]) * 1024


def _state(stat_file: str) -> bytes:
    return _read(stat_file).rpartition(b")")[2].strip()[:1]


def _children(pid: int) -> Iterator[int]:
    # Each thread has a list of its own: those that it started.
    for thread in _listed(f"{_PROC}/{pid}/task"):
        for child in _read(f"{_PROC}/{pid}/task/{thread}/children").split():
            yield int(child)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names, not paths
    except OSError:
        return []


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs more than the read
            return file.read()
    except OSError:
        return b""


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _pread(descriptor: int) -> bytes:
    if descriptor < 0:
        return b""
    try:
        return os.pread(descriptor, 4096, 0)
    except OSError:  # the process is gone
        return b""
