"""What /proc tells: who descends from whom, who belongs to an environment, who uses how much.

Where there is no /proc (macOS) everything is empty and the process group must do.
Memory is in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = "/proc"


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


def is_running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    stat = _read(f"{_PROC}/{pid}/stat")
    state = stat.rpartition(b")")[2].split()[:1]
    return bool(state) and state[0] not in {b"Z", b"X"}


def resident(pid: int) -> int:
    """Memory that a process has resident now."""
    fields = _read(f"{_PROC}/{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


class PeakMemory:
    """The highest resident memory of one process so far, read from a file kept open."""

    def __init__(self, pid: int) -> None:
        self._status = _open(f"{_PROC}/{pid}/status")
        self._children = _open(f"{_PROC}/{pid}/task/{pid}/children")
        self._pid = pid
        self._peak = 0

    def read(self) -> int:
        """Return the peak: the kernel's own mark, or what all processes held together."""
        own = self._own_peak()
        self._peak = max(self._peak, own)
        if self._has_children():
            self.sample()
        return self._peak

    def sample(self) -> None:
        """Add up what the process and its descendants hold now."""
        together = resident(self._pid) + sum(map(resident, descendants(self._pid)))
        self._peak = max(self._peak, together)

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._status, self._children):
            if descriptor >= 0:
                os.close(descriptor)
        self._status = self._children = -1

    def _own_peak(self) -> int:
        status = _pread(self._status)
        start = status.find(b"VmHWM:")
        if start < 0:
            return 0
        return int(status[start + 6 : status.index(b"kB", start)]) * 1024

    def _has_children(self) -> bool:
        return bool(_pread(self._children))


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
