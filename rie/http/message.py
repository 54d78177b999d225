"""Headers and answers as values. Bytes stay bytes: what a header means is the endpoint's matter.

Header values are any bytes but CR, LF and NUL: real clients send raw UTF-8.
"""

from __future__ import annotations

from binascii import a2b_hex
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


Headers: TypeAlias = "Mapping[bytes, bytes]"
"""Header fields: names in lower case, of repeated ones the first value."""

NO_HEADERS: Headers = {}


def header_lines(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of some headers. Raises ValueError for one that breaks out of its line."""
    lines = [b"%b: %b\r\n" % pair for pair in pairs]
    return checked(b"".join(lines), len(lines))


def checked(lines: bytes, count: int) -> bytes:
    """Return `lines`, which are as many as `count` says; ValueError when they are not."""
    if lines.count(b"\n") != count or lines.count(b"\r") != count:
        raise ValueError("CR or LF in a header of the answer")
    return lines


class Response(NamedTuple):
    """One answer. Content-Length, Date and Connection are the server's to add.

    `headers` are whole lines: what header_lines() or checked() gave.
    """

    status: int
    body: bytes | memoryview = b""
    headers: bytes = b""
    content_type: bytes | None = None


def percent_decoded(raw: bytes) -> str:
    """Decode %XX; what is no such escape is left as it is."""
    if b"%" in raw:
        first, *rest = raw.split(b"%")
        raw = first + b"".join(map(_unescaped, rest))
    return raw.decode("utf-8", "replace")


def _unescaped(piece: bytes) -> bytes:
    """Decode the two hex digits at the start of what followed a percent sign."""
    try:
        return a2b_hex(piece[:2]) + piece[2:] if piece else b"%"
    except ValueError:
        return b"%" + piece
