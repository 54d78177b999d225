"""A folder in place of a function's own /tmp, on a machine without mount namespaces.

Nothing keeps it to a size. It may be left behind when the process is killed: its name says by
whom, and the next emulator removes it.

Sizes are in bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rie.sandbox import files, ownership, temporary_files

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder(NamedTuple):
    """A folder in place of a disk."""

    path: Path

    def size(self) -> int:
        """Add up what is used below; what cannot be read counts for nothing."""
        # By inode, as hard links share their blocks.
        used = {(file.st_dev, file.st_ino): file.st_blocks for file in _below(self.path)}
        return sum(used.values()) * 512

    def close(self) -> None:
        """Remove the folder and what is in it, as far as that is possible."""
        _remove(self.path)


def make_folder(base: Path | None = None) -> Folder:
    """Make a folder, below the one for temporary files unless `base` is given.

    Raises NoDisk where no folder for temporary files can be written to, and OSError.
    """
    name = f"{ownership.prefix()}{os.urandom(4).hex()}"
    path = (base or Path(temporary_files.best_folder())) / name
    path.mkdir(mode=0o700)
    return Folder(path)


def remove_stale_folders() -> None:
    """Remove what emulators of this user left behind when they were killed.

    What an emulator in another PID namespace has made is left: a container may share our folder
    for temporary files, and whether its processes live cannot be told from here.
    """
    for folder in temporary_files.folders():
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if _is_stale(entry):
                    _remove(Path(entry.path))


def _below(folder: Path) -> Iterator[os.stat_result]:
    pending = [str(folder)]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                with suppress(OSError):  # gone by now
                    yield entry.stat(follow_symlinks=False)


def _is_stale(entry: os.DirEntry[str]) -> bool:
    if ownership.is_left(entry.name):
        with suppress(OSError):
            return entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    return False


def _remove(path: Path) -> None:
    """Remove a folder without following links, however deep it is.

    A folder's folders are moved up to the top before it is removed: neither the length of a
    path nor the number of open files sets a limit.
    """
    _permit(str(path), None)
    with suppress(OSError), files.closing(os.open(path, _OPEN_FOLDER)) as top:
        pending = os.listdir(top)  # noqa: PTH208 - a descriptor
        while pending:
            name = pending.pop()
            if not _is_unlinked(name, top):
                pending += _dissolve(name, top)
    with suppress(OSError):
        path.rmdir()


def _dissolve(name: str, top: int) -> list[str]:
    """Remove a folder of `top`; return what was moved from it to `top`."""
    moved = []
    _permit(name, top)
    with suppress(OSError), files.closing(os.open(name, _OPEN_FOLDER, dir_fd=top)) as folder:
        for entry in os.listdir(folder):  # noqa: PTH208 - a descriptor
            if not _is_unlinked(entry, folder):
                moved += _move_up(entry, folder, top)
        os.rmdir(name, dir_fd=top)
    return moved


def _move_up(name: str, folder: int, top: int) -> list[str]:
    new_name = os.urandom(8).hex()  # `top` may have the old one
    _permit(name, folder)
    with suppress(OSError):
        os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=top)
        return [new_name]
    return []


def _is_unlinked(name: str, folder: int) -> bool:
    try:
        os.unlink(name, dir_fd=folder)
    except OSError:  # a folder, or it may not be
        return False
    return True


def _permit(name: str, folder: int | None) -> None:
    """Give ourselves the right to a folder that the function has taken from itself.

    Root has every right. For others no harm is done should a link have come in its place:
    the function, being the same user, could do this itself.
    """
    if os.geteuid():
        with suppress(OSError):
            os.chmod(name, 0o700, dir_fd=folder)
