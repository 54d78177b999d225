"""What this machine can do for execution environments, and the making of one.

Nothing is probed ahead. The first environment is made with every means; where an operation is
refused, its means is noted with the reason, and it is made without. So what `facts` tells is
what happened, and the usual machine pays for no trial.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

from rie.core.errors import RieError
from rie.sandbox import files, launcher, plan
from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.cgroups import Cgroups
from rie.sandbox.disk import Disk, make_disk
from rie.sandbox.egress import NAMESERVER, Egress, NoEgress, connect
from rie.sandbox.folder import Folder, make_folder, remove_stale_folders
from rie.sandbox.launcher import StepFailed
from rie.sandbox.plan import Mean, Means
from rie.sandbox.sandbox import Sandbox
from rie.sandbox.temporary_files import NoDisk
from rie.sandbox.wanted import LAMBDA_IDENTITY, LAMBDA_USER, OPT, PROCESSES, TMP, Identity, Wanted

_MB = 1024 * 1024
_CAP_SETUID, _CAP_SYS_ADMIN = 7, 21

_RESOLVER = "/etc/resolv.conf"

# It goes to the launcher as an argument, which is 128 KiB at most.
_MOST_REPLACED = 128 * 1024

# How many files of the code are looked at to see who may read them.
_MOST_LOOKED_AT = 100

NOT_BUILT = "the launcher is not built: install a C compiler, and rie again"


class SandboxError(RieError):
    """What was asked for by name cannot be had on this machine: one line, with what to do."""


class Machine:
    """Makes environments; remembers what could not be done, and why."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        # Nobody enters a group without a launcher.
        self.cgroups = Cgroups.find() if launcher.is_built() else Cgroups(())
        self.lacking: dict[str, str] = {}  # means that failed, and why
        self.privileged = _has_capability(_CAP_SYS_ADMIN)
        _make_tmp()
        self.means: Means = self._means()
        self.identity = self._identity()
        self._merged: Path | None = None  # all layers in one folder, where they cannot be overlaid
        self.cgroups.remove_stale()
        remove_stale_folders()

    def open(self) -> Sandbox:
        """Make an environment's bounds. Raises SandboxError and OSError; leaves nothing then."""
        with ExitStack() as undoing:
            sandbox = Sandbox(self)
            undoing.callback(sandbox.close)
            self._equip(sandbox)
            undoing.pop_all()
        return sandbox

    def _equip(self, sandbox: Sandbox) -> None:
        disk = self._disk()
        try:
            sandbox.take_namespaces(self._prepare(disk))
        finally:
            if disk is not None:  # its mount holds it now, or it is of no use
                disk.close()
        sandbox.folder = self._folder()
        sandbox.begin_to_count(self.limits())  # only now is it known where /tmp is
        sandbox.egress = self._egress(sandbox.namespaces)

    def make_group(self) -> Cgroup:
        """Make a control group for the processes of an environment, until they end."""
        return self.cgroups.make(self.limits())

    def close(self) -> None:
        """Go back to the control group that we came from, where we had to leave it."""
        self.cgroups.close()

    @property
    def tmp_counts_as_memory(self) -> bool:
        """Whether what is written to /tmp stays in memory, and is charged to the environment."""
        return "mount namespace" in self.means and "loop device" not in self.means

    def do_without(self, failure: StepFailed) -> None:
        """Take away the means that failed. Raises SandboxError for one that was asked for."""
        mean = plan.MEAN_OF.get(failure.operation)
        if mean == "network namespace":
            raise SandboxError(f"--network isolated cannot be had here: {failure}")
        if failure.operation == "layer":
            raise SandboxError(f"a layer cannot be laid into {OPT}: {failure}")
        if mean is None or mean not in self.means:
            raise SandboxError(f"an environment cannot be made: {failure}")
        if mean == "identity" and self.wanted.user is not None:
            raise SandboxError(f"--user cannot be had here: {failure}")
        self._lack(mean, str(failure))
        if mean == "user namespace":
            self._lack("mount namespace", str(failure))
            self.identity = self._identity()
            if self.wanted.network == "isolated":
                raise SandboxError(f"--network isolated cannot be had here: {failure}")
        self._see_to_layers()

    def stay_out(self, group: Cgroup, failure: StepFailed) -> None:
        """Take away what is done by a control group that cannot be entered.

        Raises SandboxError where it is no group of ours that failed.
        """
        why = os.strerror(failure.errno).lower()
        entry = int(failure.about) if failure.about.isdecimal() else -1
        if not self.cgroups.give_up(group, entry, why):
            raise SandboxError(f"an environment cannot be made: {failure}")

    def _lack(self, mean: Mean, why: str) -> None:
        self.lacking.setdefault(mean, why)
        self.means -= {mean} | plan.BUILT_ON.get(mean, frozenset())

    def _see_to_layers(self) -> None:
        """Raise SandboxError where there are layers and nothing can be mounted at /opt."""
        if self.wanted.layers and "mount namespace" not in self.means:
            why = self.lacking.get("mount namespace") or self.lacking.get("launcher", "")
            raise SandboxError(f"--layer cannot be had here: {why}; copy what is in it to {OPT}")

    def _layers(self) -> tuple[Path, ...]:
        """Return what is mounted at /opt: all layers over one another, or one that is all."""
        layers = self.wanted.layers
        if len(layers) < 2 or "overlay" in self.means:  # noqa: PLR2004 - one needs no other
            return layers
        if self._merged is None:
            from rie.artifacts.unpacked import Unpacked, default_root  # noqa: PLC0415 - rarely

            self._merged = Unpacked(default_root(os.environ)).merged(layers)
        return (self._merged,)

    def _means(self) -> Means:
        if not launcher.is_built():
            self.lacking["launcher"] = NOT_BUILT
            return frozenset()
        if not self.wanted.bounded:
            return frozenset({"score"})
        if not TMP.is_dir():
            self.lacking["mount namespace"] = f"there is no {TMP} to mount anything at"
            mounts: Means = frozenset({"user namespace", "mount namespace"})
            return plan.EVERY_MEAN - mounts - plan.BUILT_ON["mount namespace"]
        # Who may administer the machine needs no user namespace, which would cost it the loop
        # devices; nobody else may mount anything without one.
        if self.privileged:
            return plan.EVERY_MEAN - {"user namespace"}
        self.lacking["loop device"] = "mounting a disk needs root"
        means = plan.EVERY_MEAN - {"loop device"}
        if not _proc_is_covered():
            return means
        # The kernel refuses a new /proc then, and the one that there is will be read-only. To try
        # all the same would cost a start each.
        self.lacking["process namespace"] = "parts of /proc are covered, as in a container"
        self.lacking["score"] = "/proc is read-only inside"
        return means - {"process namespace", "score"}

    def _identity(self) -> Identity | None:
        """Choose who the function runs as; None: as we do."""
        wanted = self.wanted.user
        if wanted is None and "identity" not in self.means:
            return None
        if "user namespace" in self.means:
            return wanted or LAMBDA_IDENTITY  # mapped to ourselves: everything stays readable
        if not _has_capability(_CAP_SETUID):
            if wanted not in {None, (os.geteuid(), os.getegid())}:
                raise SandboxError(f"--user {_said(wanted)} needs root")
            if os.geteuid() == 0:
                self.lacking["identity"] = "the function runs as root: CAP_SETUID is missing"
            return None
        if wanted is not None:
            return None if wanted == (0, 0) else wanted
        return self._lambda_identity()

    def _lambda_identity(self) -> Identity | None:
        root, layers = self.wanted.task_root, self.wanted.layers
        closed = [
            _closed_to(LAMBDA_IDENTITY, path, whole_way=not self.wanted.is_code(path))
            for path in (*self.wanted.needs, root, *_first_files(root), *layers)
        ]
        for path in filter(None, closed):
            self.lacking["identity"] = (
                f"the function runs as root: {LAMBDA_USER} ({LAMBDA_IDENTITY[0]}) may not "
                f"read {path}, which it needs"
            )
            return None
        return LAMBDA_IDENTITY

    def limits(self) -> Limits:
        """Say what the processes of an environment may have together."""
        wanted = self.wanted
        if not wanted.bounded:
            return Limits(memory=None, processes=None, cpus=None)
        memory = wanted.memory_size + (wanted.tmp_size if self.tmp_counts_as_memory else 0)
        return Limits(memory=memory * _MB, processes=PROCESSES, cpus=wanted.cpus)

    def _disk(self) -> Disk | None:
        if not {"mount namespace", "loop device"} <= self.means:
            return None
        try:
            return make_disk(self.wanted.tmp_size, self.identity or (os.geteuid(), os.getegid()))
        except NoDisk as error:
            self._lack("loop device", str(error))
            return None

    def _folder(self) -> Folder | None:
        """Make what stands in for /tmp where nothing can be mounted there."""
        if not self.wanted.bounded or "mount namespace" in self.means:
            return None
        try:
            return make_folder()
        except NoDisk as error:
            self.lacking.setdefault("mount namespace", str(error))
            return None

    def _prepare(self, disk: Disk | None) -> dict[str, int]:
        if "launcher" in self.lacking:
            if self.wanted.network == "isolated":
                raise SandboxError(f"--network isolated cannot be had here: {NOT_BUILT}")
            self._see_to_layers()
            return {}
        while True:
            words = plan.preparation(
                self.wanted,
                self.means,
                identity=self.identity,
                outer=(os.geteuid(), os.getegid()),
                device=disk.device if disk is not None else None,
                replaced=self._replaced(),
                layers=self._layers(),
            )
            if not words:
                return {}
            try:
                return launcher.prepare(words)
            except StepFailed as failure:
                self.do_without(failure)

    def _egress(self, namespaces: Mapping[str, int]) -> Egress | None:
        if not self._connects:
            return None
        try:
            return connect(namespaces["net"], namespaces.get("user"))
        except NoEgress as error:
            self.lacking["egress"] = str(error)
            return None

    @property
    def _connects(self) -> bool:
        wanted = self.wanted
        return wanted.network == "isolated" and wanted.egress and "egress" not in self.lacking

    def _replaced(self) -> list[tuple[str, str]]:
        """Say which files read otherwise inside: the function's user has a name."""
        found = []
        if self.identity == LAMBDA_IDENTITY:
            for path, line in _entries(*self.identity).items():
                with suppress(OSError, UnicodeDecodeError):
                    content = _with_entry(Path(path).read_text("utf-8"), line)
                    if len(content.encode()) < _MOST_REPLACED and "\0" not in content:
                        found.append((path, content))
        if self._connects and os.path.exists(_RESOLVER):  # noqa: PTH110 - a plain question
            found.append((_RESOLVER, f"nameserver {NAMESERVER}\n"))
        return found


