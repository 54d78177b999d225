"""A place for control groups: the group, ours or one above it, below which they are made.

Which places there are is for cgroup_places.py to find, which are used for cgroups.py to say.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from rie.sandbox import files, ownership
from rie.sandbox.cgroup import Cgroup, Feature, Limits
from rie.sandbox.cgroup_directory import Directory, Version

CONTROLLERS: Final[dict[Feature, str]] = {"memory": "memory", "processes": "pids", "cpu": "cpu"}
ASIDE = "self"  # ends the name of the group that an emulator went into to have its own free
_TO_KILL: tuple[Feature, ...] = ("kill", "freeze")


class Tree:
    """A group of one hierarchy, ours or above it, as the place for groups below it.

    `refusals` has each feature that the hierarchy is there for, with what hinders it, if
    anything does. `inner` names the group below it that we are in, if we are. `hand_on` are
    controllers that groups below it do not get yet (cgroup v2). `around` are the groups that
    might have been the place, which an emulator may have had for its own.
    """

    def __init__(  # noqa: PLR0913 - what is known of a place
        self,
        path: str,
        version: Version,
        refusals: dict[Feature, str],
        *,
        inner: str = "",
        hand_on: tuple[Feature, ...] = (),
        around: tuple[str, ...] = (),
    ) -> None:
        self.path = path
        self.version: Version = version
        self.refusals = refusals
        self.inner = inner
        self.hand_on = hand_on
        self._around = around
        self.descriptor = -1 if all(refusals.values()) else _open_folder(path)

    def make(self, name: str) -> Directory:
        """Make a directory in it. Raises OSError."""
        os.mkdir(name, dir_fd=self.descriptor)
        return Directory(self.descriptor, name, self.version)

    def stale(self) -> Iterator[str]:
        """Yield the names of groups whose maker has gone, and that we are not in ourselves."""
        names = _listed(self.path) if self.descriptor >= 0 else ()
        for name in names:
            if ownership.is_left(name) and name != self.inner and not self._is_home(name):
                yield name

    def remove_homes(self) -> None:
        """Remove what emulators that have died had gone into, where nobody is in it any more."""
        for path in self._around:
            for name in _listed(path):
                if name.endswith(f"-{ASIDE}") and ownership.is_left(name):
                    with suppress(OSError):  # somebody is in it
                        os.rmdir(f"{path}/{name}")  # noqa: PTH106

    def adopt(self, group: Cgroup, name: str) -> None:
        """Have a group that another process made, as far as its directory here goes."""
        with suppress(OSError):
            directory = Directory(self.descriptor, name, self.version)
            group.join(directory)
            for feature in _TO_KILL:
                if feature in self.refusals:
                    group.take_on(feature, directory, Limits())

    def write(self, file: str, words: object) -> None:
        """Write to a file of the place itself. Raises OSError."""
        files.write(file, words, self.descriptor)

    def _is_home(self, name: str) -> bool:
        # Where an emulator went aside, whoever it started but for a function lives on.
        directory = Directory(self.descriptor, name, self.version)
        return name.endswith(ASIDE) and directory.read("cgroup.procs") != b""

    def close(self) -> None:
        """Make nothing in it any more."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def advice(version: Version) -> str:
    """Say what a user can do to have groups made."""
    match version:
        case 1:
            return "Run rie as root, or have the directory given to you (chown)"
        case 2:
            return (
                "Run rie as root, or have a group delegated "
                "(systemd-run --user --scope -p Delegate=yes)"
            )


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
