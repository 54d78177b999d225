"""The group that this process goes into to have its own group free, and the way back.

cgroup v2 limits no groups below one that has processes itself. All `Cgroups` of a process share
the home: the first goes into it, the last goes back.
"""

from __future__ import annotations

import os
from contextlib import suppress

from rie.sandbox import files, ownership
from rie.sandbox.cgroup import Feature
from rie.sandbox.cgroup_delegation import is_root
from rie.sandbox.cgroup_tree import ASIDE, CONTROLLERS, Tree


class _Stay:
    """What all who use a home have in common."""

    def __init__(self) -> None:
        self.users = 0
        self.has_left = False
        self.features: set[Feature] = set()  # that were handed on for them


_STAYS: dict[str, _Stay] = {}  # by the home's path


class Home:
    """One user's part in it: `close` must follow."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._name = name()
        self._path = f"{tree.path}/{self._name}"
        self._stay = _STAYS.setdefault(self._path, _Stay())
        self._stay.users += 1

    def make_room(self, features: tuple[Feature, ...]) -> None:
        """Have no process in the place, so that it can hand features on. Raises OSError."""
        self._stay.features.update(features)
        path = self._tree.path
        if not is_root(path) and files.words(f"{path}/cgroup.procs"):
            self._stay.has_left = True
            self._tree.make(self._name).write("cgroup.procs", 0)

    def close(self) -> None:
        """Go back where this was the last user, as far as we are let."""
        self._stay.users -= 1
        if self._stay.users == 0:
            _STAYS.pop(self._path, None)
            with suppress(OSError):
                self._go_back()

    def _go_back(self) -> None:
        if not self._stay.has_left:
            return
        # A group that hands controllers on takes no process.
        for feature in self._stay.features:
            with suppress(OSError):
                self._tree.write("cgroup.subtree_control", f"-{CONTROLLERS[feature]}")
        self._tree.write("cgroup.procs", 0)
        os.rmdir(self._name, dir_fd=self._tree.descriptor)


def name() -> str:
    """Name this process's home."""
    return f"{ownership.prefix()}{ASIDE}"


def is_home(path: str) -> bool:
    """Whether it is this process's home."""
    return path.endswith(f"-{ASIDE}") and path.rpartition("/")[2] == name()
