"""The head of a request, as bytes, parsed by llhttp: the request, and how its body is framed.

llhttp refuses what could be read in two ways: bare LF, two lengths, a length beside chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from rie.http.message import Headers, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNKED = -1  # as Head.length

_VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
_TRAILERS_AS_A_HEAD = b"GET / HTTP/1.1\r\n"


class BadHeadError(Exception):
    """A head that is refused; `status` says with what."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Head(NamedTuple):
    """What a head says. `length` is that of the body in bytes, or CHUNKED."""

    request: Request
    length: int
    keep_alive: bool


def parse_head(head: bytes) -> Head:
    """Parse one complete head, its empty line included. Raises BadHeadError."""
    if not head.isascii():
        head = _with_ascii_target(head)
    fields = _Fields()
    has_body = _feed(fields, head) or not fields.complete
    parts = head[: head.index(b"\r\n")].split()
    version = _VERSIONS.get(parts[-1])
    if version is None:
        raise BadHeadError(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(parts) != 3 or parts[0] == b"CONNECT":  # noqa: PLR2004 - method, target, version
        raise BadHeadError(400, "bad request line")
    raw_path, _, query = _origin_form(parts[1]).partition(b"?")
    headers = Headers(fields.pairs)
    request = Request(parts[0].decode("ascii"), raw_path, query, version, headers)
    return Head(request, _body_length(headers) if has_body else 0, fields.keep_alive)


def expects_continue(request: Request) -> bool:
    """Say whether the client waits to be told that its body is wanted."""
    expect = request.headers.get(b"expect")
    return (
        expect is not None and expect.lower() == b"100-continue" and request.http_version != "1.0"
    )


def parse_trailers(block: bytes) -> Headers:
    """Parse the lines after the last chunk, their empty line included. Raises BadHeadError."""
    fields = _Fields()
    _feed(fields, _TRAILERS_AS_A_HEAD + block)
    return Headers(fields.pairs)


class _Fields:
    """What llhttp calls back. Request line and body length need no callback of their own."""

    __slots__ = ("complete", "keep_alive", "pairs", "parser")

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []
        self.keep_alive = False
        self.complete = False
        self.parser: HttpRequestParser | None = None

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name, value))

    def on_headers_complete(self) -> None:
        # llhttp forgets it when the message is complete, so it is asked here.
        if self.parser is not None:
            self.keep_alive = self.parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self.complete = True


def _feed(fields: _Fields, head: bytes) -> bool:
    """Run `head` through llhttp, and say whether it stopped there for an Upgrade."""
    fields.parser = parser = HttpRequestParser(fields)
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        return True
    except HttpParserError as error:
        raise BadHeadError(400, str(error)) from None
    finally:
        fields.parser = None  # the parser holds the callbacks: no cycle left to collect
    return False


def _body_length(headers: Headers) -> int:
    """Read off what llhttp has checked: digits, and not both fields."""
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return int(headers.get(b"content-length") or 0)
    if coding.strip().lower() != b"chunked":
        raise BadHeadError(501, "chunked is the only transfer coding known here")
    return CHUNKED


def _origin_form(target: bytes) -> bytes:
    """Reduce `http://host/path` to `/path`; anything else is left as it is."""
    if target[:1] == b"/" or b"://" not in target:
        return target
    return b"/" + target.split(b"://", 1)[1].partition(b"/")[2]


def _with_ascii_target(head: bytes) -> bytes:
    """Percent-encode what is not ASCII in the request line, which llhttp would refuse."""
    line, separator, rest = head.partition(b"\r\n")
    return b"".join(_escaped(line)) + separator + rest


def _escaped(line: bytes) -> Sequence[bytes]:
    return [b"%%%02X" % byte if byte > 0x7F else bytes((byte,)) for byte in line]  # noqa: PLR2004