def _proc_is_covered() -> bool:
    """Whether anything is mounted over parts of /proc, but for what everybody has at /proc/sys."""
    points = (line.split(b" ", 5)[4] for line in files.read("/proc/self/mountinfo").splitlines())
    return any(each.startswith(b"/proc/") and not each.startswith(b"/proc/sys/") for each in points)


def _make_tmp() -> None:
    """Make /tmp in an image that has none, as one FROM scratch."""
    if not TMP.exists():
        with suppress(OSError):
            TMP.mkdir()
            TMP.chmod(0o1777)


def _said(identity: Identity | None) -> str:
    return ":".join(map(str, identity or ()))


def _entries(user: int, group: int) -> dict[str, str]:
    return {
        "/etc/passwd": f"{LAMBDA_USER}:x:{user}:{group}::/home/{LAMBDA_USER}:/sbin/nologin\n",
        "/etc/group": f"{LAMBDA_USER}:x:{group}:\n",
    }


def _with_entry(content: str, line: str) -> str:
    """Add an entry, in the place of any of the same name or number."""
    name, _, number, *_ = line.split(":")
    kept = [
        each
        for each in content.splitlines(keepends=True)
        if each.split(":")[0] != name and each.split(":")[2:3] != [number]
    ]
    if kept and not kept[-1].endswith("\n"):
        kept.append("\n")
    return "".join(kept) + line


