"""Looking for the places where control groups may be made: cgroup v1, v2, or both side by side.

Nothing is changed. What hinders a feature is told in a line, with what a user can do.

Sources: cgroups(7) for the files in /proc; the kernel's admin-guide/cgroup-v2.rst and
admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from rie.sandbox import files
from rie.sandbox.cgroup import Feature
from rie.sandbox.cgroup_delegation import REMEDY, is_ours, is_root, is_systemds
from rie.sandbox.cgroup_directory import Version
from rie.sandbox.cgroup_home import is_home
from rie.sandbox.cgroup_tree import CONTROLLERS, Tree, advice

_V1_FEATURES: Final[dict[str, tuple[Feature, ...]]] = {
    "memory": ("memory",),
    "pids": ("processes",),
    "cpu": ("cpu",),
    "freezer": ("freeze", "kill"),
}
_UNIFIED = ""  # cgroup v2's line in /proc/self/cgroup names no controller

_FOREIGN = (
    "{} shows control groups outside our own namespace, which nobody enters from inside it. "
    "Mount our own over it (mount -t cgroup2), or run rie in the namespace that it shows"
)


def find_trees(proc_self: str) -> tuple[Tree, ...]:
    """Find them; the first that offers a feature is to be used.

    `proc_self` is the folder where cgroup and mountinfo are read.
    """
    places = _places(proc_self)
    # To freeze and to kill cgroup v2 is better.
    return (*_v2_trees(places), *_v1_trees(places))


def nowhere(feature: Feature) -> str:
    """Say why no place is there for a feature, and what to do."""
    what = CONTROLLERS.get(feature, "freezer")
    if not os.path.exists("/proc/self/cgroup"):  # noqa: PTH110
        return "this system has no control groups. Run rie on Linux"
    return (
        f"no mounted control groups have the {what} controller. Mount them at /sys/fs/cgroup, "
        f"and have the kernel started without cgroup_disable={what}"
    )


class _Place(NamedTuple):
    """Where a hierarchy is mounted, and the directory of our own group in it.

    A `foreign` mount is of groups outside our namespace, which take in none of ours (cgroup v2).
    """

    mount: str
    own: str
    foreign: bool = False


def _places(proc_self: str) -> dict[str, _Place]:
    """Find our place in each hierarchy, by controller."""
    lines = files.read(f"{proc_self}/cgroup").decode(errors="surrogateescape").splitlines()
    paths = {
        name: path
        for _, names, path in (line.split(":", 2) for line in lines)
        for name in names.split(",")
    }
    found: dict[str, _Place] = {}
    beside: dict[str, _Place] = {}
    foreign: dict[str, _Place] = {}
    for names, root, mount in _mounts(f"{proc_self}/mountinfo"):
        for name in names & paths.keys():
            inner = _below(root, paths[name])
            if root.startswith("/..") and name == _UNIFIED:
                foreign.setdefault(name, _Place(mount, mount, foreign=True))
            elif inner is None:
                beside.setdefault(name, _Place(mount, mount))
            else:
                found.setdefault(name, _Place(mount, f"{mount}{inner}"))
    return foreign | beside | found


def _mounts(mountinfo: str) -> Iterator[tuple[set[str], str, str]]:
    """Yield controllers, root in the hierarchy and mount point of each mounted hierarchy."""
    for line in files.read(mountinfo).decode(errors="surrogateescape").splitlines():
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


def _v1_trees(places: dict[str, _Place]) -> Iterator[Tree]:
    """Yield our own groups of cgroup v1; controllers may share a hierarchy."""
    features: dict[str, list[Feature]] = {}
    for controller, served in _V1_FEATURES.items():
        if controller in places:
            features.setdefault(places[controller].own, []).extend(served)
    for path, served_here in features.items():
        yield Tree(path, 1, dict.fromkeys(served_here, _obstacle(path, 1)))


def _v2_trees(places: dict[str, _Place]) -> Iterator[Tree]:
    """Yield the group of cgroup v2, the nearest to ours, below which most can be had.

    A controller that cgroup v1 has is none of cgroup v2's.
    """
    place = places.get(_UNIFIED)
    if place is None:
        return
    wanted = [feature for feature, name in CONTROLLERS.items() if name not in places]
    obstacle = _FOREIGN.format(place.mount) if place.foreign else _obstacle(place.own, 2)
    paths = [] if place.foreign else [path for path in _upward(place) if not _obstacle(path, 2)]
    if paths:
        yield _tree_at(_best([_offer(place, path, wanted) for path in paths]), place, paths)
    else:
        features: list[Feature] = [*wanted, "freeze", "kill"]
        yield Tree(place.own, 2, dict.fromkeys(features, obstacle))


class _Offer(NamedTuple):
    """What groups below one would get: each feature's refusal, and what must be handed on."""

    path: str
    refusals: dict[Feature, str]
    hand_on: tuple[Feature, ...]

    def worth(self) -> int:
        # To have the processor's share is no reason to leave our own group for another.
        return [self.refusals.get("memory"), self.refusals.get("processes")].count("")

    def is_ready(self) -> bool:
        return not {"memory", "processes"} & {*self.hand_on}


