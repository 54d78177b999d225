"""What a zip archive says that it holds: its central directory, read without believing it.

Python's zipfile reads the whole directory into memory, believes sizes and cuts names at a NUL;
this reader takes one entry after the other, counts them, and refuses what can be read in two
ways. Source of the format: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Literal

from rie.artifacts.limits import ENTRIES

Kind = Literal["file", "folder", "link", "special"]

STORED, DEFLATED = 0, 8

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s4B4H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_EXTRA = struct.Struct("<2H")
_END_MAGIC, _LOCATOR_MAGIC, _END64_MAGIC = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_ENTRY_MAGIC, _LOCAL_MAGIC = b"PK\x01\x02", b"PK\x03\x04"
_LONGEST_COMMENT = 0xFFFF
_ALL_ONES_2, _ALL_ONES_4 = 0xFFFF, 0xFFFFFFFF  # the value is in a zip64 record
_ZIP64 = 1

_ENCRYPTED, _PATCHED, _STRONGLY_ENCRYPTED, _UTF8 = 1 << 0, 1 << 5, 1 << 6, 1 << 11
_UNIX, _DARWIN = 3, 19
_DOS_FOLDER = 0x10

_KINDS: dict[int, Kind] = {
    0: "file",
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
}
_FIRST_BYTES = (
    (b"\x1f\x8b", "a gzip file"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"\x7fELF", "a program"),
    (b"<", "a page of markup"),
)
_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"


class NotReadableError(Exception):
    """The archive is none, or is damaged; str() completes `the archive ...`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is written; offsets and sizes in bytes, `offset` from the file's start."""

    raw_name: bytes
    flags: int
    method: int
    stamp: tuple[int, int]  # date and time as DOS has them
    crc: int
    compressed: int
    size: int
    system: int
    attributes: int
    offset: int

    @property
    def name(self) -> str:
        """The name; UTF-8 where that is said or where it is so, else as DOS wrote."""
        try:
            return self.raw_name.decode("utf-8")
        except UnicodeDecodeError:
            if self.flags & _UTF8:
                return os.fsdecode(self.raw_name)
            return self.raw_name.decode("cp437")

    @property
    def kind(self) -> Kind:
        """What it is; an unknown type of file is a special one."""
        if self.raw_name.endswith(b"/"):
            return "folder"
        if not self._has_modes:
            return "folder" if self.attributes & _DOS_FOLDER else "file"
        return _KINDS.get(stat.S_IFMT(self.attributes >> 16), "special")

    @property
    def mode(self) -> int:
        """Its permissions, without setuid and the like; what a system without modes gets."""
        permissions = (self.attributes >> 16) & 0o777
        if self._has_modes and permissions:
            return permissions
        return 0o755 if self.kind == "folder" else 0o644

    @property
    def modified(self) -> float:
        """The time of its content in seconds since 1970, taken as UTC; 1980 if it is none."""
        date, time = self.stamp
        try:
            return datetime(
                (date >> 9) + 1980, date >> 5 & 15, date & 31,
                time >> 11, time >> 5 & 63, min((time & 31) * 2, 59),
                tzinfo=UTC,
            ).timestamp()  # fmt: skip
        except ValueError:
            return datetime(1980, 1, 1, tzinfo=UTC).timestamp()

    @property
    def encrypted(self) -> bool:
        """Whether a password is needed."""
        return bool(self.flags & (_ENCRYPTED | _STRONGLY_ENCRYPTED))

    @property
    def patched(self) -> bool:
        """Whether it is the difference to something else."""
        return bool(self.flags & _PATCHED)

    @property
    def _has_modes(self) -> bool:
        return self.system in {_UNIX, _DARWIN} and self.attributes >> 16 != 0


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the entries are told: `base` is added to every offset that they have."""

    start: int
    size: int
    count: int
    base: int


def find_directory(stream: IO[bytes]) -> Directory:
    """Find it from the archive's end. Raises NotReadableError."""
    size = stream.seek(0, os.SEEK_END)
    at, fields = _end_record(stream, size)
    _, disk, start_disk, count_here, count, length, offset, _ = fields
    end = at
    if _ALL_ONES_2 in {count_here, count} or _ALL_ONES_4 in {length, offset}:
        found = _zip64_end_record(stream, at)
        if found is not None:
            end, disk, start_disk, count_here, count, length, offset = found
    if disk or start_disk or count_here != count:
        raise NotReadableError("is one part of several; make it in one")
    base = end - length - offset
    if base < 0:
        raise NotReadableError("is damaged: its directory is not where it says; make it anew")
    if count > ENTRIES or length > ENTRIES * (_ENTRY.size + _LONGEST_COMMENT):
        raise NotReadableError(f"has {count} entries, more than the {ENTRIES} that rie takes")
    return Directory(start=end - length, size=length, count=count, base=base)


def read_entries(stream: IO[bytes], directory: Directory) -> Iterator[Entry]:
    """Read one entry after the other. Raises NotReadableError."""
    at = directory.start
    end = directory.start + directory.size
    for _ in range(directory.count):
        stream.seek(at)
        entry, length = _read_entry(stream, directory)
        at += length
        if at > end:
            raise _damaged_directory()
        yield entry
    if at != end:  # entries that are not counted: other programs would unpack them
        raise _damaged_directory()


