"""An answer as bytes: status line, Content-Type, Date, Content-Length, Connection, own headers."""

from __future__ import annotations

from functools import lru_cache
from time import gmtime, time
from typing import TYPE_CHECKING

from rie.http.buffers import SMALL

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Sequence

    from rie.http.message import Request, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

NO_CONTENT = 204
NOT_MODIFIED = 304
_BODILESS = frozenset((NO_CONTENT, NOT_MODIFIED))

MAX_CACHED = 256  # bytes of a Content-Type: what is longer is not worth its room

# Not http.HTTPStatus: its import is a part of every start.
REASONS = {
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    204: b"No Content",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    422: b"Unprocessable Content",
    424: b"Failed Dependency",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
}

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Clock:
    """The Date header, written once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def date_line(self) -> bytes:
        """Return `Date: ...` of now, with its CRLF."""
        second = int(time())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % http_date(second)
        return self._line


def http_date(second: int) -> bytes:
    """Format a time in seconds since the epoch, whatever the locale."""
    year, month, day, hour, minute, sec, weekday, *_ = gmtime(second)
    date = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year}"
    return f"{date} {hour:02}:{minute:02}:{sec:02} GMT".encode("ascii")


class Answers:
    """Writes the answers of one connection."""

    __slots__ = ("_clock", "_gathers", "_transport")

    def __init__(self, transport: Transport, clock: Clock, *, gathers: bool) -> None:
        self._transport = transport
        self._clock = clock
        self._gathers = gathers  # whether writelines() is one call of the kernel, without a copy

    def send(self, request: Request | None, response: Response, *, keep_alive: bool) -> None:
        """Write the answer to `request`, or to what was none. Raises ValueError, as answer_head."""
        head = answer_head(request, response, self._clock.date_line(), keep_alive=keep_alive)
        body = response.body
        if not body or not has_body(request, response):
            self._transport.write(head)
        elif len(body) < SMALL:
            self._transport.write(head + body)
        elif self._gathers:
            self._transport.writelines((head, body))
        else:
            self._transport.write(head)
            self._transport.write(body)


def has_body(request: Request | None, response: Response) -> bool:
    """Say whether a body may follow the head of the answer."""
    if response.status in _BODILESS:
        return False
    return request is None or request.method != "HEAD"


def answer_head(
    request: Request | None, response: Response, date_line: bytes, *, keep_alive: bool
) -> bytes:
    """Return the head of the answer to `request`, or to what was none.

    Raises ValueError when a header of the response would break out of its line.
    """
    status, content_type = response.status, response.content_type
    cached = content_type is None or len(content_type) <= MAX_CACHED
    opening = (_opening if cached else _opening.__wrapped__)(status, date_line, content_type)
    length = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % len(response.body)
    connection = b""
    if not keep_alive:
        connection = b"Connection: close\r\n"
    elif request is not None and request.http_version == "1.0":
        connection = b"Connection: keep-alive\r\n"
    return b"".join((opening, length, connection, _lines(response.headers), b"\r\n"))


@lru_cache(maxsize=16)
def _opening(status: int, date_line: bytes, content_type: bytes | None) -> bytes:
    """Return the lines that are the same for most answers of one second."""
    typed = () if content_type is None else ((b"Content-Type", content_type),)
    return b"HTTP/1.1 %d %b\r\n%b%b" % (
        status,
        REASONS.get(status, b""),
        date_line,
        _lines(typed),
    )


def _lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    if not headers:
        return b""
    lines = b"\r\n".join([b": ".join(header) for header in headers])
    ends = len(headers) - 1
    if lines.count(b"\n") != ends or lines.count(b"\r") != ends:
        raise ValueError("CR or LF in a header of the answer")
    return lines + b"\r\n"
