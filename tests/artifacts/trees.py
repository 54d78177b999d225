"""Folders made of a few words, and what is in a folder, to be compared."""

from __future__ import annotations

import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRIPT = "#!/bin/sh\n"


def make(folder: Path, files: dict[str, str | bytes], *, executable: bool = False) -> Path:
    """Make a folder of files; their name's last letter says more: `x*` can be run, `x@` is a link.

    The content of a link is its target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.rstrip("*@")
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("@"):
            path.symlink_to(str(content))
            continue
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o755 if executable or name.endswith("*") else 0o644)
    return folder


def contents(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Return all that is in a folder: kind, permissions, content."""
    return {str(path.relative_to(folder)): _content(path) for path in folder.rglob("*")}


def names(folder: Path) -> list[str]:
    """Return the names of all that is in a folder, hidden things too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes: a write past that fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _content(path: Path) -> tuple[str, int, bytes]:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if path.is_symlink():
        return "link", 0o777, str(path.readlink()).encode()
    if path.is_dir():
        return "folder", mode, b""
    return "file", mode, path.read_bytes()


def elf(machine: int = 62, word: int = 2) -> bytes:
    """Return the head of a program for a machine: 62 x86_64, 183 arm64."""
    return b"\x7fELF" + bytes([word, 1, 1]) + bytes(11) + machine.to_bytes(2, "little") + bytes(44)
