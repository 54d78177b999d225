"""Zip archives, unpacked with suspicion.

What is unpacked comes from anybody. Names are judged before anything is written, links are made
when all else is there, so that nothing can be written through one, and bytes are counted as they
come out, whatever the archive says about them. Content is streamed: no archive or file is ever
in memory as a whole.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rie.artifacts import limits
from rie.artifacts.archive_file import CHUNK, archive_file
from rie.artifacts.entry_names import folders_above, named
from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, FindingsError, shown
from rie.artifacts.limits import size_in_words
from rie.artifacts.links import Links, outward_link
from rie.artifacts.placing import explained, new_folder
from rie.artifacts.progress import SILENT, Progress
from rie.artifacts.zip_directory import (
    DEFLATED,
    STORED,
    Entry,
    NotReadableError,
    content_at,
    find_directory,
    read_entries,
)

_METHODS = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    12: "bzip2",
    14: "lzma",
    93: "zstd",
    95: "xz",
}


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
    with archive_file(path, zipped) as stream:
        yield read(path, stream)


def read(path: Path, stream: BinaryIO) -> Archive:
    """Read what a file says that it holds. Raises BuildError when it is no archive."""
    with reading(path):
        directory = find_directory(stream)
        entries = list(read_entries(stream, directory))
    found, findings = named(entries)
    return Archive(path, stream, found, tuple(findings))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what is wrong with an archive, or with reading it, into a BuildError that names it."""
    try:
        with explained(path):
            yield
    except NotReadableError as wrong:
        raise BuildError(f"{shown(str(path))} {wrong}") from None


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
    # No entry gives more than it says (_content), so that this is enough for all together.
    if archive.unzipped > unzipped:
        raise _too_much(archive.path, unzipped)
    with reading(archive.path):
        _Unpacking(archive, folder, progress).run()


class _Unpacking:
    def __init__(self, archive: Archive, folder: Path, progress: Progress) -> None:
        self._archive = archive
        self._folder = folder
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
        entries = self._archive.entries
        found: set[str] = set()
        for name in entries:
            for above in folders_above(name):
                if above in found:  # and with it those above it
                    break
                found.add(above)
        return found | {name for name, entry in entries.items() if entry.kind == "folder"}

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
                with explained(path):  # it is not the archive that is full
                    file.write(piece)
            with explained(path):
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
        ways = Links(links)
        out = [name for name in sorted(links) if ways.destination(name) is None]
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
            if size > entry.size:
                raise NotReadableError(
                    f"is damaged or a bomb: {shown(name)} holds more than the "
                    f"{size_in_words(entry.size)} that it says; make it anew"
                )
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


def _too_much(path: Path, limit: int) -> BuildError:
    return BuildError(
        f"{shown(str(path))} holds more than {size_in_words(limit)} unzipped, "
        "which Lambda does not take: leave out what is not needed at run time"
    )