def _offer(place: _Place, path: str, wanted: list[Feature]) -> _Offer:
    enabled = files.words(f"{path}/cgroup.subtree_control")
    missing = [feature for feature in wanted if CONTROLLERS[feature] not in enabled]
    refusals = {
        feature: _refusal(place, path, feature) if feature in missing else "" for feature in wanted
    }
    return _Offer(path, refusals, tuple(each for each in missing if not refusals[each]))


def _best(offers: list[_Offer]) -> _Offer:
    """Choose the nearest that gives most; rather one where nothing need change for as much."""
    nearest = max(offers, key=_Offer.worth)
    given = [feature for feature, refusal in nearest.refusals.items() if not refusal]
    for offer in offers:
        if offer.is_ready() and not any(offer.refusals[feature] for feature in given):
            return offer
    return nearest


def _tree_at(offer: _Offer, place: _Place, paths: list[str]) -> Tree:
    return Tree(
        offer.path,
        2,
        {**offer.refusals, "freeze": "", "kill": ""},
        inner=place.own.removeprefix(offer.path).strip("/").partition("/")[0],
        hand_on=offer.hand_on,
        around=tuple(paths),
    )


def _upward(place: _Place) -> Iterator[str]:
    """Yield our own group and those above it that the mount shows.

    The group that we have gone into ourselves is none: the one that we left is.
    """
    path = place.own
    if path != place.mount and is_home(path):
        path = path.rpartition("/")[0]
    while path != place.mount:
        yield path
        path = path.rpartition("/")[0]
    yield path


def _refusal(place: _Place, path: str, feature: Feature) -> str:
    """Say why one cannot hand on a controller that it does not yet (cgroup v2), if it cannot."""
    controller = CONTROLLERS[feature]
    if controller not in files.words(f"{path}/cgroup.controllers"):
        remedy = REMEDY if is_systemds() else advice(2)  # who delegates hands all controllers on
        return f"{path} does not have the {controller} controller. {remedy}"
    if not _writable(f"{path}/cgroup.subtree_control"):
        return f"{path} does not hand {controller} on, and is not ours to change. {advice(2)}"
    if not is_ours(path, place.mount, place.own):
        return (
            f"{path} does not hand {controller} on, and is systemd's, which would take it back. "
            f"{REMEDY}"
        )
    if not is_root(path) and files.words(f"{path}/cgroup.procs") - {str(os.getpid())}:
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
    return f"{path} is not writable for uid {os.geteuid()}. {advice(version)}"


def _writable(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=True)


def _unescaped(path: str) -> str:
    """Undo what mountinfo does to blanks and backslashes, which is octal."""
    first, *others = path.split("\\")
    return first + "".join(chr(int(other[:3], 8)) + other[3:] for other in others)
