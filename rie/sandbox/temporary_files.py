"""Where temporary files are kept: in a folder that can be written to, rather not in memory.

What is put there, and removed again, is disk.py's and folder.py's business.
"""

from __future__ import annotations

import os

from rie.core.errors import RieError
from rie.sandbox import files

_IN_MEMORY = frozenset({b"tmpfs", b"ramfs"})


class NoDisk(RieError):
    """There can be no disk here. The message names what is missing, and what to do."""


def folders() -> list[str]:
    """List those that can be written to, as others of this user may have chosen any of them."""
    names = (os.environ.get("TMPDIR"), "/var/tmp", "/tmp")  # noqa: S108 - names there are chance
    return [
        name
        for name in names
        if name and os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK)  # noqa: PTH112 - of names
    ]


def best_folder() -> str:
    """Choose the first on a disk, else the first. Raises NoDisk."""
    found = folders()
    if not found:
        raise NoDisk("none of TMPDIR, /var/tmp and /tmp is a folder that can be written to")
    return min(found, key=_is_in_memory)  # the first of the best


def _is_in_memory(folder: str) -> bool:
    device = os.stat(folder).st_dev  # noqa: PTH116 - of a name
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    mounts = (line.partition(b" - ") for line in files.read("/proc/self/mountinfo").splitlines())
    return any(
        where.split()[2] == number and kind.split(None, 1)[0] in _IN_MEMORY
        for where, _, kind in mounts
    )
