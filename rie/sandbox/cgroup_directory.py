"""A control group's directory in one hierarchy, of cgroup v1 or v2: its files, its members.

Sources: the kernel's admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Literal

from rie.sandbox import files

Version = Literal[1, 2]


class Directory:
    """The directory of a group in one hierarchy, with all descriptors that it was asked for."""

    def __init__(self, parent: int, name: str, version: Version) -> None:
        self.parent = parent
        self.name = name
        self.version: Version = version
        self._opened: list[int] = []

    def open(self, file: str, flags: int) -> int:
        """Open a file until `close`. Raises OSError."""
        descriptor = os.open(f"{self.name}/{file}", flags | os.O_CLOEXEC, dir_fd=self.parent)
        self._opened.append(descriptor)
        return descriptor

    def opened(self, descriptor: int) -> bool:
        """Whether it was this directory that opened a descriptor."""
        return descriptor in self._opened

    def read(self, file: str) -> bytes:
        """Read a file; empty where there is none, or no directory any more."""
        return files.read(f"{self.name}/{file}", self.parent)

    def write(self, file: str, words: object) -> None:
        """Write to a file. Raises OSError."""
        files.write(f"{self.name}/{file}", words, self.parent)

    def has(self, file: str) -> bool:
        """Whether this kernel, or this version, has such a file."""
        return os.access(f"{self.name}/{file}", os.F_OK, dir_fd=self.parent)

    def members(self) -> Iterator[int]:
        """Yield the processes in it that have a number in our PID namespace."""
        # Opened anew: of a kept descriptor cgroup v1 tells the same list for a second.
        # 0 is a process in another PID namespace, and for os.kill our own process group.
        return (pid for pid in map(int, self.read("cgroup.procs").split()) if pid > 0)

    def close(self) -> None:
        """Close what was opened."""
        while self._opened:
            os.close(self._opened.pop())

    def remove(self) -> bool:
        """Say whether it is no use to try again."""
        try:
            os.rmdir(self.name, dir_fd=self.parent)
        except OSError as error:
            return error.errno != errno.EBUSY
        return True
