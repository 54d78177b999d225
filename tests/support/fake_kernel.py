"""A kernel with cgroup v2 and all of its controllers, which this machine may not have."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rie.sandbox import cgroup_delegation, files
from rie.sandbox.cgroups import Cgroups

ALL = "cpu memory pids"

FILES = {
    "": (
        ("cgroup.procs", ""),
        ("cgroup.type", "domain\n"),
        ("cgroup.subtree_control", ""),
        ("cgroup.events", "populated 0\nfrozen 1\n"),
        ("cgroup.freeze", "0\n"),
        ("cgroup.kill", ""),
    ),
    "memory": (
        ("memory.max", "max\n"),
        ("memory.swap.max", "max\n"),
        ("memory.current", "0\n"),
        ("memory.peak", "0\n"),
        ("memory.stat", "anon 0\nfile 0\nshmem 0\n"),
        ("memory.events", "low 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
    ),
    "pids": (("pids.max", "max\n"),),
    "cpu": (("cpu.max", "max 100000\n"),),
}


class FakeKernel:
    """cgroup v2 with all controllers in a folder of plain files, where they obey its rules.

    `absent` are files that this kernel does not know. Nobody manages the groups until
    `start_systemd`; it has delegated those that `delegate` was told.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *absent: str) -> None:
        self.mount = folder / "cgroup"
        self.proc = folder / "proc"
        self.absent = absent
        self.written: list[str] = []
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        self._systemd = folder / "systemd"
        self._delegated: set[Path] = set()
        (self.proc / "self").mkdir(parents=True)
        patch.setattr(cgroup_delegation, "SYSTEMD", str(self._systemd))
        patch.setattr(os, "getxattr", self.getxattr)
        self.uid = 0  # who we are, for whoever asks to whom a group belongs
        patch.setattr(os, "geteuid", lambda: self.uid)
        patch.setattr(files, "write", self.write)
        patch.setattr(os, "mkdir", self.mkdir)
        patch.setattr(os, "rmdir", self.rmdir)

    def group(self, path: str, *processes: int, gives: str = "", has: str = "") -> Path:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for controller in ("", *has.split()):
            for name, text in FILES[controller]:
                if name not in self.absent:
                    (folder / name).write_text(text)
        (folder / "cgroup.controllers").write_text(has)
        (folder / "cgroup.subtree_control").write_text(gives)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in processes))
        if not path:
            (folder / "cgroup.type").unlink()
        return folder

    def start_systemd(self) -> None:
        self._systemd.mkdir()

    def delegate(self, path: str) -> None:
        """Do what systemd does for Delegate=yes."""
        self._delegated.add(self.mount / path)

    def take_back(self, path: str, controller: str) -> None:
        """Do what systemd does when it is reloaded."""
        control = self.mount / path / "cgroup.subtree_control"
        control.write_text(" ".join(set(control.read_text().split()) - {controller}))
        for below in (each for each in control.parent.iterdir() if each.is_dir()):
            (below / "cgroup.controllers").write_text(control.read_text())
            for name, _ in FILES[controller]:
                (below / name).write_text("")  # whoever has it open reads nothing any more
                (below / name).unlink()

    def find(self, own: str, root: str = "/") -> Cgroups:
        (self.proc / "self/cgroup").write_text(f"0::{own}\n")
        (self.proc / "self/mountinfo").write_text(
            f"22 1 0:5 / /proc rw - proc proc rw\n"
            f"31 23 0:28 {root} {self.mount} rw,relatime shared:9 - cgroup2 cgroup rw,nsdelegate\n"
        )
        return Cgroups.find(root_of_proc=self.proc)

    def write(self, path: str, words: object, folder: int) -> None:
        file = self._at(folder) / path
        self.written.append(f"{file.relative_to(self.mount)}: {words}")
        if not file.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        match file.name:
            case "cgroup.subtree_control":
                self._hand_on(file, str(words))
            case "cgroup.procs":
                self._move(file)
            case _:
                file.write_text(f"{words}\n")

    def getxattr(self, path: str, attribute: str) -> bytes:
        if attribute != "user.delegate" or Path(path) not in self._delegated:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return b"1"

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._mkdir(path, mode, dir_fd=dir_fd)
        if dir_fd is not None:
            parent = self._at(dir_fd)
            self.group(
                str((parent / path).relative_to(self.mount)),
                has=(parent / "cgroup.subtree_control").read_text(),
            )

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        folder = (self._at(dir_fd) if dir_fd is not None else Path()) / path
        if self.mount in folder.parents and (folder / "cgroup.procs").exists():
            self._forget(folder)
        self._rmdir(path, dir_fd=dir_fd)

    @staticmethod
    def _forget(folder: Path) -> None:
        if (folder / "cgroup.procs").read_text() or any(each.is_dir() for each in folder.iterdir()):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        for file in folder.iterdir():
            file.unlink()

    def _hand_on(self, file: Path, words: str) -> None:
        if file.with_name("cgroup.type").exists() and file.with_name("cgroup.procs").read_text():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        given = set(file.read_text().split())
        given = given | {words[1:]} if words[0] == "+" else given - {words[1:]}
        file.write_text(" ".join(sorted(given)))

    def _move(self, file: Path) -> None:
        if file.with_name("cgroup.subtree_control").read_text():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        for other in self.mount.rglob("cgroup.procs"):
            left = set(other.read_text().split()) - {str(os.getpid())}
            other.write_text("".join(f"{pid}\n" for pid in sorted(left)))
        file.write_text(f"{file.read_text()}{os.getpid()}\n")

    @staticmethod
    def _at(descriptor: int) -> Path:
        return Path(f"/proc/self/fd/{descriptor}").resolve()
