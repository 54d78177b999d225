"""Zip archives, written so that the same tree gives the same bytes, and unpacked with suspicion.

What is unpacked comes from anybody. Names are judged before anything is written, links are made
when all else is there, so that nothing can be written through one, and bytes are counted as they
come out, whatever the archive says about them. Content is streamed: no archive or file is ever
in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rie.artifacts import limits
from rie.artifacts.entry_names import folders_above, named
from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, FindingsError, error, shown
from rie.artifacts.limits import size_in_words
from rie.artifacts.links import destination
from rie.artifacts.placing import explained, new_file, new_folder
from rie.artifacts.progress import SILENT, Progress
from rie.artifacts.tree import Node
from rie.artifacts.zip_directory import (
    DEFLATED,
    STORED,
    Entry,
    NotReadableError,
    content_at,
    find_directory,
    read_entries,
)

CHUNK = 256 * 1024
_METHODS = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    12: "bzip2",
    14: "lzma",
    93: "zstd",
    95: "xz",
}
_EARLIEST = 315532800  # 1980-01-01: zip knows no time before
_LATEST = 4354819198  # 2107-12-31
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that is open for reading, its names judged: `findings` are what is wrong."""

    path: Path
    stream: BinaryIO
    entries: Mapping[str, Entry]
    findings: tuple[Finding, ...]

    @property
    def unzipped(self) -> int:
        """How many bytes it says to hold."""
        return sum(entry.size for entry in self.entries.values())


