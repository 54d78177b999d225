"""Zip archives as nobody's program writes them, byte for byte."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
REGULAR, LINK, FIFO = 0o100000, 0o120000, 0o010000
UNIX, DOS = 3, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One entry; what is None is worked out from the rest."""

    name: bytes = b"file"
    content: bytes = b""
    mode: int = REGULAR | 0o644
    system: int = UNIX
    attributes: int | None = None
    method: int = 0
    flags: int = 0
    packed: bytes | None = None
    size: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    at: int | None = None  # where it says that it is
    disk: int = 0
    extra: bytes = b""

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        head = struct.pack("<4s5H", b"PK\x03\x04", 20, self.flags, self.method, 0, 33)
        return head + self._sizes() + struct.pack("<2H", len(name), 0) + name + self.data()

    def central(self, offset: int) -> bytes:
        attributes = self.mode << 16 if self.attributes is None else self.attributes
        made = struct.pack("<4s4B4H", b"PK\x01\x02", 20, self.system, 20, 0,
                           self.flags, self.method, 0, 33)  # fmt: skip
        lengths = struct.pack("<5H", len(self.name), len(self.extra), 0, self.disk, 0)
        place = struct.pack("<2L", attributes, offset if self.at is None else self.at)
        return made + self._sizes() + lengths + place + self.name + self.extra

    def data(self) -> bytes:
        return self.content if self.packed is None else self.packed

    def _sizes(self) -> bytes:
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        size = len(self.content) if self.size is None else self.size
        return struct.pack("<3L", crc, len(self.data()), min(size, 0xFFFFFFFF))


def archive(*raws: Raw, count: int | None = None, disk: int = 0, comment: bytes = b"") -> bytes:
    """Return a whole archive; `count` is how many entries it says to have."""
    body, directory = b"", b""
    for raw in raws:
        directory += raw.central(len(body))
        body += raw.local()
    number = len(raws) if count is None else count
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", disk, disk, number, number,
                      len(directory), len(body), len(comment))  # fmt: skip
    return body + directory + end + comment


def saved(path: Path, *raws: Raw) -> Path:
    path.write_bytes(archive(*raws))
    return path


def deflated(content: bytes) -> bytes:
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return pack.compress(content) + pack.flush()


def zeros(megabytes: int) -> bytes:
    """Return the deflate stream of so many MB of zeros, by repeating one block."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pack.compress(bytes(64))  # so that no block begins the stream
    start = pack.flush(zlib.Z_FULL_FLUSH)
    block = pack.compress(bytes(MB)) + pack.flush(zlib.Z_FULL_FLUSH)
    return start + block * megabytes + deflated(b"")


def zip64(size: int, compressed: int, at: int) -> bytes:
    """Return the field that has what does not fit into 32 bits."""
    return struct.pack("<2H3Q", 1, 24, size, compressed, at)
