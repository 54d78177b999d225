"""The head of a request, as bytes, parsed by llhttp: the request, and how its body is framed.

llhttp refuses what could be read in two ways: bare LF, two lengths, a length beside chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from rie.http.message import Headers

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


class Head:
    """What a head says, never changed: requests with the same head share it.

    `length` is that of the body in bytes, or CHUNKED.
    """

    __slots__ = (
        "expects_continue",
        "headers",
        "http_version",
        "keep_alive",
        "length",
        "method",
        "query",
        "raw_path",
    )

    def __init__(  # noqa: PLR0913 - the parts of a request line
        self,
        method: str,
        raw_path: bytes,
        query: bytes,
        http_version: str,
        headers: Headers,
        *,
        keep_alive: bool,
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.query = query
        self.http_version = http_version
        self.headers = headers
        self.keep_alive = keep_alive
        self.length = _body_length(headers)
        # Whether the client waits to be told that its body is wanted.
        expect = headers.get(b"expect")
        self.expects_continue = (
            expect is not None and expect.lower() == b"100-continue" and http_version != "1.0"
        )


def parse_head(head: bytes) -> Head:
    """Parse one complete head, its empty line included. Raises BadHeadError."""
    if not head.isascii():
        head = _with_ascii_target(head)
    fields = _Fields()
    _feed(HttpRequestParser(fields), head)
    parts = head[: head.index(b"\r\n")].split()
    version = _VERSIONS.get(parts[-1])
    if version is None:
        raise BadHeadError(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(parts) != 3 or parts[0] == b"CONNECT":  # noqa: PLR2004 - method, target, version
        raise BadHeadError(400, "bad request line")
    raw_path, _, query = _origin_form(parts[1]).partition(b"?")
    headers = Headers(fields)
    kept = version == "1.1" if headers.get(b"connection") is None else _is_kept_alive(head)
    return Head(parts[0].decode("ascii"), raw_path, query, version, headers, keep_alive=kept)


def parse_trailers(block: bytes) -> Headers:
    """Parse the lines after the last chunk, their empty line included. Raises BadHeadError."""
    fields = _Fields()
    _feed(HttpRequestParser(fields), _TRAILERS_AS_A_HEAD + block)
    return Headers(fields)


class _Fields(list[tuple[bytes, bytes]]):
    """What llhttp calls back. Request line and body length need no callback of their own."""

    def on_header(self, *field: *tuple[bytes, bytes]) -> None:
        self.append(field)


class _Verdict:
    """Hears from llhttp what Connection means, which it forgets when the message is complete."""

    def __init__(self) -> None:
        self.keep_alive = False
        self.parser: HttpRequestParser | None = None

    def on_headers_complete(self) -> None:
        if self.parser is not None:
            self.keep_alive = self.parser.should_keep_alive()


def _is_kept_alive(head: bytes) -> bool:
    verdict = _Verdict()
    verdict.parser = HttpRequestParser(verdict)
    _feed(verdict.parser, head)
    verdict.parser = None  # the parser holds the callbacks: no cycle left to collect
    return verdict.keep_alive


def _feed(parser: HttpRequestParser, head: bytes) -> None:
    try:
        parser.feed_data(head)
    except HttpParserUpgrade:
        pass  # it stopped there, and no Upgrade is made here
    except HttpParserError as error:
        raise BadHeadError(400, str(error)) from None


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
