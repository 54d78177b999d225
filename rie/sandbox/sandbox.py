"""One execution environment's bounds: its namespaces, control group and /tmp, while it lives.

They outlive its processes: after a reset the next runtime finds the same /tmp. What holds them
is descriptors of this process, so that nothing is left when it dies, however it dies.
"""

from __future__ import annotations

import math
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rie.sandbox import launcher, plan
from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.egress import Egress
from rie.sandbox.folder import Folder
from rie.sandbox.launcher import Launched, StepFailed
from rie.sandbox.wanted import OPT, TASK_ROOT, TMP
from rie.telemetry.diary import get_diary

if TYPE_CHECKING:
    from rie.sandbox.machine import Machine

_MB = 1024 * 1024
# How often a /tmp is looked through that is a mere folder, in seconds.
_LOOK_INTERVAL = 1.0

_JOINED = ("user", "net", "ipc", "mnt")  # in the order in which they must be


class Sandbox:
    """What one environment's processes are put into."""

    def __init__(self, machine: Machine) -> None:
        self.listener: socket.socket | None = None  # the Runtime API's, in an isolated network
        self.egress: Egress | None = None
        self.folder: Folder | None = None  # what stands in for /tmp
        self.namespaces: dict[str, int] = {}  # descriptors
        # Whether the kernel counts what all processes hold together, and the most that it lets
        # them, in bytes: what is above that are pages of files, and nobody's use.
        self.counts_memory = False
        self.memory_limit = sys.maxsize
        self._machine = machine
        self._tmp_counts = False
        self._code = _identity_of(machine.wanted.task_root)
        self._next_look = 0.0
        self._most_held = 0
        # One for each life of its processes: the peak of memory is theirs. The first is made
        # now, as cgroup v2 may have us move, which must be before we have children.
        self._group: Cgroup | None = machine.make_group() if self.supervises else None
        self._ahead: subprocess.Popen[bytes] | None = None
        if self._group is not None and self._group.entries:
            with suppress(OSError):  # it would have saved time, no more
                self._ahead = launcher.enter_ahead(self._group.entries[0])

    def take_namespaces(self, namespaces: dict[str, int]) -> None:
        """Hold what was prepared for it: namespaces, and a listener inside."""
        listener = namespaces.pop("listener", None)
        self.listener = socket.socket(fileno=listener) if listener is not None else None
        self.namespaces = namespaces

    def begin_to_count(self, limits: Limits) -> None:
        """Take in what memory is counted, and as whose."""
        self._tmp_counts = self._machine.tmp_counts_as_memory
        if self._group is not None and self._tmp_counts and limits.memory is not None:
            self._group.set_memory_limit(limits.memory)
        self._see_who_counts()

    def _see_who_counts(self) -> None:
        machine = self._machine
        self.counts_memory = machine.cgroups.mechanism("memory") is not None
        enforced = self.counts_memory and machine.wanted.bounded and not self._tmp_counts
        self.memory_limit = machine.wanted.memory_size * _MB if enforced else sys.maxsize

    @property
    def supervises(self) -> bool:
        """Whether runtimes can be started in it; else they are processes like any other."""
        return "launcher" not in self._machine.lacking

    # Where things are

    def inside(self, path: Path) -> Path:
        """Say where the function finds what is at `path` on this machine."""
        if ".." in path.parts:
            return path
        root = self._machine.wanted.task_root
        if "task root" in self._machine.means and path.is_relative_to(root):
            return TASK_ROOT / path.relative_to(root)
        for layer in self._machine.wanted.layers:
            if path.is_relative_to(layer):
                return OPT / path.relative_to(layer)
        return path

    def is_kept(self, path: Path) -> bool:
        """Whether it was unpacked from an archive, which is where its user would mend it."""
        return any(path.is_relative_to(folder) for folder in self._machine.wanted.kept)

    @property
    def layers(self) -> tuple[Path, ...]:
        """The folders of this machine that the function finds at /opt, the last on top."""
        return self._machine.wanted.layers

    def variables(self, wanted: Mapping[str, str], *, inherited: bool = False) -> dict[str, str]:
        """Put TMPDIR right: the function's /tmp may be elsewhere, and has no folder of ours.

        `inherited` variables are this process's own: our HOME is not another user's, and Lambda
        sets none.
        """
        found = dict(wanted)
        another = inherited and self._machine.identity is not None
        if another and found.get("HOME") == _own_home():
            del found["HOME"]
        if self.folder is not None:
            found["TMPDIR"] = str(self.folder.path)
        elif "mount namespace" in self._machine.means and _is_in_tmp(found.get("TMPDIR", "")):
            del found["TMPDIR"]
        return found

    # Processes

    def start(  # noqa: PLR0913 - what a start is made of
        self,
        program: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: int,
        inherited: Sequence[int],
    ) -> Launched:
        """Start a runtime in it. Raises StepFailed with operation "exec" or "directory", OSError.

        Paths are as the function sees them.
        """
        machine = self._machine
        if machine.identity is not None and stat.S_ISFIFO(os.fstat(output).st_mode):
            # `echo >/dev/stderr` opens the pipe anew, which takes a right to it.
            with suppress(OSError):
                os.fchown(output, *machine.identity)
        group = self._group = self._group or machine.make_group()
        while True:
            try:
                launched = launcher.start(
                    plan.before_supervision(
                        machine.means, self._held(), _ending(group), self._moved_task_root()
                    ),
                    plan.after_supervision(
                        machine.means,
                        groups=group.entries,
                        limits=self._limits(),
                        identity=machine.identity,
                        inherited=inherited,
                        folder=str(folder),
                        program=program,
                        arguments=arguments,
                    ),
                    environment=environment,
                    output=output,
                    descriptors=(*inherited, *self._held(), *_descriptors(group)),
                )
            except StepFailed as failure:
                if failure.operation == "enter":
                    machine.stay_out(group, failure)
                self.ended()  # its supervisor has removed the group
                if failure.operation in {"exec", "directory"}:
                    raise
                if failure.operation != "enter":
                    machine.do_without(failure)
                group = self._group = machine.make_group()
                self._see_who_counts()
            else:
                self._see_back_who_was_ahead()
                if "score" in machine.lacking:
                    _be_killed_first(launched.pid)
                return launched

    def _held(self) -> list[int]:
        return [self.namespaces[each] for each in _JOINED if each in self.namespaces]

    def _moved_task_root(self) -> Path | None:
        """Return the task root if a build has put another folder in its place meanwhile.

        What is mounted is the folder, not its name. One below /tmp cannot be seen from inside.
        """
        root = self._machine.wanted.task_root
        now = _identity_of(root)
        if "task root" not in self._machine.means or now in {None, self._code}:
            return None
        if root.is_relative_to(TMP):
            return None
        self._code = now
        return root

    def _limits(self) -> list[tuple[int, int]]:
        machine = self._machine
        cgroups = machine.cgroups
        by_limit = cgroups.mechanism("processes") is None and "user namespace" in machine.means
        return plan.limits(
            machine.wanted,
            memory_bounded=cgroups.mechanism("memory") is not None,
            processes_by_limit=by_limit,
            tmp_bounded=self.folder is None,
        )

    def ended(self) -> None:
        """Take in that its processes are gone; others may be started in it."""
        group, self._group, self._most_held = self._group, None, 0
        self._see_back_who_was_ahead()
        if group is not None:
            group.kill()  # who is left where even the supervisor was killed
            group.remove()

    def _see_back_who_was_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.wait()

    # Memory, in bytes

    def oom_kills(self) -> int | None:
        """Count the processes killed for want of memory; None: nobody counts."""
        group = self._group
        # What has been taken away since goes on with what it last told: the figures are compared.
        return group.oom_kills() if group is not None and group.counts_memory else None

    def memory_peak(self) -> int:
        """Return the highest use by all processes together so far, as far as the kernel tells."""
        if self._group is None:
            return 0
        if self._tmp_counts:  # the kernel's mark has what is in /tmp as well
            self._most_held = max(self._most_held, self._group.memory_now().held)
            return self._most_held
        return self._group.memory_peak()

    def exceeds(self, resident: int) -> bool:
        """Whether more is held than the function has, where no kernel sees to it by itself.

        `resident` is what all processes hold, as sampled.
        """
        self._see_who_counts()  # another may have taken that away
        wanted = self._machine.wanted
        if not wanted.bounded:
            return False
        if self.counts_memory:
            return self._tmp_counts and self.memory_peak() > wanted.memory_size * _MB
        return resident > wanted.memory_size * _MB

    def watch_tmp(self, now: float) -> None:
        """Look at a /tmp that nothing bounds, now and then; say once that it has grown too large.

        `now` is in seconds.
        """
        if self.folder is None or now < self._next_look:
            return
        self._next_look = now + _LOOK_INTERVAL
        used, most = self.folder.size(), self._machine.wanted.tmp_size * _MB
        if used > most:
            self._next_look = math.inf
            get_diary().warning(
                "the function has more in /tmp than it may; nothing stops it on this machine",
                used=used,
                tmp_size=most,
            )

    # Freezing

    def freeze(self) -> bool:
        """Stop everything in it at once; False: it must be done process by process."""
        group = self._group
        if group is None or group.freeze_descriptor is None:
            return False
        return group.freeze()

    def thaw(self) -> None:
        """Let everything run again."""
        if self._group is not None:
            self._group.thaw()

    def close(self) -> None:
        """Give up all of it; its processes are gone."""
        for descriptor in self.namespaces.values():
            os.close(descriptor)
        self.namespaces.clear()
        self.ended()
        if self.folder is not None:
            self.folder.close()
        if self.listener is not None:
            self.listener.close()
        if self.egress is not None:
            self.egress.close()