def content_at(stream: IO[bytes], entry: Entry) -> int:
    """Return where the entry's bytes begin. Raises NotReadableError."""
    stream.seek(entry.offset)
    fields = _unpacked(_LOCAL, stream.read(_LOCAL.size), _LOCAL_MAGIC)
    name_length, extra_length = fields[9:]
    if stream.read(name_length) != entry.raw_name:
        raise NotReadableError("is damaged: an entry has two names; make it anew")
    return entry.offset + _LOCAL.size + int(name_length) + int(extra_length)


def _end_record(stream: IO[bytes], size: int) -> tuple[int, tuple[int, ...]]:
    start = max(0, size - _END.size - _LONGEST_COMMENT)
    stream.seek(start)
    tail = stream.read()
    at = tail.rfind(_END_MAGIC)
    while at >= 0:
        record = tail[at : at + _END.size]
        if len(record) == _END.size:
            fields = _END.unpack(record)
            if at + _END.size + fields[7] == len(tail):
                return start + at, fields
        at = tail.rfind(_END_MAGIC, 0, at)
    raise NotReadableError(_what_it_is(stream, size))


def _what_it_is(stream: IO[bytes], size: int) -> str:
    stream.seek(0)
    head = stream.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    if head.startswith(_LOCAL_MAGIC):
        return "is cut off, or something was added to its end; copy it again or make it anew"
    if not size:
        return "is empty, not a zip archive; make it anew"
    for magic, what in (*_FIRST_BYTES, (b"", "")):
        if head.startswith(magic) and what:
            return f"is {what}, not a zip archive; pack its content as zip"
    if head[_TAR_MAGIC_AT:] == _TAR_MAGIC:
        return "is a tar archive, not a zip archive; pack its content as zip"
    return "is not a zip archive; make one with `rie layer build` or `rie package`"


def _zip64_end_record(
    stream: IO[bytes], at: int
) -> tuple[int, int, int, int, int, int, int] | None:
    """Return where it is, both disks, both counts, length and offset; None if there is none."""
    locator_at = at - _END64_LOCATOR.size
    if locator_at < 0:
        return None
    stream.seek(locator_at)
    magic, _, offset, disks = _END64_LOCATOR.unpack(stream.read(_END64_LOCATOR.size))
    if magic != _LOCATOR_MAGIC:
        return None
    if disks > 1:
        raise NotReadableError("is one part of several; make it in one")
    # Right before the locator, unless it has been extended; then where the locator says.
    for place in (locator_at - _END64.size, offset):
        if not 0 <= place <= locator_at - _END64.size:
            continue
        stream.seek(place)
        fields = _END64.unpack(stream.read(_END64.size))
        if fields[0] == _END64_MAGIC:
            return (place, *fields[4:])
    raise NotReadableError("is damaged: its zip64 record is missing; make it anew")


def _read_entry(stream: IO[bytes], directory: Directory) -> tuple[Entry, int]:
    fields = _unpacked(_ENTRY, stream.read(_ENTRY.size), _ENTRY_MAGIC)
    (
        *_, flags, method, time, date, crc, compressed, size,
        name_length, extra_length, comment_length, disk, _, attributes, offset,
    ) = fields  # fmt: skip
    name, extra = stream.read(name_length), stream.read(extra_length)
    if len(extra) != extra_length or len(name) != name_length:
        raise _damaged_directory()
    size, compressed, offset, disk = _widened(extra, size, compressed, offset, disk)
    if disk:
        raise NotReadableError("is one part of several; make it in one")
    if offset + directory.base >= directory.start:
        raise _damaged_directory()
    entry = Entry(
        raw_name=name, flags=flags, method=method, stamp=(date, time), crc=crc,
        compressed=compressed, size=size, system=fields[2], attributes=attributes,
        offset=offset + directory.base,
    )  # fmt: skip
    return entry, _ENTRY.size + name_length + extra_length + comment_length


def _widened(extra: bytes, size: int, compressed: int, offset: int, disk: int) -> tuple[int, ...]:
    """Replace what did not fit by what the zip64 field says."""
    values = [size, compressed, offset, disk]
    field = _extra_field(extra, _ZIP64)
    for index, limit in enumerate((_ALL_ONES_4, _ALL_ONES_4, _ALL_ONES_4, _ALL_ONES_2)):
        if values[index] != limit:
            continue
        width = 4 if limit == _ALL_ONES_2 else 8
        if len(field) < width:
            raise _damaged_directory()
        values[index] = int.from_bytes(field[:width], "little")
        field = field[width:]
    return tuple(values)


def _extra_field(extra: bytes, wanted: int) -> bytes:
    while len(extra) >= _EXTRA.size:
        number, length = _EXTRA.unpack_from(extra)
        if number == wanted:
            return extra[_EXTRA.size : _EXTRA.size + length]
        extra = extra[_EXTRA.size + length :]
    return b""


def _unpacked(form: struct.Struct, record: bytes, magic: bytes) -> tuple[int, ...]:
    if len(record) != form.size or not record.startswith(magic):
        raise _damaged_directory()
    fields: tuple[int, ...] = form.unpack(record)
    return fields


def _damaged_directory() -> NotReadableError:
    return NotReadableError("is damaged: its directory does not agree with it; make it anew")
