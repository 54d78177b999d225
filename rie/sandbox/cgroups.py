"""Where control groups may be made on this machine, and the making of them.

`Cgroups` makes groups by whatever mechanism each feature has here. A feature that is missing
is no error: it has no mechanism, and a reason that a user can act on. What a group can do, once
it is made, is cgroup.py's business.

Not for several threads at once. Source: the kernel's admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from rie.sandbox import files, ownership
from rie.sandbox.cgroup import Cgroup, Feature, Limits
from rie.sandbox.cgroup_places import find_trees, nowhere
from rie.sandbox.cgroup_tree import ASIDE, CONTROLLERS, Tree, advice, is_root

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
        self._aside: list[tuple[Tree, tuple[Feature, ...]]] = []
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
        self, group: Cgroup, tree: Tree, name: str, features: list[Feature], limits: Limits
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

    def _lose(self, tree: Tree, features: Iterable[Feature], what: str, error: OSError) -> None:
        for feature in features:
            if tree in self._ways[feature]:
                self._ways[feature].remove(tree)
                self._reasons[feature] = f"{what}: {error.strerror}. {advice(tree.version)}"

    def _prepare(self) -> None:
        for tree in self._trees:
            features, tree.hand_on = tree.hand_on, ()
            if features and self._step_aside(tree, features):
                for feature in features:
                    self._hand_on(tree, feature)

    def _step_aside(self, tree: Tree, features: tuple[Feature, ...]) -> bool:
        if is_root(tree.path) or not files.words(f"{tree.path}/cgroup.procs"):
            return True
        try:
            self._aside.append((tree, features))
            tree.make(f"{self._family}{ASIDE}").write("cgroup.procs", 0)
        except OSError as error:
            self._lose(tree, features, f"{tree.path} cannot be left for a group below it", error)
            return False
        return True

    def _step_back(self, tree: Tree, features: tuple[Feature, ...]) -> None:
        # A group that hands controllers on takes no process.
        for feature in features:
            with suppress(OSError):
                tree.write("cgroup.subtree_control", f"-{CONTROLLERS[feature]}")
        tree.write("cgroup.procs", 0)
        os.rmdir(f"{self._family}{ASIDE}", dir_fd=tree.descriptor)

    def _hand_on(self, tree: Tree, feature: Feature) -> None:
        controller = CONTROLLERS[feature]
        try:
            tree.write("cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            self._lose(tree, [feature], f"{tree.path} does not hand {controller} on", error)
