"""What an emulator could leave behind on this machine, told apart from what others have there.

Root sees all of it, others only what is theirs. All is read off the kernel. A `Watch` must look
(`look`) while the emulator runs: processes and namespaces are known by what was seen then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.raw_http import LIMIT

NAMESPACES = ("mnt", "pid", "net", "user", "ipc", "uts")
# Where something of an environment is mounted; on this machine itself nothing may be.
_MOUNT_POINTS = ("/", "/tmp", "/dev", "/var", "/var/task", "/etc/passwd", "/etc/group", "/proc")
_GONE = frozenset({"Z", "X"})


class Process(NamedTuple):
    """A process for good: the number alone may be another's later."""

    pid: int
    start: int  # clock ticks since boot


class _Stat(NamedTuple):
    parent: int
    state: str
    start: int


def state_of(pid: int) -> str:
    """Tell a process's state as ps does; X when it is gone."""
    stat = _stat(pid)
    return stat.state if stat else "X"


def is_there(process: Process) -> bool:
    """Whether it runs, or could."""
    stat = _stat(process.pid)
    return stat is not None and stat.start == process.start and stat.state not in _GONE


def command_of(pid: int) -> tuple[str, ...]:
    """Return a process's words; none once it is gone."""
    return tuple(_read(f"/proc/{pid}/cmdline").decode(errors="replace").split("\0")[:-1])


def variables_of(pid: int) -> bytes:
    """Return the variables that a process was started with."""
    return _read(f"/proc/{pid}/environ")


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has for children, in whichever of its threads."""
    return [each for each, stat in _table().items() if stat.parent == pid]


def is_supervisor(pid: int) -> bool:
    """Whether it is the launcher: it has stayed behind, as a supervisor or as an init."""
    return next(iter(command_of(pid)), "").endswith("/launcher")


class Watch:
    """Knows what belongs to the emulator `pid`.

    `marker` is a NAME=value that only its functions have; `folder` is its TMPDIR, no other's.
    """

    def __init__(self, pid: int, marker: str, folder: Path) -> None:
        self.pid = pid
        self.family = _family(pid)
        self._marker = marker.encode()
        self._folder = folder
        self._seen: set[Process] = set()
        self._namespaces: set[str] = set()
        self._mounts = set(_mounts())
        self._kept = set(_kept_by_mounts())

    def look(self) -> frozenset[Process]:
        """Return the processes that come of the emulator now, without itself, and keep them."""
        table = _table()
        found = _descendants(table, self.pid)
        self._seen |= found
        common = set(_namespaces(os.getpid())) | set(_namespaces(self.pid))
        for process in found:
            self._namespaces |= set(_namespaces(process.pid)) - common
        return frozenset(found)

    def count(self) -> int:
        """Say how many processes come of it: for a crowd, at which a look takes its time."""
        return len(_descendants(_table(), self.pid))

    def function_processes(self) -> frozenset[Process]:
        """Return the processes of functions: those that are not ours."""
        return frozenset(each for each in self.look() if not is_supervisor(each.pid))

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces of its own that were seen."""
        return frozenset(self._namespaces)

    def cgroups(self) -> list[Path]:
        """Find the control groups that it has made, in every hierarchy."""
        return [path for path in _groups() if path.name.startswith(self.family)]

    def loop_devices(self) -> list[str]:
        """Find the loop devices whose file is in its folder for temporary files."""
        found = []
        for path in Path("/sys/block").glob("loop*/loop/backing_file"):
            with suppress(OSError):
                if path.read_text().startswith(f"{self._folder}/"):
                    found.append(path.parts[3])
        return found

    def files(self) -> list[str]:
        """Find what it has in folders for temporary files."""
        named = (self._folder, Path("/tmp"), Path("/var/tmp"))
        found = [str(path) for path in self._folder.iterdir()]
        prefix = "-".join(self.family.split("-")[:3])
        return found + [str(path) for each in named[1:] for path in each.glob(f"{prefix}-*")]

    def left(self) -> dict[str, object]:
        """Say what there is of it, by kind; the emulator itself too."""
        found = {
            "processes": [(each.pid, command_of(each.pid)) for each in self._alive()],
            "control groups": self.cgroups(),
            "loop devices": self.loop_devices(),
            "namespaces": sorted(self._held()),
            "files": self.files(),
            "mounts": sorted(set(_mounts()) ^ self._mounts),
        }
        return {kind: what for kind, what in found.items() if what}

    def assert_nothing_left(self) -> None:
        """Wait until there is nothing; the kernel may take a moment over the dead."""
        limit = time.monotonic() + LIMIT
        while left := self.left():
            assert time.monotonic() < limit, f"left behind: {left}"
            time.sleep(0.005)

    def _alive(self) -> list[Process]:
        """Find who is there of those seen, and who has come since and bears a mark."""
        table = _table()
        found = [
            Process(pid, stat.start)
            for pid, stat in table.items()
            if stat.state not in _GONE and self._is_ours(Process(pid, stat.start))
        ]
        return found + ([Process(self.pid, 0)] if self._emulator_is_there(table) else [])

    def _is_ours(self, process: Process) -> bool:
        if process in self._seen or self._marker in variables_of(process.pid).split(b"\0"):
            return True
        return f"/{self.family}".encode() in _read(f"/proc/{process.pid}/cgroup")

    def _emulator_is_there(self, table: dict[int, _Stat]) -> bool:
        stat = table.get(self.pid)
        return stat is not None and stat.state not in _GONE and f"-{stat.start}-" in self.family

    def _held(self) -> set[str]:
        """Find the namespaces that live on: in a process, in a descriptor of one, in a mount.

        Only of its own processes: once it is free, a number may be another's namespace.
        """
        held = set(_kept_by_mounts()) - self._kept
        for process in self._alive():
            held |= {*_namespaces(process.pid), *_descriptors(process.pid)}
        return held & self._namespaces


