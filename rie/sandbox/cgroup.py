"""The control group of one execution environment: limits, measures, freezing and killing.

It is made by `Cgroups` (cgroups.py). Who enters it, and when it is killed, is for others to say.
What it cannot do here it has no mechanism for, which is no error.

Memory is in bytes. Not for several threads at once. Sources: the kernel's
admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from rie.sandbox import files
from rie.sandbox.cgroup_directory import Directory, Version
from rie.sandbox.cgroup_memory import Memory, MemoryNow

Feature = Literal["memory", "processes", "cpu", "freeze", "kill"]

_CPU_PERIOD = 100_000  # microseconds
_LEAST_QUOTA = 1_000  # microseconds; the kernel refuses less
_FREEZING = 0.1  # seconds in which a group must stand still
_DYING = 0.2  # seconds in which the killed must have left a group
_PAUSE = 0.000_05  # seconds between two looks


class Limits(NamedTuple):
    """What a group may use at most; None is without a limit."""

    memory: int | None = None
    processes: int | None = None
    cpus: float | None = None

    def ask_for(self, feature: Feature) -> bool:
        """Whether a group needs a feature: memory is measured too, the others only limit."""
        match feature:
            case "processes":
                return self.processes is not None
            case "cpu":
                return self.cpus is not None
            case "memory" | "freeze" | "kill":
                return True


class _FreezerFiles(NamedTuple):
    control: str
    words: tuple[bytes, bytes]
    state: str
    frozen: bytes


_FREEZER_FILES: Final[dict[Version, _FreezerFiles]] = {
    1: _FreezerFiles("freezer.state", (b"FROZEN", b"THAWED"), "freezer.state", b"FROZEN"),
    2: _FreezerFiles("cgroup.freeze", (b"1", b"0"), "cgroup.events", b"frozen 1"),
}


class _Freezer:
    """Makes a group stand still."""

    def __init__(self, directory: Directory) -> None:
        control, self.words, state, self._frozen = _FREEZER_FILES[directory.version]
        self.control = directory.open(control, os.O_WRONLY)
        self._state = directory.open(state, os.O_RDONLY)

    def freeze(self) -> bool:
        return _within(_FREEZING, self._is_frozen)

    def thaw(self) -> None:
        os.write(self.control, self.words[1])

    def _is_frozen(self) -> bool:
        # cgroup v1 may stay FREEZING until it is told again; cgroup v2 does not mind.
        os.write(self.control, self.words[0])
        return self._frozen in files.pread(self._state)


def _ignore(directory: Directory) -> None:
    del directory  # whoever takes a group over only to remove it misses nothing


class Cgroup:
    """The control group of one execution environment: a directory in each hierarchy used.

    `entries` are descriptors: a process that writes "0" to each has entered. All descriptors
    close when the group is removed. What has no mechanism is None, 0 or False. `taken_away` is
    called if it is found, while memory is looked at, that another has taken controllers from a
    directory of it.
    """

    def __init__(self, taken_away: Callable[[Directory], None] = _ignore) -> None:
        self._taken_away = taken_away
        self.entries: tuple[int, ...] = ()
        self.kill_descriptor: int | None = None  # cgroup.kill; "1" kills all
        # cgroup.procs to be read once, by whoever kills without cgroup.kill: freeze, kill each,
        # thaw. A second reading would show the old list (see Directory.members).
        self.procs_of_freezer: int | None = None
        self._directories: list[Directory] = []
        self._memory: Memory | None = None
        self._freezer: _Freezer | None = None

    def directories(self) -> tuple[tuple[int, str], ...]:
        """Say what to remove, as unlinkat takes it; the descriptors belong to `Cgroups`."""
        return tuple((directory.parent, directory.name) for directory in self._directories)

    def directory_of(self, entry: int) -> Directory | None:
        """Return the directory that one of the `entries` leads into."""
        return next((each for each in self._directories if each.opened(entry)), None)

    @property
    def counts_memory(self) -> bool:
        """Whether it was made to: it may have been taken away since."""
        return self._memory is not None

    @property
    def freeze_descriptor(self) -> int | None:
        """Where to write `freeze_words`."""
        return self._freezer.control if self._freezer else None

    @property
    def freeze_words(self) -> tuple[bytes, bytes]:
        """What freezes, and what thaws."""
        return self._freezer.words if self._freezer else (b"", b"")

    def memory_peak(self) -> int:
        """Tell the most that was in memory, less the page cache at the time of asking.

        It never falls. What page cache hides from the kernel's mark, as it does once the cache
        has filled the group to its limit, is missed unless `memory_now` sees it.
        """
        return self._memory.peak() if self._memory else 0

    def memory_now(self) -> MemoryNow:
        """Tell what is in memory now."""
        return self._memory.now() if self._memory else MemoryNow(0, 0)

    def oom_kills(self) -> int:
        """Count the group's processes that the kernel has killed for want of memory."""
        return self._memory.oom_kills() if self._memory else 0

    def set_memory_limit(self, limit: int) -> bool:
        """Change the limit; False where the kernel will not have it.

        Below what is held cgroup v1 does not go, and cgroup v2 kills for it.
        """
        with suppress(OSError):
            if self._memory:
                self._memory.set_limit(limit)
                return True
        return False

    def freeze(self) -> bool:
        """Return when all stand still; False when some do not in time, and it is to be thawed."""
        with suppress(OSError):
            return self._freezer is not None and self._freezer.freeze()
        return False

    def thaw(self) -> None:
        """Let all go on."""
        with suppress(OSError):
            if self._freezer:
                self._freezer.thaw()

    def kill(self) -> None:
        """Kill all, at once or frozen one after the other, so that no child gets away."""
        if self.kill_descriptor is not None:
            with suppress(OSError):
                os.write(self.kill_descriptor, b"1")
            return
        self.freeze()
        for pid in {pid for directory in self._directories for pid in directory.members()}:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.thaw()

    def remove(self) -> None:
        """Remove the directories, from which all processes must have gone; no error is raised.

        It waits for a moment for those of the killed that are on their way out.
        """
        self.entries = ()
        self.kill_descriptor = self.procs_of_freezer = self._memory = self._freezer = None
        directories, self._directories = self._directories, []
        for directory in directories:
            directory.close()
        # Who has just been killed is in a group until it has given back its memory. All are
        # tried each time: what one has to wait for is no reason to leave the others.
        _within(_DYING, lambda: all(tuple(map(Directory.remove, directories))))

    def join(self, directory: Directory) -> None:
        """Take a directory for a part of the group: for whoever puts it together."""
        self._directories.append(directory)
        self.entries += (directory.open("cgroup.procs", os.O_WRONLY),)

    def take_on(self, feature: Feature, directory: Directory, limits: Limits) -> None:
        """Have a feature by means of a directory, or raise OSError: for the same."""
        match feature:
            case "memory":
                self._memory = Memory(directory, limits.memory, self._taken_away)
            case "processes":
                directory.write("pids.max", limits.processes)
            case "cpu":
                _limit_cpus(directory, limits.cpus or 0.0)
            case "freeze":
                self._freezer = _Freezer(directory)
            case "kill":
                self._take_on_kill(directory)

    def _take_on_kill(self, directory: Directory) -> None:
        try:
            self.kill_descriptor = directory.open("cgroup.kill", os.O_WRONLY)
        except FileNotFoundError:  # cgroup v1, or v2 before Linux 5.14
            self.procs_of_freezer = directory.open("cgroup.procs", os.O_RDONLY)


def _limit_cpus(directory: Directory, cpus: float) -> None:
    quota = max(_LEAST_QUOTA, int(cpus * _CPU_PERIOD))
    match directory.version:
        case 1:
            directory.write("cpu.cfs_period_us", _CPU_PERIOD)
            directory.write("cpu.cfs_quota_us", quota)
        case 2:
            directory.write("cpu.max", f"{quota} {_CPU_PERIOD}")


def _within(seconds: float, is_done: Callable[[], bool]) -> bool:
    """Do something again and again until it is done, for so long at most."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True