def _be_killed_first(pid: int) -> None:
    """Have the kernel choose the runtime, rather than us, where it could not say so itself.

    In a container it sees a /proc that it cannot write to.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _identity_of(folder: Path) -> tuple[int, int] | None:
    try:
        facts = folder.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _own_home() -> str | None:
    import pwd  # noqa: PLC0415 - only where the function is another user

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return None


def _is_in_tmp(path: str) -> bool:
    return path.startswith(f"{TMP}/")


def _ending(group: Cgroup) -> list[str]:
    """Say how a supervisor kills a group and removes it."""
    words: list[str] = []
    if group.kill_descriptor is not None:
        words += ["kill-group", str(group.kill_descriptor)]
    elif group.freeze_descriptor is not None and group.procs_of_freezer is not None:
        words += ["freezer", str(group.freeze_descriptor), str(group.procs_of_freezer)]
        words += [each.decode() for each in group.freeze_words]
    for parent, name in group.directories():
        words += ["remove", str(parent), name]
    return words


def _descriptors(group: Cgroup) -> set[int]:
    """Return the descriptors that the words name."""
    ending = (group.kill_descriptor, group.freeze_descriptor, group.procs_of_freezer)
    parents = (parent for parent, _ in group.directories())
    return {*group.entries, *parents, *(each for each in ending if each is not None)}
