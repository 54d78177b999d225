"""An answer as bytes: status line, Content-Type, Date, Content-Length, Connection, own headers."""

from __future__ import annotations

from time import gmtime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rie.http.message import Request, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

NO_CONTENT = 204
NOT_MODIFIED = 304

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


def has_body(request: Request | None, response: Response) -> bool:
    """Say whether a body may follow the head of the answer."""
    if response.status in {NO_CONTENT, NOT_MODIFIED}:
        return False
    return request is None or request.method != "HEAD"


def answer_head(
    request: Request | None, response: Response, date_line: bytes, *, keep_alive: bool
) -> bytes:
    """Return the head of the answer to `request`, or to what was none.

    Raises ValueError when a header of the response would break out of its line.
    """
    status = response.status
    parts = [b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"")), date_line]
    if response.content_type is not None:
        parts.append(b"Content-Type: %b\r\n" % response.content_type)
    if status not in {NO_CONTENT, NOT_MODIFIED}:
        parts.append(b"Content-Length: %d\r\n" % len(response.body))
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif request is not None and request.http_version == "1.0":
        parts.append(b"Connection: keep-alive\r\n")
    parts += [b"%b: %b\r\n" % header for header in response.headers]
    lines = len(parts)
    parts.append(b"\r\n")
    head = b"".join(parts)
    if head.count(b"\n") != lines + 1 or head.count(b"\r") != lines + 1:
        raise ValueError("CR or LF in a header of the answer")
    return head
