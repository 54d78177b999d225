"""Files of a few lines, read and written whole: those of /proc, /sys and of control groups.

What cannot be read is empty: such files come and go with what they tell of.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_ENOUGH = 4_096  # bytes; memory.stat has less than half of it


def read(path: str, folder: int | None = None) -> bytes:
    """Read all; `folder` is a descriptor that a relative path starts from."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        return b"".join(iter(lambda: os.read(descriptor, _ENOUGH), b""))
    except OSError:  # a group's directory may go while it is read
        return b""
    finally:
        os.close(descriptor)


def words(path: str) -> set[str]:
    """Read what a file lists, in whatever order."""
    return set(read(path).decode().split())


def pread(descriptor: int) -> bytes:
    """Read a file that is kept open, from its beginning."""
    try:
        return os.pread(descriptor, _ENOUGH, 0)
    except OSError:  # the group has been removed by another
        return b""


def write(path: str, words: object, folder: int) -> None:
    """Write in one go, below a folder's descriptor. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.write(descriptor, str(words).encode())
    finally:
        os.close(descriptor)


@contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a descriptor when all is done."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)