def _descriptors(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(path.readlink())


def descriptors_of(pid: int) -> list[str]:
    """Say what a process has open."""
    return sorted(_descriptors(pid))


def is_frozen(process: Process, groups: Iterable[Path]) -> bool:
    """Whether it stands still by the kernel's word: stopped, or in a frozen one of `groups`."""
    if state_of(process.pid) == "T":
        return True
    return any(
        _group_is_frozen(group)
        and str(process.pid).encode() in _read(group / "cgroup.procs").split()
        for group in groups
    )


def _group_is_frozen(group: Path) -> bool:
    return b"frozen 1" in _read(group / "cgroup.events") or b"FROZEN" in _read(
        group / "freezer.state"
    )


def _family(pid: int) -> str:
    """Begin the names of its groups and folders: its number, as it knows it, and its start."""
    stat = _stat(pid)
    assert stat, f"no process {pid}"
    status = _read(f"/proc/{pid}/status").decode()
    inner = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))
    namespace = str(Path(f"/proc/{pid}/ns/pid").readlink()).removeprefix("pid:[").removesuffix("]")
    return f"rie-{inner}-{stat.start}-{namespace}-"


def _namespaces(pid: int) -> Iterator[str]:
    for kind in NAMESPACES:
        with suppress(OSError):
            yield str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def _descendants(table: dict[int, _Stat], root: int) -> set[Process]:
    children: dict[int, list[int]] = {}
    for pid, stat in table.items():
        children.setdefault(stat.parent, []).append(pid)
    found: set[Process] = set()
    pending = [root]
    while pending:
        for child in children.get(pending.pop(), ()):
            pending.append(child)
            if table[child].state not in _GONE:
                found.add(Process(child, table[child].start))
    return found


def _table() -> dict[int, _Stat]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return {pid: stat for pid in pids if (stat := _stat(pid))}


def _stat(pid: int) -> _Stat | None:
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return _Stat(int(fields[1]), fields[0].decode(), int(fields[19])) if fields else None


def _groups() -> Iterator[Path]:
    for line in _read("/proc/self/mountinfo").decode().splitlines():
        if " - cgroup" in line:
            for folder, names, _ in os.walk(line.split()[4]):
                yield from (Path(folder, name) for name in names)


def _mounts() -> Iterator[str]:
    """Yield what is mounted where environments have mounts of their own, in this namespace."""
    for line in _read("/proc/self/mountinfo").decode().splitlines():
        if line.split()[4] in _MOUNT_POINTS:
            yield line


def _kept_by_mounts() -> Iterator[str]:
    """Yield the namespaces that a mount keeps, as `ip netns` does."""
    for line in _read("/proc/self/mountinfo").decode().splitlines():
        if " - nsfs " in line:
            yield line.split()[3]


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""
