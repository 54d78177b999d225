"""An answer as bytes: status line, Date, Content-Type, Content-Length, Connection, own headers."""

from __future__ import annotations

from time import gmtime, time
from typing import TYPE_CHECKING

from rie.http.message import header_lines

if TYPE_CHECKING:
    from rie.http.head import Head
    from rie.http.message import Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

NO_CONTENT = 204
NOT_MODIFIED = 304
_BODILESS = frozenset((NO_CONTENT, NOT_MODIFIED))

MAX_OPENINGS = 16  # that are kept; as many as there are kinds of answers
MAX_KEPT = 256  # bytes of a Content-Type: what is longer is not worth its room

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


class Answers:
    """Makes answers; one for a server, for what answers of the same second have in common."""

    __slots__ = ("_date_line", "_openings", "_since", "_until")

    def __init__(self) -> None:
        self._since = self._until = 0.0  # the second that the openings are of
        self._date_line = b""
        self._openings: dict[tuple[int, bytes | None], bytes] = {}

    def whole(self, response: Response) -> bytes:
        """Return an answer, body and all, to HTTP/1.1 on a connection that goes on.

        Raises ValueError when its Content-Type would break out of its line.
        """
        status, body, headers, content_type = response
        opening = None
        if self._since <= time() < self._until:
            opening = self._openings.get((status, content_type))
        if opening is None:
            opening = self._opening(status, content_type)
        if status in _BODILESS:
            return b"%b%b\r\n" % (opening, headers)
        length = b"Content-Length: %d\r\n" % len(body)
        return b"".join((opening, length, headers, b"\r\n", body))

    def head(self, request: Head | None, response: Response, *, keep_alive: bool) -> bytes:
        """Return the head of the answer to `request`, or to what was none. Raises as `whole`."""
        status, body, headers, content_type = response
        length = b"" if status in _BODILESS else b"Content-Length: %d\r\n" % len(body)
        connection = b""
        if not keep_alive:
            connection = b"Connection: close\r\n"
        elif request is not None and request.http_version == "1.0":
            connection = b"Connection: keep-alive\r\n"
        opening = self._opening(status, content_type)
        return b"".join((opening, length, connection, headers, b"\r\n"))

    def _opening(self, status: int, content_type: bytes | None) -> bytes:
        """Return the lines that are the same for most answers of one second."""
        now = time()
        if not self._since <= now < self._until:  # the clock may be set back, too
            second = int(now)
            self._since, self._until = float(second), second + 1.0
            self._date_line = b"Date: %b\r\n" % http_date(second)
            self._openings.clear()
        opening = b"HTTP/1.1 %d %b\r\n%b%b" % (
            status,
            REASONS.get(status, b""),
            self._date_line,
            b"" if content_type is None else header_lines([(b"Content-Type", content_type)]),
        )
        if len(self._openings) < MAX_OPENINGS and len(content_type or b"") <= MAX_KEPT:
            self._openings[status, content_type] = opening
        return opening


def has_body(request: Head | None, response: Response) -> bool:
    """Say whether a body may follow the head of the answer."""
    if response.status in _BODILESS:
        return False
    return request is None or request.method != "HEAD"


def http_date(second: int) -> bytes:
    """Format a time in seconds since the epoch, whatever the locale."""
    year, month, day, hour, minute, sec, weekday, *_ = gmtime(second)
    date = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year}"
    return f"{date} {hour:02}:{minute:02}:{sec:02} GMT".encode("ascii")
