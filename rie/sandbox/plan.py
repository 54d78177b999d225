"""What the launcher is to do, as words: which operations, in what order, and why in that order.

The words follow from what is wanted and from the means that this machine has shown to have; a
mean that fails is taken away and the words are made anew (machine.py). Nothing is done here,
only looked at: which folders there are.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from rie.sandbox.wanted import (
    DESCRIPTORS,
    OPT,
    PROCESSES,
    TASK_ROOT,
    TMP,
    Identity,
    Wanted,
)

Mean = Literal[
    "user namespace",
    "mount namespace",
    "network namespace",
    "ipc namespace",
    "process namespace",
    "read-only mounts",
    "loop device",
    "devices",
    "task root",
    "overlay",
    "identity",
    "score",
    "filter",
]
Means = frozenset[Mean]

EVERY_MEAN: Means = frozenset(get_args(Mean))

# Which mean an operation is part of: where it fails, the environment can do without that one.
MEAN_OF: dict[str, Mean] = {
    "user-namespace": "user namespace",
    "mount-namespace": "mount namespace",
    "network-namespace": "network namespace",
    "listen": "network namespace",
    "ipc-namespace": "ipc namespace",
    "process-namespace": "process namespace",
    "read-only": "read-only mounts",
    "seal": "read-only mounts",
    "ext4": "loop device",
    "devices": "devices",
    "replace": "devices",  # it needs a file system of ours, and takes that of /dev
    "shadow": "task root",
    "make-folder": "task root",
    "bind": "task root",
    "unmount": "task root",
    "overlay": "overlay",
    "identity": "identity",
    "keep-capabilities": "identity",
    "out-of-memory-score": "score",
    "no-new-privileges": "filter",
    "no-user-namespaces": "filter",
    "join": "mount namespace",
}

# What falls with it: a process namespace needs a /proc of its own, and so on.
BUILT_ON: dict[Mean, Means] = {
    "mount namespace": frozenset(
        {
            "ipc namespace",
            "process namespace",
            "read-only mounts",
            "loop device",
            "devices",
            "task root",
            "overlay",
        }
    ),
}

# A function that must run as root keeps what a container's root has, less what reaches out of
# its namespaces: chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service.
_ROOT_CAPABILITIES = "4fb"

# Where nothing else bounds it, a function that allocates without end is stopped here: so far
# above its memory that no runtime's reservations come near, nor as many stacks as there may be
# threads, of 8 MB each, which count in full.
_DATA_SLACK_MB = 1024 + 8 * PROCESSES

_MB = 1024 * 1024


def preparation(  # noqa: PLR0913 - what an environment is made of
    wanted: Wanted,
    means: Means,
    *,
    identity: Identity | None,
    outer: Identity,
    device: str | None,
    replaced: Sequence[tuple[str, str]] = (),
    layers: Sequence[Path] = (),
) -> list[str]:
    """Say what makes the namespaces of an environment; empty where it has none.

    `layers` are what is mounted at /opt, the last on top: those that are wanted, or one folder
    that is all of them.
    `identity` is the user inside, `outer` ourselves; `device` is a disk for /tmp; `replaced`
    are files that read otherwise inside, with their content.
    """
    words: list[str] = []
    isolated = wanted.network == "isolated"
    mounted = "mount namespace" in means
    if not (isolated or mounted):
        return words
    if "user namespace" in means:
        inner = identity or outer
        words += ["user-namespace", *_numbers(inner[0], outer[0], inner[1], outer[1])]
    if isolated:
        words += ["network-namespace", "listen", str(wanted.runtime_api_port)]
    if mounted:
        words += ["ipc-namespace"] if "ipc namespace" in means else []
        words += _files(wanted, means, device, replaced, layers)
    return words


def _files(
    wanted: Wanted,
    means: Means,
    device: str | None,
    replaced: Sequence[tuple[str, str]],
    layers: Sequence[Path],
) -> list[str]:
    sealed = "read-only mounts" in means and not wanted.writable
    words = ["mount-namespace"]
    if sealed:  # first: what is mounted after it is ours
        words += ["read-only", "/"]
    elif "read-only mounts" in means:  # control groups are files too
        words += ["read-only", "/sys"]
    for each in shown((*wanted.needs, wanted.task_root)):  # before /tmp is covered
        words += ["hold", str(each)]
    if "task root" in means:
        words += _task_root(wanted.task_root, sealed=sealed)
        words += _kept(wanted, means)
    words += _layers(layers, means)
    words += _tmp(wanted.tmp_size, device if "loop device" in means else None)
    words += ["show"]
    if "devices" in means:  # last: disks too are in /dev
        words += ["devices"]
        for path, content in replaced:
            words += ["replace", path, content]
        if sealed:
            words += ["seal", "/dev"]
    return words


def _task_root(source: Path, *, sealed: bool) -> list[str]:
    if source == TASK_ROOT:
        return []
    words: list[str] = []
    if not TASK_ROOT.is_dir():
        words += ["shadow", "/var", "make-folder", str(TASK_ROOT)]
        if sealed:  # before it is bound to: what is bound is as its source
            words += ["seal", "/var"]
    return [*words, "bind", str(source), str(TASK_ROOT)]


def _kept(wanted: Wanted, means: Means) -> list[str]:
    kept = wanted.task_root in wanted.kept and "read-only mounts" in means
    return ["seal", str(TASK_ROOT)] if kept else []


def _layers(layers: Sequence[Path], means: Means) -> list[str]:
    if not layers:
        return []
    if len(layers) == 1:
        words = ["layer", str(layers[0]), str(OPT)]
    else:
        words = ["overlay", str(OPT), f"lowerdir={':'.join(map(_escaped, reversed(layers)))}"]
    # They are kept for others, like the code of a package.
    return [*words, "seal", str(OPT)] if "read-only mounts" in means else words


def _escaped(folder: Path) -> str:
    r"""Write a folder as overlayfs reads it: a colon, a comma and a backslash end a part of it."""
    return "".join(f"\\{each}" if each in "\\:," else each for each in str(folder))


def _tmp(size: int, device: str | None) -> list[str]:
    if device is not None:
        return ["ext4", device, str(TMP)]
    return ["tmpfs", str(TMP), f"size={size}m,mode=1777"]


def shown(needs: Iterable[Path]) -> list[Path]:
    """Say what of this machine's /tmp is shown in the environment's own, outermost first.

    A program is shown with the folder that it stands in, one of a virtual environment with all
    of that.
    """
    plain = (Path(os.path.normpath(each)) for each in needs)
    roots = {_root_of(each) for each in plain if _below(each, TMP)}
    return sorted(each for each in roots if not any(_below(each, other) for other in roots))


def _root_of(path: Path) -> Path:
    if path.is_dir():
        return path
    folder = path.parent
    if folder == TMP:
        return path
    home = folder.parent
    return home if folder.name == "bin" and home not in {TMP, TMP.parent} else folder


def _below(path: Path, folder: Path) -> bool:
    return path != folder and path.is_relative_to(folder)


def before_supervision(
    means: Means, namespaces: Iterable[int], ending: Sequence[str], moved: Path | None = None
) -> list[str]:
    """Say what the supervisor does before it starts the runtime's process.

    `ending` is how it kills a control group and removes it; `moved` is the task root where it is
    another folder by now than the one that was mounted.
    """
    words = list(ending)
    for each in namespaces:  # user, network, ipc, mount: the first gives the right to the others
        words += ["join", str(each)]
    if moved is not None:
        words += ["unmount", str(TASK_ROOT), "bind", str(moved), str(TASK_ROOT)]
    if "process namespace" in means:
        words += ["process-namespace"]
    return words


def after_supervision(  # noqa: PLR0913 - each is one fact of the start
    means: Means,
    *,
    groups: Iterable[int],
    limits: Iterable[tuple[int, int]],
    identity: Identity | None,
    inherited: Iterable[int],
    folder: str,
    program: str,
    arguments: Sequence[str],
) -> list[str]:
    """Say what the runtime's process does before it becomes the runtime."""
    words = ["new-session"]
    for each in groups:
        words += ["enter", str(each)]
    for number, most in limits:
        words += ["limit", *_numbers(number, most)]
        if number == resource.RLIMIT_FSIZE:  # a full /tmp is an error, not a death
            words += ["ignore", str(int(signal.SIGXFSZ))]
    if "score" in means:
        words += ["out-of-memory-score", "1000"]
    words += _identity(means, identity)
    for each in inherited:
        words += ["inherit", str(each)]
    return [*words, "directory", folder, "exec", program, *arguments]