def _has_capability(number: int) -> bool:
    with suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_bytes()
        return bool(int(status.split(b"CapEff:")[1].split(None, 1)[0], 16) >> number & 1)
    return False


def _closed_to(identity: Identity, path: Path, *, whole_way: bool) -> Path | None:
    """Return what on the way to `path` may not be entered or read, or None.

    Not the `whole_way`: it is mounted elsewhere, and only what it is itself counts.
    """
    with suppress(OSError):
        for each in {path, path.resolve()}:
            way = (*reversed(each.parents), each) if whole_way else (each,)
            closed = next((step for step in way if not _is_open(identity, step, each)), None)
            if closed is not None:
                return closed
    return None


def _is_open(identity: Identity, path: Path, wanted: Path) -> bool:
    """Whether `path`, which is on the way to `wanted`, may be passed; at the end, read."""
    facts = path.stat()
    if facts.st_uid == identity[0]:
        bits = facts.st_mode >> 6
    else:
        bits = facts.st_mode >> 3 if facts.st_gid == identity[1] else facts.st_mode
    needed = 4 if path == wanted else 0
    needed |= 1 if stat.S_ISDIR(facts.st_mode) else 0
    return bits & needed == needed


def _first_files(folder: Path) -> list[Path]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [folder / each.name for each in islice(entries, _MOST_LOOKED_AT) if each.is_file()]
    return []
