"""Control groups: limits, measures, freezing and killing of an execution environment.

`Cgroups` finds where groups may be made on this machine (cgroup v1, v2, or both side by
side) and makes them; a `Cgroup` is one environment's. A feature that is missing is no error:
it has no mechanism, and a reason that a user can act on. Who enters a group, and when it is
killed, is for others to say.

Memory is in bytes. Neither class is for several threads at once. Sources: the kernel's
admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/; cgroups(7) for the files in /proc.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path  # imports re, for which nobody need wait here

Feature = Literal["memory", "processes", "cpu", "freeze", "kill"]
Version = Literal[1, 2]

_PROC = "/proc"
_CONTROLLERS: Final[dict[Feature, str]] = {"memory": "memory", "processes": "pids", "cpu": "cpu"}
_V1_FEATURES: Final[dict[str, tuple[Feature, ...]]] = {
    "memory": ("memory",),
    "pids": ("processes",),
    "cpu": ("cpu",),
    "freezer": ("freeze", "kill"),
}
_UNIFIED = ""  # cgroup v2's line in /proc/self/cgroup names no controller
_TO_KILL: tuple[Feature, ...] = ("kill", "freeze")
_CPU_PERIOD = 100_000  # microseconds
_LEAST_QUOTA = 1_000  # microseconds; the kernel refuses less
_FREEZING = 0.1  # seconds in which a group must stand still
_DYING = 0.2  # seconds in which the killed must have left a group
_PAUSE = 0.000_05  # seconds between two looks
_ENOUGH = 4_096  # bytes; memory.stat has less than half of it
_SELF = "self"

# Unique in the process, so that two finders in it never name their groups alike.
_NUMBERS = count()


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


class MemoryNow(NamedTuple):
    """What a group has in memory: `held` by its processes and for them, and as `shared` files.

    Page cache is in neither: the kernel takes it back when it needs the memory.
    """

    held: int
    shared: int  # shmem: tmpfs, memfd, shared anonymous memory


# One group


class _Directory:
    """The directory of a group in one hierarchy, with all descriptors that it was asked for."""

    def __init__(self, parent: int, name: str, version: Version) -> None:
        self.parent = parent
        self.name = name
        self.version: Version = version
        self._opened: list[int] = []

    def open(self, file: str, flags: int) -> int:
        descriptor = os.open(f"{self.name}/{file}", flags | os.O_CLOEXEC, dir_fd=self.parent)
        self._opened.append(descriptor)
        return descriptor

    def read(self, file: str) -> bytes:
        return _read(f"{self.name}/{file}", self.parent)

    def write(self, file: str, words: object) -> None:
        _write(f"{self.name}/{file}", words, self.parent)

    def has(self, file: str) -> bool:
        return os.access(f"{self.name}/{file}", os.F_OK, dir_fd=self.parent)

    def members(self) -> Iterator[int]:
        # Opened anew: of a kept descriptor cgroup v1 tells the same list for a second.
        # 0 is a process in another PID namespace, and for os.kill our own process group.
        return (pid for pid in map(int, self.read("cgroup.procs").split()) if pid > 0)

    def close(self) -> None:
        while self._opened:
            os.close(self._opened.pop())

    def remove(self) -> bool:
        """Say whether it is no use to try again."""
        try:
            os.rmdir(self.name, dir_fd=self.parent)
        except OSError as error:
            return error.errno != errno.EBUSY
        return True


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


class _Memory:
    """The memory of a group: its limit and its measures."""

    def __init__(self, directory: _Directory, limit: int | None) -> None:
        self._directory = directory
        self._files = _MEMORY_FILES[directory.version]
        self._limit: float = float("inf")
        self._mark = self._open_mark()
        self._stat = directory.open("memory.stat", os.O_RDONLY)
        self._last_mark = b""
        self._peak = 0
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
        # memory.stat costs ten times the mark: it is read only when the mark has moved.
        mark = _pread(self._mark)
        if mark and mark != self._last_mark:  # it is empty when another has removed the group
            self._last_mark = mark
            cache, shared = self._cache()
            self._peak = max(self._peak, int(mark) - (cache - shared))
        return self._peak

    def now(self) -> MemoryNow:
        cache, shared = self._cache()
        held = max(0, int(self._directory.read(self._files.now) or 0) - cache)
        self._peak = max(self._peak, held + shared)
        return MemoryNow(held, shared)

    def oom_kills(self) -> int:
        return _figure(self._directory.read(self._files.events), b"oom_kill")

    def _cache(self) -> tuple[int, int]:
        stat = _pread(self._stat)
        return _figure(stat, self._files.cache), _figure(stat, self._files.shared)

    def _open_mark(self) -> int:
        try:
            return self._directory.open(self._files.peak, os.O_RDONLY)
        except FileNotFoundError:  # cgroup v2 has it since Linux 5.19; we keep the highest seen
            return self._directory.open(self._files.now, os.O_RDONLY)


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

    def __init__(self, directory: _Directory) -> None:
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
        return self._frozen in _pread(self._state)


class Cgroup:
    """The control group of one execution environment: a directory in each hierarchy used.

    `entries` are descriptors: a process that writes "0" to each has entered. All descriptors
    close when the group is removed. What has no mechanism is None, 0 or False.
    """

    def __init__(self) -> None:
        self.entries: tuple[int, ...] = ()
        self.kill_descriptor: int | None = None  # cgroup.kill; "1" kills all
        # cgroup.procs to be read once, by whoever kills without cgroup.kill: freeze, kill each,
        # thaw. A second reading would show the old list (see _Directory.members).
        self.procs_of_freezer: int | None = None
        self._directories: list[_Directory] = []
        self._memory: _Memory | None = None
        self._freezer: _Freezer | None = None

    def directories(self) -> tuple[tuple[int, str], ...]:
        """Say what to remove, as unlinkat takes it; the descriptors belong to `Cgroups`."""
        return tuple((directory.parent, directory.name) for directory in self._directories)

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
        _within(_DYING, lambda: all(tuple(map(_Directory.remove, directories))))

    def join(self, directory: _Directory) -> None:
        """Take a directory for a part of the group: for whoever puts it together."""
        self._directories.append(directory)
        self.entries += (directory.open("cgroup.procs", os.O_WRONLY),)

    def take_on(self, feature: Feature, directory: _Directory, limits: Limits) -> None:
        """Have a feature by means of a directory, or raise OSError: for the same."""
        match feature:
            case "memory":
                self._memory = _Memory(directory, limits.memory)
            case "processes":
                directory.write("pids.max", limits.processes)
            case "cpu":
                _limit_cpus(directory, limits.cpus or 0.0)
            case "freeze":
                self._freezer = _Freezer(directory)
            case "kill":
                self._take_on_kill(directory)

    def _take_on_kill(self, directory: _Directory) -> None:
        try:
            self.kill_descriptor = directory.open("cgroup.kill", os.O_WRONLY)
        except FileNotFoundError:  # cgroup v1, or v2 before Linux 5.14
            self.procs_of_freezer = directory.open("cgroup.procs", os.O_RDONLY)


def _limit_cpus(directory: _Directory, cpus: float) -> None:
    quota = max(_LEAST_QUOTA, int(cpus * _CPU_PERIOD))
    match directory.version:
        case 1:
            directory.write("cpu.cfs_period_us", _CPU_PERIOD)
            directory.write("cpu.cfs_quota_us", quota)
        case 2:
            directory.write("cpu.max", f"{quota} {_CPU_PERIOD}")


# Where groups are made


class _Tree:
    """A group of one hierarchy, ours or above it, as the place for groups below it.

    `refusals` has each feature that the hierarchy is there for, with what hinders it, if
    anything does. `inner` names the group below it that we are in, if we are. `hand_on` are
    controllers that groups below it do not get yet (cgroup v2).
    """

    def __init__(
        self,
        path: str,
        version: Version,
        refusals: dict[Feature, str],
        *,
        inner: str = "",
        hand_on: tuple[Feature, ...] = (),
    ) -> None:
        self.path = path
        self.version: Version = version
        self.refusals = refusals
        self.inner = inner
        self.hand_on = hand_on
        self.descriptor = -1 if all(refusals.values()) else _open_folder(path)

    def make(self, name: str) -> _Directory:
        os.mkdir(name, dir_fd=self.descriptor)
        return _Directory(self.descriptor, name, self.version)

    def stale(self) -> Iterator[str]:
        """Yield the names of groups whose maker has gone, and that we are not in ourselves."""
        names = _listed(self.path) if self.descriptor >= 0 else ()
        for name in names:
            if _is_stale(name) and name != self.inner and not self._is_home(name):
                yield name

    def adopt(self, group: Cgroup, name: str) -> None:
        """Have a group that another process made, as far as its directory here goes."""
        with suppress(OSError):
            directory = _Directory(self.descriptor, name, self.version)
            group.join(directory)
            for feature in _TO_KILL:
                if feature in self.refusals:
                    group.take_on(feature, directory, Limits())

    def write(self, file: str, words: object) -> None:
        _write(file, words, self.descriptor)

    def _is_home(self, name: str) -> bool:
        # Where an emulator went aside, whoever it started but for a function lives on.
        directory = _Directory(self.descriptor, name, self.version)
        return name.endswith(_SELF) and directory.read("cgroup.procs") != b""

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


class Cgroups:
    """Where groups may be made on this machine, by feature."""

    def __init__(self, trees: tuple[_Tree, ...]) -> None:
        self._trees = trees
        self._ways: dict[Feature, list[_Tree]] = {}
        self._reasons: dict[Feature, str] = {}
        self._family = _family()
        self._aside: list[tuple[_Tree, tuple[Feature, ...]]] = []
        for feature in ("memory", "processes", "cpu", "freeze", "kill"):
            refusals = [tree.refusals[feature] for tree in trees if feature in tree.refusals]
            self._ways[feature] = [tree for tree in trees if tree.refusals.get(feature) == ""]
            self._reasons[feature] = next(filter(None, refusals), "") or _nowhere(feature)

    @classmethod
    def find(cls, *, root_of_proc: Path | str = _PROC) -> Cgroups:
        """Look where we are, and what we may do there; nothing is changed.

        `root_of_proc` is where self/cgroup and self/mountinfo are read.
        """
        places = _places(f"{root_of_proc}/self")
        # The first that offers a feature is used: to freeze and to kill cgroup v2 is better.
        return cls((*_v2_trees(places), *_v1_trees(places)))

    def mechanism(self, feature: Feature) -> str | None:
        """Name what a feature is done with."""
        ways = self._ways[feature]
        return f"cgroup v{ways[0].version}" if ways else None

    def why_not(self, feature: Feature) -> str:
        """Say in a line what a feature lacks, and what to do; empty where it has a mechanism."""
        return "" if self._ways[feature] else self._reasons[feature]

    def make(self, limits: Limits) -> Cgroup:
        """Make a group; a limit that cannot be set takes its feature's mechanism away.

        The first may put this process into a group beside those that are made: cgroup v2 limits
        no groups below one that has processes itself.
        """
        self._prepare()
        group, name = Cgroup(), f"{self._family}{next(_NUMBERS)}"
        for tree in self._trees:
            features = [
                feature
                for feature, ways in self._ways.items()
                if ways and ways[0] is tree and limits.ask_for(feature)
            ]
            if features:
                self._extend(group, tree, name, features, limits)
        return group

    def remove_stale(self) -> None:
        """Remove what emulators that have died left behind, and kill who is left in there."""
        for name in {name for tree in self._trees for name in tree.stale()}:
            group = Cgroup()
            for tree in self._trees:
                tree.adopt(group, name)
            group.kill()
            group.remove()

    def close(self) -> None:
        """Go back to where we were found, as far as we are let, and close the directories."""
        while self._aside:
            with suppress(OSError):
                self._step_back(*self._aside.pop())
        for tree in self._trees:
            tree.close()
        for ways in self._ways.values():
            ways.clear()

    def _extend(
        self, group: Cgroup, tree: _Tree, name: str, features: list[Feature], limits: Limits
    ) -> None:
        try:
            directory = tree.make(name)
            group.join(directory)
        except OSError as error:
            self._lose(tree, features, f"no group can be made in {tree.path}", error)
            return
        for feature in features:
            try:
                group.take_on(feature, directory, limits)
            except OSError as error:
                self._lose(tree, [feature], f"{feature} cannot be set in {tree.path}", error)

    def _lose(self, tree: _Tree, features: Iterable[Feature], what: str, error: OSError) -> None:
        for feature in features:
            if tree in self._ways[feature]:
                self._ways[feature].remove(tree)
                self._reasons[feature] = f"{what}: {error.strerror}. {_advice(tree.version)}"

    def _prepare(self) -> None:
        for tree in self._trees:
            features, tree.hand_on = tree.hand_on, ()
            if features and self._step_aside(tree, features):
                for feature in features:
                    self._hand_on(tree, feature)

    def _step_aside(self, tree: _Tree, features: tuple[Feature, ...]) -> bool:
        if _is_root(tree.path) or not _words(f"{tree.path}/cgroup.procs"):
            return True
        try:
            self._aside.append((tree, features))
            tree.make(f"{self._family}{_SELF}").write("cgroup.procs", 0)
        except OSError as error:
            self._lose(tree, features, f"{tree.path} cannot be left for a group below it", error)
            return False
        return True

    def _step_back(self, tree: _Tree, features: tuple[Feature, ...]) -> None:
        # A group that hands controllers on takes no process.
        for feature in features:
            with suppress(OSError):
                tree.write("cgroup.subtree_control", f"-{_CONTROLLERS[feature]}")
        tree.write("cgroup.procs", 0)
        os.rmdir(f"{self._family}{_SELF}", dir_fd=tree.descriptor)

    def _hand_on(self, tree: _Tree, feature: Feature) -> None:
        controller = _CONTROLLERS[feature]
        try:
            tree.write("cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            self._lose(tree, [feature], f"{tree.path} does not hand {controller} on", error)


# Looking for them


class _Place(NamedTuple):
    """Where a hierarchy is mounted, and the directory of our own group in it."""

    mount: str
    own: str


def _places(proc_self: str) -> dict[str, _Place]:
    """Find our place in each hierarchy, by controller."""
    lines = _read(f"{proc_self}/cgroup").decode(errors="surrogateescape").splitlines()
    paths = {
        name: path
        for _, names, path in (line.split(":", 2) for line in lines)
        for name in names.split(",")
    }
    found: dict[str, _Place] = {}
    beside: dict[str, _Place] = {}
    for names, root, mount in _mounts(f"{proc_self}/mountinfo"):
        for name in names & paths.keys():
            inner = _below(root, paths[name])
            if inner is None:
                beside.setdefault(name, _Place(mount, mount))
            else:
                found.setdefault(name, _Place(mount, f"{mount}{inner}"))
    return beside | found


def _mounts(mountinfo: str) -> Iterator[tuple[set[str], str, str]]:
    """Yield controllers, root in the hierarchy and mount point of each mounted hierarchy."""
    for line in _read(mountinfo).decode(errors="surrogateescape").splitlines():
        mount, _, source = line.partition(" - ")
        if source.startswith("cgroup"):  # of the hundreds that there may be
            kind, _, options = source.split(" ", 2)
            names = {_UNIFIED} if kind == "cgroup2" else set(options.split(","))
            root, point = mount.split(" ")[3:5]
            yield names, _unescaped(root), _unescaped(point)


def _below(root: str, path: str) -> str | None:
    """Say how a group's path goes on below the root of a mount; None where it is not below.

    A container may see its own group for the root; one that came in from outside is beside it.
    """
    root = root.rstrip("/")
    inner = path.rstrip("/").removeprefix(root)
    if not path.startswith(root) or "/.." in path or not (inner == "" or inner[0] == "/"):
        return None
    return inner


def _v1_trees(places: dict[str, _Place]) -> Iterator[_Tree]:
    """Yield our own groups of cgroup v1; controllers may share a hierarchy."""
    features: dict[str, list[Feature]] = {}
    for controller, served in _V1_FEATURES.items():
        if controller in places:
            features.setdefault(places[controller].own, []).extend(served)
    for path, served_here in features.items():
        yield _Tree(path, 1, dict.fromkeys(served_here, _obstacle(path, 1)))


def _v2_trees(places: dict[str, _Place]) -> Iterator[_Tree]:
    """Yield the group of cgroup v2, the nearest to ours, below which most can be had.

    A controller that cgroup v1 has is none of cgroup v2's.
    """
    place = places.get(_UNIFIED)
    if place is None:
        return
    wanted = [feature for feature, name in _CONTROLLERS.items() if name not in places]
    paths = [path for path in _upward(place) if not _obstacle(path, 2)]
    if paths:
        yield _best(place, paths, wanted)
    else:
        features: list[Feature] = [*wanted, "freeze", "kill"]
        yield _Tree(place.own, 2, dict.fromkeys(features, _obstacle(place.own, 2)))


def _best(place: _Place, paths: list[str], wanted: list[Feature]) -> _Tree:
    """Choose the first of the groups from which most is to be had."""
    offers = [(path, {feature: _refusal(path, feature) for feature in wanted}) for path in paths]
    path, refusals = max(offers, key=lambda offer: _worth(offer[1]))
    enabled = _words(f"{path}/cgroup.subtree_control")
    hand_on = tuple(
        feature
        for feature, refusal in refusals.items()
        if not refusal and _CONTROLLERS[feature] not in enabled
    )
    return _Tree(
        path,
        2,
        {**refusals, "freeze": "", "kill": ""},
        inner=place.own.removeprefix(path).strip("/").partition("/")[0],
        hand_on=hand_on,
    )


def _worth(refusals: dict[Feature, str]) -> int:
    # To have the processor's share is no reason to leave our own group for another.
    return [refusals.get("memory"), refusals.get("processes")].count("")


def _upward(place: _Place) -> Iterator[str]:
    """Yield our own group and those above it that the mount shows."""
    path = place.own
    while path != place.mount:
        yield path
        path = path.rpartition("/")[0]
    yield path


def _refusal(path: str, feature: Feature) -> str:
    """Say why groups below one do not get a controller (cgroup v2), if they don't."""
    controller = _CONTROLLERS[feature]
    if controller in _words(f"{path}/cgroup.subtree_control"):
        return ""
    if controller not in _words(f"{path}/cgroup.controllers"):
        return f"{path} does not have the {controller} controller. {_advice(2)}"
    if not _writable(f"{path}/cgroup.subtree_control"):
        return f"{path} does not hand {controller} on, and is not ours to change. {_advice(2)}"
    if not _is_root(path) and _words(f"{path}/cgroup.procs") - {str(os.getpid())}:
        return (
            f"{path} cannot hand {controller} on while it has processes besides rie. "
            "Start rie in a group of its own (systemd-run --user --scope -p Delegate=yes)"
        )
    return ""


