"""Requests and answers as values. Bytes stay bytes: what a header means is the endpoint's matter.

Header values are any bytes but CR, LF and NUL: real clients send raw UTF-8.
"""

from __future__ import annotations

from binascii import a2b_hex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rie.http.head import Head


class Headers:
    """The fields of a head or of the trailers, in the order in which they came; read only."""

    __slots__ = ("_fields", "get")

    get: Callable[[bytes], bytes | None]
    """Return the first value of a name, which is lower-case, or None."""

    def __init__(self, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._fields = fields
        # A dict's own method: it is called a dozen times for an invocation.
        self.get = {name.lower(): value for name, value in reversed(fields)}.get

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield every field, repeated ones too, the names in lower case."""
        return ((name.lower(), value) for name, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({list(self._fields)!r})"


NO_HEADERS = Headers()


class Request:
    """One request. `body` and `trailers` are empty until the body is complete.

    A large body is a memoryview into a pooled buffer: the buffer is used again when the last
    view of it is gone, so a view that is kept stays valid.
    """

    __slots__ = ("body", "headers", "http_version", "method", "query", "raw_path", "trailers")

    def __init__(self, head: Head) -> None:
        self.method = head.method
        self.raw_path = head.raw_path
        self.query = head.query
        self.http_version = head.http_version
        self.headers = head.headers
        self.trailers = NO_HEADERS
        self.body: bytes | memoryview = b""

    @property
    def path(self) -> str:
        """The path without its query, percent-decoded; bytes that are no UTF-8 become U+FFFD."""
        return percent_decoded(self.raw_path)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class Response(NamedTuple):
    """One answer. Content-Length, Date and Connection are the server's to add."""

    status: int
    body: bytes | memoryview = b""
    headers: Sequence[tuple[bytes, bytes]] = ()
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
