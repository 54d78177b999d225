"""An HTTP client that hides nothing: what goes over the wire is the test's to spell out.

Blocking; whatever is waited for must come within LIMIT seconds.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

LIMIT = 30.0

Headers = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Response:
    """A status, the header lines as they came, and the body."""

    version: str
    status: int
    lines: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, UTF-8 decoded; None without it."""
        found = [value for each, value in self.lines if each.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    def json(self) -> object:
        return json.loads(self.body)

    def fields(self) -> dict[str, object]:
        document = self.json()
        assert isinstance(document, dict), document
        return document


class Connection:
    """One connection to `address` (host:port)."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self.socket.close()

    def finish_sending(self) -> None:
        """Send an end of file, and still listen."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_response(self) -> Response:
        """Read one response, be it a 100."""
        version, status, *_ = self._line().split(" ", 2)
        lines = tuple(self._header_lines())
        length = next((int(v) for k, v in lines if k.lower() == "content-length"), 0)
        body = self._file.read(length)
        assert len(body) == length, f"{len(body)} of {length} bytes came"
        return Response(version, int(status), lines, body)

    def ask(self, data: bytes) -> Response:
        """Send a request; read its response."""
        self.send(data)
        return self.read_response()

    def is_ended(self) -> bool:
        """Wait for one more byte: True when the other side hangs up instead."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def _line(self) -> str:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(f"the connection ended where a line was due: {line!r}")
        return line[:-2].decode()

    def _header_lines(self) -> Iterable[tuple[str, str]]:
        while line := self._line():
            name, _, value = line.partition(":")
            yield name, value.strip()


def request(
    method: str, path: str, body: bytes | None = None, headers: Headers = (), version: str = "1.1"
) -> bytes:
    """Spell a request, its body of known length."""
    fields: Headers = headers if body is None else (*headers, ("Content-Length", f"{len(body)}"))
    return head(method, path, fields, version) + (body or b"")


def head(method: str, path: str, headers: Headers = (), version: str = "1.1") -> bytes:
    """Spell a request's head; header values may be raw bytes."""
    lines = [f"{method} {path} HTTP/{version}".encode(), b"Host: rie"]
    for name, value in headers:
        raw = value if isinstance(value, bytes) else value.encode()
        lines.append(name.encode() + b": " + raw)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunks(*pieces: bytes, trailers: Headers = ()) -> bytes:
    """Spell a chunked body, its last chunk and its trailers."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    ends = [f"{name}: ".encode() + _raw(value) + b"\r\n" for name, value in trailers]
    return body + b"0\r\n" + b"".join(ends) + b"\r\n"


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