def _obstacle(path: str, version: Version) -> str:
    """Say what keeps us from making groups below one and entering them, if anything does."""
    if not os.path.isdir(path):  # noqa: PTH112 - as cheap as it gets
        return f"{path} is not there. Mount the control groups where /proc/self/mountinfo has them"
    # Whoever goes from one group of cgroup v2 to another must own what is above both.
    if _writable(path) and (version == 1 or _writable(f"{path}/cgroup.procs")):
        return ""
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return f"{path} is mounted read-only. Have it writable (docker run --privileged)"
    return f"{path} is not writable for uid {os.geteuid()}. {_advice(version)}"


def _nowhere(feature: Feature) -> str:
    what = _CONTROLLERS.get(feature, "freezer")
    if not os.path.exists(f"{_PROC}/self/cgroup"):  # noqa: PTH110
        return "this system has no control groups. Run rie on Linux"
    return (
        f"no mounted control groups have the {what} controller. Mount them at /sys/fs/cgroup, "
        f"and have the kernel started without cgroup_disable={what}"
    )


def _advice(version: Version) -> str:
    match version:
        case 1:
            return "Run rie as root, or have the directory given to you (chown)"
        case 2:
            return (
                "Run rie as root, or have a group delegated "
                "(systemd-run --user --scope -p Delegate=yes)"
            )


