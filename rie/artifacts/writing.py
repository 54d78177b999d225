"""Zip archives, written so that the same tree gives the same bytes."""

from __future__ import annotations

import os
import stat
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from rie.artifacts.archive_file import CHUNK
from rie.artifacts.errors import BuildError
from rie.artifacts.placing import explained, new_file
from rie.artifacts.progress import SILENT, Progress
from rie.artifacts.tree import Node

_EARLIEST = 315532800  # 1980-01-01: zip knows no time before
_LATEST = 4354819198  # 2107-12-31
_DIGITS = 4000
_UNIX = 3


def write(
    nodes: Sequence[Node],
    target: Path,
    *,
    environ: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
) -> None:
    """Write the nodes of a tree, in the order of their names, into the archive `target`.

    Neither the machine nor the time is to be seen in it; SOURCE_DATE_EPOCH in `environ` gives
    it a time of its own. Modes are kept. Raises BuildError.
    """
    stamp = _stamp(environ or {})
    with (
        new_file(target) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for done, node in enumerate(sorted(nodes, key=lambda each: each.name)):
            progress.step("packing", done, len(nodes))
            _write_node(archive, node, stamp)


def _write_node(archive: zipfile.ZipFile, node: Node, stamp: tuple[int, ...]) -> None:
    year, month, day, hour, minute, second = stamp
    when = (year, month, day, hour, minute, second)
    info = zipfile.ZipInfo(node.name + ("/" if node.kind == "folder" else ""), when)
    info.create_system = _UNIX
    info.external_attr = (_FILE_TYPES[node.kind] | node.mode) << 16
    match node.kind:
        case "folder":
            info.external_attr |= 0x10
            archive.writestr(info, b"", zipfile.ZIP_STORED)
        case "link":
            archive.writestr(info, os.fsencode(node.target), zipfile.ZIP_STORED)
        case "file":
            info.compress_type = zipfile.ZIP_DEFLATED
            with explained(node.source):
                file = node.source.open("rb")
            with file, archive.open(info, "w") as entry:
                while piece := _next(file, node):
                    entry.write(piece)
        case "special":
            raise AssertionError(node)  # checks come before: see checks.py


def _next(file: BinaryIO, node: Node) -> bytes:
    with explained(node.source):  # what cannot be written is the archive's trouble
        return file.read(CHUNK)


_FILE_TYPES = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK, "special": 0}


def _stamp(environ: Mapping[str, str]) -> tuple[int, ...]:
    text = environ.get("SOURCE_DATE_EPOCH") or str(_EARLIEST)
    if not text.isascii() or not text.isdecimal():
        raise BuildError(f"SOURCE_DATE_EPOCH {text!r} must be a number of seconds since 1970")
    # No further than zip's times go; int() takes no more than some thousand digits.
    number = int(text) if len(text) <= _DIGITS else _LATEST
    seconds = min(max(number, _EARLIEST), _LATEST)
    return tuple(time.gmtime(seconds))[:6]
