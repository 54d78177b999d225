"""Where control groups may be made on this machine, and the making of them.

`Cgroups` makes groups by whatever mechanism each feature has here. A feature that is missing
is no error: it has no mechanism, and a reason that a user can act on. What a group can do, once
it is made, is cgroup.py's business.

Not for several threads at once. Source: the kernel's admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING

from rie.sandbox import ownership
from rie.sandbox.cgroup import Cgroup, Feature, Limits
from rie.sandbox.cgroup_delegation import REMEDY
from rie.sandbox.cgroup_directory import Directory
from rie.sandbox.cgroup_home import Home, is_home
from rie.sandbox.cgroup_places import find_trees, nowhere
from rie.sandbox.cgroup_tree import CONTROLLERS, Tree, advice
from rie.telemetry.diary import get_diary

if TYPE_CHECKING:
    from pathlib import Path  # imports re, for which nobody need wait here

_PROC = "/proc"

# Unique in the process, so that two finders in it never name their groups alike.
_NUMBERS = count()


class Cgroups:
    """Where groups may be made on this machine, by feature."""

    def __init__(self, trees: tuple[Tree, ...]) -> None:
        self._trees = trees
        self._ways: dict[Feature, list[Tree]] = {}
        self._reasons: dict[Feature, str] = {}
        self._family = ownership.prefix()
        self._homes = {
            tree: Home(tree)
            for tree in trees
            if tree.hand_on or is_home(f"{tree.path}/{tree.inner}")
        }
        for feature in ("memory", "processes", "cpu", "freeze", "kill"):
            refusals = [tree.refusals[feature] for tree in trees if feature in tree.refusals]
            self._ways[feature] = [tree for tree in trees if tree.refusals.get(feature) == ""]
            self._reasons[feature] = next(filter(None, refusals), "") or nowhere(feature)

    @classmethod
    def find(cls, *, root_of_proc: Path | str = _PROC) -> Cgroups:
        """Look where we are, and what we may do there; nothing is changed.

        `root_of_proc` is where self/cgroup and self/mountinfo are read.
        """
        return cls(find_trees(f"{root_of_proc}/self"))

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
        group, name = Cgroup(self._taken_away), f"{self._family}{next(_NUMBERS)}"
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
        for tree in self._trees:
            tree.remove_homes()

    def give_up(self, group: Cgroup, entry: int, why: str) -> bool:
        """Take away all that is done by groups in a place, as one of them cannot be entered.

        `entry` is that group's; False: it is none.
        """
        directory = group.directory_of(entry)
        tree = self._place_of(directory) if directory is not None else None
        if tree is None:
            return False
        reason = f"groups in {tree.path} cannot be entered: {why}. {advice(tree.version)}"
        self._lose(tree, tree.refusals, reason)
        return True

    def close(self) -> None:
        """Go back to where we were found, as far as we are let, and close the directories.

        In one process the last one does: the others' groups are where they are until then.
        """
        while self._homes:
            self._homes.popitem()[1].close()
        for tree in self._trees:
            tree.close()
        for ways in self._ways.values():
            ways.clear()

    def _extend(
        self, group: Cgroup, tree: Tree, name: str, features: list[Feature], limits: Limits
    ) -> None:
        try:
            directory = tree.make(name)
            group.join(directory)
        except OSError as error:
            self._fail(tree, features, f"no group can be made in {tree.path}", error)
            return
        for feature in features:
            try:
                group.take_on(feature, directory, limits)
            except OSError as error:
                self._fail(tree, [feature], f"{feature} cannot be set in {tree.path}", error)

    def _fail(self, tree: Tree, features: Iterable[Feature], what: str, error: OSError) -> None:
        self._lose(tree, features, f"{what}: {error.strerror}. {advice(tree.version)}")

    def _lose(self, tree: Tree, features: Iterable[Feature], reason: str) -> None:
        for feature in features:
            if tree in self._ways[feature]:
                self._ways[feature].remove(tree)
                self._reasons[feature] = reason

    def _taken_away(self, directory: Directory) -> None:
        """Take in that another has taken controllers, memory's at least, from a group in use."""
        tree = self._place_of(directory)
        left = directory.read("cgroup.controllers").decode().split()
        lost: list[Feature] = [
            feature
            for feature, controller in CONTROLLERS.items()
            if tree in self._ways[feature] and (feature == "memory" or controller not in left)
        ]
        if tree is None or not lost:  # another group has told
            return
        names = ", ".join(CONTROLLERS[feature] for feature in lost)
        reason = f"{tree.path} handed {names} on, and another has taken that back. {REMEDY}"
        self._lose(tree, lost, reason)
        get_diary().warning(
            "limits of functions that run have been taken off; their memory is only watched now",
            lost=", ".join(lost),
            why=reason,
        )

    def _place_of(self, directory: Directory) -> Tree | None:
        return next((tree for tree in self._trees if tree.descriptor == directory.parent), None)

    def _prepare(self) -> None:
        for tree in self._trees:
            features, tree.hand_on = tree.hand_on, ()
            if features and self._make_room(tree, features):
                for feature in features:
                    self._hand_on(tree, feature)

    def _make_room(self, tree: Tree, features: tuple[Feature, ...]) -> bool:
        try:
            self._homes[tree].make_room(features)
        except OSError as error:
            self._fail(tree, features, f"{tree.path} cannot be left for a group below it", error)
            return False
        return True

    def _hand_on(self, tree: Tree, feature: Feature) -> None:
        controller = CONTROLLERS[feature]
        try:
            tree.write("cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            self._fail(tree, [feature], f"{tree.path} does not hand {controller} on", error)