# Whose they are


def _family() -> str:
    """Begin the names of our groups: who made them, and in which PID namespace that number holds.

    Without the namespace an emulator in a container would take another's living groups for dead.
    """
    pid = os.getpid()
    return f"rie-{pid}-{_start_time(pid)}-{_pid_namespace()}-"


def _is_stale(name: str) -> bool:
    match name.split("-"):
        case ["rie", pid, started, namespace, _] if namespace == _pid_namespace():
            return _start_time(pid) != started
    return False


def _start_time(pid: int | str) -> str:
    """Tell when a living process started, in clock ticks since boot; nothing if there is none.

    One that nobody waits for, as in a container without an init, is dead all the same.
    """
    fields = _read(f"{_PROC}/{pid}/stat").rpartition(b")")[2].split()  # from the third on
    return fields[19].decode() if fields and fields[0] not in b"ZX" else ""


def _pid_namespace() -> str:
    try:
        return str(os.stat(f"{_PROC}/self/ns/pid").st_ino)  # noqa: PTH116
    except OSError:
        return ""


def _is_root(path: str) -> bool:
    """Whether it is the hierarchy's real root, which may have processes and hand on too."""
    return not os.path.exists(f"{path}/cgroup.type")  # noqa: PTH110


# Files


def _within(seconds: float, is_done: Callable[[], bool]) -> bool:
    """Do something again and again until it is done, for so long at most."""
    deadline = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _figure(text: bytes, key: bytes) -> int:
    """Find the number beside a key, at the beginning of any line but the first."""
    start = text.find(b"\n%b " % key)
    return int(text[start + len(key) + 2 :].split(None, 1)[0]) if start >= 0 else 0


def _unescaped(path: str) -> str:
    """Undo what mountinfo does to blanks and backslashes, which is octal."""
    first, *others = path.split("\\")
    return first + "".join(chr(int(other[:3], 8)) + other[3:] for other in others)


def _words(path: str) -> set[str]:
    return set(_read(path).decode().split())


def _writable(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)  # noqa: PTH208 - names, not paths
    except OSError:
        return []


def _open_folder(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # gone since; making a group in it will say so
        return -1


def _read(path: str, folder: int | None = None) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        return b"".join(iter(lambda: os.read(descriptor, _ENOUGH), b""))
    except OSError:  # a group's directory may go while it is read
        return b""
    finally:
        os.close(descriptor)


def _write(path: str, words: object, folder: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, str(words).encode())
    finally:
        os.close(descriptor)


def _pread(descriptor: int) -> bytes:
    try:
        return os.pread(descriptor, _ENOUGH, 0)
    except OSError:  # the group has been removed by another
        return b""
