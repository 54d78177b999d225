"""The file that an archive is, before anything of it is read as one."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import shown
from rie.artifacts.limits import size_in_words
from rie.artifacts.placing import explained

CHUNK = 256 * 1024


@contextmanager
def archive_file(path: Path, limit: int) -> Iterator[BinaryIO]:
    """Open a file of at most `limit` bytes. Raises BuildError when it is none."""
    with explained(path):
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise BuildError(f"{shown(str(path))} is not a file: name a zip archive")
        stream = path.open("rb")
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if size > limit:
            raise BuildError(
                f"{shown(str(path))} is {size_in_words(size)} zipped, at most "
                f"{size_in_words(limit)} are allowed: leave out what is not needed at run time"
            )
        yield stream


def digest(stream: BinaryIO) -> bytes:
    """Return the SHA-256 of all of it."""
    found = hashlib.sha256()
    stream.seek(0)
    while piece := stream.read(CHUNK):
        found.update(piece)
    return found.digest()
