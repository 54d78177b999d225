"""The memory of a control group: its limit and its measures, in bytes.

Sources: the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/memory.rst.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from rie.sandbox import files
from rie.sandbox.cgroup_directory import Directory, Version

_ENDLESS: Final = float("inf")


class MemoryNow(NamedTuple):
    """What a group has in memory: `held` by its processes and for them, and as `shared` files.

    Page cache is in neither: the kernel takes it back when it needs the memory.
    """

    held: int
    shared: int  # shmem: tmpfs, memfd, shared anonymous memory


class _MemoryFiles(NamedTuple):
    limit: str
    limit_with_swap: str | None
    swap: tuple[str, int]
    now: str
    peak: str
    events: str
    cache: bytes  # in memory.stat, the groups below included; shared memory is part of it
    shared: bytes


_MEMORY_FILES: Final[dict[Version, _MemoryFiles]] = {
    1: _MemoryFiles(
        limit="memory.limit_in_bytes",
        limit_with_swap="memory.memsw.limit_in_bytes",
        swap=("memory.swappiness", 0),
        now="memory.usage_in_bytes",
        peak="memory.max_usage_in_bytes",
        events="memory.oom_control",
        cache=b"total_cache",
        shared=b"total_shmem",
    ),
    2: _MemoryFiles(
        limit="memory.max",
        limit_with_swap=None,
        swap=("memory.swap.max", 0),
        now="memory.current",
        peak="memory.peak",
        # Not events.local: who is killed counts for the group that it is in, and a function
        # that makes groups of its own, below this one, dies of this one's limit all the same.
        events="memory.events",
        cache=b"file",
        shared=b"shmem",
    ),
}


class Memory:
    """The memory of a group: its limit and its measures.

    `taken_away` is called once if it is found that another has taken the controller from the
    group, and the limit with it.
    """

    def __init__(
        self, directory: Directory, limit: int | None, taken_away: Callable[[Directory], None]
    ) -> None:
        self._directory = directory
        self._taken_away = taken_away
        self._is_over = False
        self._files = _MEMORY_FILES[directory.version]
        self._limit: float = _ENDLESS
        self._mark = self._open_mark()
        self._stat = directory.open("memory.stat", os.O_RDONLY)
        self._last_mark: bytes | None = None
        self._peak = 0
        self._oom_kills = 0
        if limit is not None:
            with suppress(OSError):  # a kernel without swap has no such file
                directory.write(*self._files.swap)
            self.set_limit(limit)

    def set_limit(self, limit: int) -> None:
        """Limit memory, and memory with swap where cgroup v1 counts it.

        The kernel refuses a limit above that with swap: whichever leaves the room goes first.
        """
        names = [self._files.limit]
        with_swap = self._files.limit_with_swap
        if with_swap and self._directory.has(with_swap):
            names.insert(0 if limit > self._limit else 1, with_swap)
        for name in names:
            self._directory.write(name, limit)
        self._limit = limit

    def peak(self) -> int:
        """Tell the most that was in memory, without page cache: see `Cgroup.memory_peak`."""
        # memory.stat costs ten times the mark: it is read only when the mark has moved.
        mark = files.pread(self._mark)
        if mark != self._last_mark:
            self._last_mark = mark
            if mark:
                cache, shared = self._cache()
                self._peak = max(self._peak, int(mark) - (cache - shared))
            else:
                self._end()
        return self._peak

    def now(self) -> MemoryNow:
        """Tell what is in memory now; it counts for the peak."""
        now = b"" if self._is_over else self._directory.read(self._files.now)
        if not now:
            self._end()
            return MemoryNow(0, 0)
        cache, shared = self._cache()
        held = max(0, int(now) - cache)
        self._peak = max(self._peak, held + shared)
        return MemoryNow(held, shared)

    def oom_kills(self) -> int:
        """Count who was killed for want of memory."""
        events = self._directory.read(self._files.events)
        if events:
            self._oom_kills = _figure(events, b"oom_kill")
        return self._oom_kills

    def _end(self) -> None:
        """Take in that there are no measures any more: the group has gone, or only the controller.

        A group may have got the controller back meanwhile, but not the limit.
        """
        if self._is_over:
            return
        self._is_over = True
        left = self._directory.read("cgroup.controllers").split()
        unlimited = self._limit < _ENDLESS and self._directory.read(self._files.limit) == b"max\n"
        # Only cgroup v2 has such a file, and only cgroup v2 takes away what is in use.
        if left and (b"memory" not in left or unlimited):
            self._taken_away(self._directory)

    def _cache(self) -> tuple[int, int]:
        stat = files.pread(self._stat)
        return _figure(stat, self._files.cache), _figure(stat, self._files.shared)

    def _open_mark(self) -> int:
        try:
            return self._directory.open(self._files.peak, os.O_RDONLY)
        except FileNotFoundError:  # cgroup v2 has it since Linux 5.19; we keep the highest seen
            return self._directory.open(self._files.now, os.O_RDONLY)


def _figure(text: bytes, key: bytes) -> int:
    """Find the number beside a key, at the beginning of any line but the first."""
    start = text.find(b"\n%b " % key)
    return int(text[start + len(key) + 2 :].split(None, 1)[0]) if start >= 0 else 0