@contextmanager
def opened(path: Path, *, zipped: int = limits.ARCHIVE) -> Iterator[Archive]:
    """Open an archive of at most `zipped` bytes. Raises BuildError when it is none."""
    with explained(path):
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
            raise BuildError(f"{shown(str(path))} is not a file: name a zip archive")
        stream = path.open("rb")
    with stream:
        size = os.fstat(stream.fileno()).st_size
        if size > zipped:
            raise BuildError(
                f"{shown(str(path))} is {size_in_words(size)} zipped, at most "
                f"{size_in_words(zipped)} are allowed: leave out what is not needed at run time"
            )
        with reading(path):
            directory = find_directory(stream)
            entries = list(read_entries(stream, directory))
        found, findings = named(entries)
        yield Archive(path, stream, found, tuple(findings))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is wrong with an archive, or with reading it, into a BuildError that names it."""
    try:
        with explained(path):
            yield
    except NotReadableError as wrong:
        raise BuildError(f"{shown(str(path))} {wrong}") from None


def digest(stream: BinaryIO) -> bytes:
    """Return the SHA-256 of all of it."""
    found = hashlib.sha256()
    stream.seek(0)
    while piece := stream.read(CHUNK):
        found.update(piece)
    return found.digest()


def unpack(
    path: Path,
    target: Path,
    *,
    zipped: int = limits.ARCHIVE,
    unzipped: int = limits.UNZIPPED,
    progress: Progress = SILENT,
) -> None:
    """Unpack an archive into the folder `target`, which must be new or empty.

    Modes and times are restored. Raises BuildError, and leaves nothing then.
    """
    with opened(path, zipped=zipped) as archive, new_folder(target) as folder:
        unpack_into(archive, folder, unzipped=unzipped, progress=progress)


def unpack_into(
    archive: Archive, folder: Path, *, unzipped: int = limits.UNZIPPED, progress: Progress = SILENT
) -> None:
    """Unpack into a folder that is there and empty. Raises BuildError; may leave a part then."""
    if archive.findings:
        raise FindingsError(shown(str(archive.path)), archive.findings)
    if archive.unzipped > unzipped:
        raise _too_much(archive.path, unzipped)
    with reading(archive.path):
        _Unpacking(archive, folder, unzipped, progress).run()


class _Unpacking:
    def __init__(self, archive: Archive, folder: Path, limit: int, progress: Progress) -> None:
        self._archive = archive
        self._folder = folder
        self._left = limit
        self._limit = limit
        self._progress = progress
        self._end = 0  # of what has been read: entries share no bytes

    def run(self) -> None:
        folders = self._folders()
        for name in sorted(folders):  # a folder comes before what is in it
            (self._folder / name).mkdir()
        # In the order of their bytes: the archive is read once from its begin to its end.
        in_order = sorted(self._archive.entries.items(), key=lambda item: item[1].offset)
        links: dict[str, str] = {}
        for done, (name, entry) in enumerate(in_order):
            self._progress.step("unpacking", done, len(in_order))
            if entry.kind == "link":
                links[name] = self._target_of(name, entry)
            elif entry.kind == "file":
                self._file(name, entry)
            else:
                self._past(entry)
        self._make(links)
        for name in sorted(folders, reverse=True):  # what is in it first: it may become closed
            self._finish_folder(name)

    def _folders(self) -> set[str]:
        found = {above for name in self._archive.entries for above in folders_above(name)}
        return found | {n for n, entry in self._archive.entries.items() if entry.kind == "folder"}

    def _finish_folder(self, name: str) -> None:
        entry = self._archive.entries.get(name)
        path = self._folder / name
        path.chmod(0o755 if entry is None else entry.mode | stat.S_IRWXU)
        if entry is not None:
            os.utime(path, (entry.modified, entry.modified))

    def _file(self, name: str, entry: Entry) -> None:
        path = self._folder / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            for piece in self._content(name, entry):
                file.write(piece)
            file.flush()
            os.fchmod(file.fileno(), entry.mode | stat.S_IRUSR)
            os.utime(file.fileno(), (entry.modified, entry.modified))

    def _target_of(self, name: str, entry: Entry) -> str:
        if entry.size >= limits.NAME:
            raise NotReadableError(f"is damaged: {shown(name)} is no link; make it anew")
        target = os.fsdecode(b"".join(self._content(name, entry)))
        if not target or "\0" in target:
            raise NotReadableError(f"is damaged: {shown(name)} is no link; make it anew")
        return target

    def _make(self, links: Mapping[str, str]) -> None:
        out = [name for name in sorted(links) if destination(name, links) is None]
        if out:
            found = [outward_link(name, links[name]) for name in out]
            raise FindingsError(shown(str(self._archive.path)), found)
        for name, target in links.items():
            (self._folder / name).symlink_to(target)

    def _past(self, entry: Entry) -> None:
        for _ in self._content(entry.name, entry):
            raise NotReadableError("is damaged: a folder has content; make it anew")

    def _content(self, name: str, entry: Entry) -> Iterator[bytes]:
        """Decompress one entry, and hold it to what it says. Raises NotReadableError."""
        if entry.encrypted:
            raise NotReadableError(
                f"is encrypted ({shown(name)}), which Lambda does not take; make it anew"
            )
        if entry.method not in {STORED, DEFLATED} or entry.patched:
            method = _METHODS.get(entry.method, f"method {entry.method}")
            raise NotReadableError(
                f"is compressed by {method} ({shown(name)}), which Lambda does not take; "
                "make it anew with deflate, as `zip -r` does"
            )
        crc = size = 0
        for piece in filter(None, self._decompressed(name, entry)):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            self._left -= len(piece)
            if size > entry.size:
                raise NotReadableError(
                    f"is damaged or a bomb: {shown(name)} holds more than the "
                    f"{size_in_words(entry.size)} that it says; make it anew"
                )
            if self._left < 0:
                raise _too_much(self._archive.path, self._limit)
            yield piece
        if size != entry.size or crc != entry.crc:
            raise NotReadableError(
                f"is damaged: {shown(name)} is not what was packed; copy it again or make it anew"
            )

    def _decompressed(self, name: str, entry: Entry) -> Iterator[bytes]:
        raw = self._raw(name, entry)
        if entry.method == STORED:
            yield from raw
            return
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for piece in raw:
                waiting = piece
                while waiting and not inflate.eof:
                    yield inflate.decompress(waiting, CHUNK)
                    waiting = inflate.unconsumed_tail
                if inflate.eof:
                    break
            # A full piece may be followed by more that is already inside.
            while not inflate.eof and (more := inflate.decompress(b"", CHUNK)):
                yield more
        except zlib.error:
            raise NotReadableError(
                f"is damaged: {shown(name)} cannot be decompressed; copy it again or make it anew"
            ) from None
        if not inflate.eof or inflate.unused_data or next(raw, b""):
            raise NotReadableError(
                f"is damaged: {shown(name)} does not end where it says; make it anew"
            )

    def _raw(self, name: str, entry: Entry) -> Iterator[bytes]:
        stream = self._archive.stream
        at = content_at(stream, entry)
        if entry.offset < self._end:
            raise NotReadableError(
                f"is damaged or a bomb: {shown(name)} shares its bytes with another entry; "
                "make it anew"
            )
        left = entry.compressed
        self._end = at + left
        stream.seek(at)
        while left:
            piece = stream.read(min(CHUNK, left))
            if not piece:
                raise NotReadableError("is cut off; copy it again or make it anew")
            left -= len(piece)
            yield piece


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
            with (
                explained(node.source),
                node.source.open("rb") as file,
                archive.open(info, "w") as entry,
            ):
                shutil.copyfileobj(file, entry, CHUNK)
        case "special":
            raise AssertionError(node)  # checks come before: see checks.py


_FILE_TYPES = {"file": stat.S_IFREG, "folder": stat.S_IFDIR, "link": stat.S_IFLNK, "special": 0}


def _stamp(environ: Mapping[str, str]) -> tuple[int, ...]:
    text = environ.get("SOURCE_DATE_EPOCH") or str(_EARLIEST)
    if not text.isascii() or not text.isdecimal():
        raise BuildError(f"SOURCE_DATE_EPOCH {text!r} must be a number of seconds since 1970")
    # No further than zip's times go.
    seconds = min(max(int(text), _EARLIEST), _LATEST)
    return tuple(time.gmtime(seconds))[:6]


def outward_link(name: str, target: str) -> Finding:
    """Say that a link leads out of its tree."""
    return error(
        name,
        f"is a symbolic link out of the folder, to {shown(target)}",
        "link to a file inside by a relative path, or copy the file in",
    )


def _too_much(path: Path, limit: int) -> BuildError:
    return BuildError(
        f"{shown(str(path))} holds more than {size_in_words(limit)} unzipped, "
        "which Lambda does not take: leave out what is not needed at run time"
    )
