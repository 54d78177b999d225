"""The head of a request, as bytes, parsed by llhttp: the request, and how its body is framed.

llhttp refuses what could be read in two ways: bare LF, two lengths, a length beside chunks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from rie.http.buffers import SMALL
from rie.http.message import Headers, percent_decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rie.http.exchange import Endpoint, Exchange

CHUNKED = -1  # as Head.length
NOT_INLINE = -2  # as Head.inline_length

MAX_NAMES = 256  # of fields that are remembered, of all there are in the world
MAX_LENGTH_DIGITS = 15

NO_PARAMS: Mapping[str, str] = {}

_CRLF = b"\r\n"
_PRINTABLE = bytes(range(0x20, 0x7F))
_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "DELETE", "OPTIONS")}

_VERSIONS = {b"HTTP/1.1": "1.1", b"HTTP/1.0": "1.0"}
_TRAILERS_AS_A_HEAD = b"GET / HTTP/1.1\r\n"


class BadHeadError(Exception):
    """A head that is refused; `status` says with what."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Head:
    """What a head says. Requests with the same head share it.

    `length` is that of the body in bytes, or CHUNKED. `endpoint` and `params` (what the route's
    template names, percent-decoded) are the router's to find. `meaning` is for the endpoint, which
    need not read the same head twice.
    """

    __slots__ = (
        "endpoint",
        "expects_continue",
        "headers",
        "http_version",
        "inline_length",
        "keep_alive",
        "length",
        "meaning",
        "method",
        "params",
        "plain",
        "query",
        "raw_path",
    )

    def __init__(
        self, method: str, raw_path: bytes, query: bytes, headers: Headers, length: int
    ) -> None:
        """Make that of a request that is as most are: see `unlike` for the others."""
        self.method = method
        self.raw_path = raw_path
        self.query = query
        self.http_version = "1.1"
        self.headers = headers
        self.keep_alive = True
        self.length = length
        # Whether the client waits to be told that its body is wanted.
        self.expects_continue = False
        # Whether its answer has a body, and no line about the connection.
        self.plain = True
        # Of a body that may be taken as it comes, behind its head; else no length at all.
        self.inline_length = length if length <= SMALL else NOT_INLINE
        self.endpoint: Endpoint = _nowhere
        self.params = NO_PARAMS
        self.meaning: object = None

    def unlike(self, http_version: str, *, keep_alive: bool) -> Head:
        """Set what is not as in most requests, and return itself."""
        self.http_version = http_version
        self.keep_alive = keep_alive
        expect = self.headers.get(b"expect")
        self.expects_continue = (
            expect is not None and expect.lower() == b"100-continue" and http_version != "1.0"
        )
        self.plain = keep_alive and http_version == "1.1" and self.method != "HEAD"
        if self.expects_continue or not self.plain:
            self.inline_length = NOT_INLINE
        return self

    @property
    def path(self) -> str:
        """The path without its query, percent-decoded; bytes that are no UTF-8 become U+FFFD."""
        return percent_decoded(self.raw_path)


def _nowhere(exchange: Exchange) -> None:
    raise AssertionError(f"nobody has looked for the endpoint of {exchange!r}")


def parse_head(head: bytes) -> Head:
    """Parse one complete head, its empty line included. Raises BadHeadError."""
    return _parse_plain(head) or parse_any_head(head)


def _parse_plain(head: bytes) -> Head | None:
    """Parse what leaves no question open, as nearly every head does; None for any other.

    Of the hundred ways to write a head this takes one: known methods, HTTP/1.1, printable ASCII,
    no field twice, none that changes how the message is to be read. The gain is not the time of
    the parser but its way through the caches: the others' work is a good deal faster without it.
    """
    lines = head.split(_CRLF)
    if head.translate(None, _PRINTABLE) != _CRLF * (len(lines) - 1):
        return None
    try:
        name, target, version = lines[0].split(b" ")
        pairs = [line.split(b": ", 1) for line in lines[1:-2]]
        headers = {_NAMES[name]: value for name, value in pairs}
    except ValueError:  # a part is missing, or one too many
        return None
    method, length = _METHODS.get(name), headers.get(b"content-length", b"0")
    if (
        method is None
        or version != b"HTTP/1.1"
        or target[:1] != b"/"
        or len(headers) != len(pairs)  # a field came twice
        or _SPECIAL in headers
        or b":  " in head  # values have no blanks around them
        or b" \r\n" in head
        or not length.isdigit()
        or len(length) > MAX_LENGTH_DIGITS
    ):
        return None
    raw_path, _, query = target.partition(b"?")
    return Head(method, raw_path, query, headers, int(length))


class _Names(dict[bytes, bytes]):
    """Names of fields in lower case, by how they are written.

    Those that say how the message or the connection is to be read, and what is no name at all,
    are _SPECIAL.
    """

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if lower in _READ_OTHERWISE or not _TOKEN.fullmatch(name):
            lower = _SPECIAL
        if len(self) < MAX_NAMES:
            self[name] = lower
        return lower


_NAMES = _Names()
_SPECIAL = b""
_READ_OTHERWISE = frozenset((b"transfer-encoding", b"connection", b"upgrade", b"expect"))
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parse_any_head(head: bytes) -> Head:
    """Parse a head with llhttp, which knows all the ways. Raises BadHeadError."""
    if not head.isascii():
        head = _with_ascii_target(head)
    headers = _parse_fields(head)
    parts = head[: head.index(_CRLF)].split()
    version = _VERSIONS.get(parts[-1])
    if version is None:
        raise BadHeadError(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    if len(parts) != 3 or parts[0] == b"CONNECT":  # noqa: PLR2004 - method, target, version
        raise BadHeadError(400, "bad request line")
    raw_path, _, query = _origin_form(parts[1]).partition(b"?")
    kept = version == "1.1" if b"connection" not in headers else _is_kept_alive(head)
    method, length = str(parts[0], "ascii"), _body_length(headers)
    return Head(method, raw_path, query, headers, length).unlike(version, keep_alive=kept)


def parse_trailers(block: bytes) -> Headers:
    """Parse the lines after the last chunk, their empty line included. Raises BadHeadError."""
    return _parse_fields(_TRAILERS_AS_A_HEAD + block)


def _parse_fields(head: bytes) -> Headers:
    fields: dict[bytes, bytes] = {}
    _feed(HttpRequestParser(_Fields(fields.setdefault)), head)
    return {name.lower(): value for name, value in reversed(fields.items())}


class _Fields:
    """What llhttp calls back. Request line and body length need no callback of their own.

    The parser asks for each: to be found with None is quicker than not to be found.
    """

    __slots__ = ("on_header",)

    on_body = on_chunk_complete = on_chunk_header = on_headers_complete = None
    on_message_begin = on_message_complete = on_url = None

    def __init__(self, on_header: Callable[[bytes, bytes], object]) -> None:
        # A dict's own method, not one of ours: it is called for every field there is.
        self.on_header = on_header


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