def _identity(means: Means, identity: Identity | None) -> list[str]:
    """Say who the process becomes, and that it can never have more rights than that."""
    kept = "0" if identity is not None and identity[0] != 0 else _ROOT_CAPABILITIES
    words: list[str] = []
    if "user namespace" in means:  # mapped already
        words += ["keep-capabilities", kept]
    elif identity is not None and "identity" in means:
        words += ["keep-capabilities", kept, "identity", *_numbers(*identity)]
    elif "mount namespace" in means and "identity" in means:
        words += ["keep-capabilities", kept]
    if "filter" in means:
        words += ["no-new-privileges", "no-user-namespaces"]
    return words


def limits(
    wanted: Wanted, *, memory_bounded: bool, processes_by_limit: bool, tmp_bounded: bool
) -> list[tuple[int, int]]:
    """Say which limits of the process there are: its own, and those that stand in for others."""
    if not wanted.bounded:
        return []
    found = [(resource.RLIMIT_NOFILE, DESCRIPTORS)]
    if processes_by_limit:
        found.append((resource.RLIMIT_NPROC, PROCESSES))
    if not memory_bounded:
        found.append((resource.RLIMIT_DATA, (wanted.memory_size + _DATA_SLACK_MB) * _MB))
    if not tmp_bounded:
        found.append((resource.RLIMIT_FSIZE, wanted.tmp_size * _MB))
    return found


def _numbers(*each: int) -> list[str]:
    return [str(number) for number in each]
