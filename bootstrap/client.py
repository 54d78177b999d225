"""The Runtime API, version 2018-06-01, from the runtime's side.

Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes". The connection
is wire.py's; what to do about a refusal is the caller's decision, loop.py's for handlers.
"""

from __future__ import annotations

import os
import sys

from bootstrap import marshal
from bootstrap.errors import UNKNOWN, ErrorReport, RuntimeApiError
from bootstrap.wire import Connection, Reply, header_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

ADDRESS_VARIABLE = "AWS_LAMBDA_RUNTIME_API"
ROOT = "/2018-06-01/runtime/"
MAX_CAUSE = 1_048_576  # bytes; a longer X-Ray cause is left out, as the official client does
UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


class Invocation:
    """One event with its metadata, as /next gave it.

    `body` is the event's bytes, not parsed; `headers` has the reply's, names in lower case. What
    the reply did not say is None, the deadline (milliseconds since the epoch) 0.
    """

    __slots__ = ("body", "headers", "request_id")

    def __init__(self, headers: dict[str, str], body: bytes | bytearray) -> None:
        self.headers = headers
        self.body = body
        self.request_id = headers.get("lambda-runtime-aws-request-id", "")

    @property
    def content_type(self) -> str | None:
        """The event's media type."""
        return self.headers.get("content-type")

    @property
    def deadline_ms(self) -> int:
        """When the function is stopped, in milliseconds since the epoch; 0 if not said."""
        given = self.headers.get("lambda-runtime-deadline-ms", "")
        return int(given) if given.isdecimal() else 0

    @property
    def function_arn(self) -> str | None:
        """The ARN that was invoked: an alias or a version has its own."""
        return self.headers.get("lambda-runtime-invoked-function-arn")

    @property
    def trace_id(self) -> str | None:
        """What X-Ray goes by."""
        return self.headers.get("lambda-runtime-trace-id")

    @property
    def client_context(self) -> str | None:
        """The caller's ClientContext, as JSON."""
        return self.headers.get("lambda-runtime-client-context")

    @property
    def cognito_identity(self) -> str | None:
        """The caller's identity, as JSON."""
        return self.headers.get("lambda-runtime-cognito-identity")

    @property
    def tenant_id(self) -> str | None:
        """Whose call it is, for functions that keep tenants apart."""
        return self.headers.get("lambda-runtime-aws-tenant-id")

    @property
    def invocation_id(self) -> str | None:
        """A nonce that goes back with the answer, so that a late one cannot meet a retry."""
        return self.headers.get("lambda-runtime-invocation-id")


class RuntimeClient:
    """The calls that a runtime makes, over one connection.

    Each raises RuntimeApiError when the API refuses, OSError when it cannot be reached,
    wire.MalformedReply when what answers does not speak HTTP.
    """

    def __init__(self, address: str | None = None) -> None:
        """Take `host:port`, by default from AWS_LAMBDA_RUNTIME_API; a path may follow.

        Nothing is sent yet. Raises ValueError for an address of another shape, KeyError where
        there is none.
        """
        given = os.environ[ADDRESS_VARIABLE] if address is None else address
        host, port, self._prefix = _parse_address(given)
        self._connection = Connection(host, port)
        version = ".".join(map(str, sys.version_info[:3]))
        self._common = b" HTTP/1.1\r\nHost: %b\r\nUser-Agent: rie-bootstrap-python/%b\r\n" % (
            given.partition("/")[0].encode(),
            version.encode(),
        )
        self._next = self._line("GET", ROOT + "invocation/next") + self._common + b"\r\n"

    def next(self) -> Invocation:
        """Wait for the next invocation, for as long as it takes."""
        # Repeatable: while an invocation is not answered, /next gives the same one again.
        reply = self._connection.exchange(self._next, repeatable=True)
        invocation = Invocation(reply.headers, reply.body)
        if reply.status != 200 or not invocation.request_id:  # noqa: PLR2004
            self._refuse(ROOT + "invocation/next", reply)
        return invocation

    def respond(
        self, invocation: Invocation, body: bytes | str, content_type: str = marshal.JSON
    ) -> None:
        """Answer `invocation` with `body`."""
        data = body.encode() if isinstance(body, str) else body
        self._answer(invocation, "/response", data, b"", content_type)

    def fail(self, invocation: Invocation, error: BaseException | ErrorReport) -> None:
        """Answer `invocation` with an error."""
        report = ErrorReport(error) if isinstance(error, BaseException) else error
        cause = marshal.dumps(report.as_xray_cause())
        line = b"Lambda-Runtime-Function-XRay-Error-Cause: %b\r\n" % cause
        extra = line if len(cause) < MAX_CAUSE else b""
        body = marshal.dumps(report.as_dict(invocation.request_id))
        self._answer(invocation, "/error", body, extra, marshal.JSON)

    def init_error(self, error: BaseException | ErrorReport) -> None:
        """Say that the function could not be started; the process is expected to exit."""
        report = ErrorReport(error) if isinstance(error, BaseException) else error
        # AWS takes Category.Reason here and makes anything else Runtime.Unknown.
        reason = report.error_type if report.is_fault else UNKNOWN
        extra = b"Lambda-Runtime-Function-Error-Type: %b\r\n" % header_value(reason)
        self._post(ROOT + "init/error", marshal.dumps(report.as_dict()), extra, marshal.JSON)

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._connection.close()

    def _answer(
        self, invocation: Invocation, verb: str, body: bytes, extra: bytes, content_type: str
    ) -> None:
        path = f"{ROOT}invocation/{_quote(invocation.request_id)}{verb}"
        nonce = invocation.invocation_id
        if nonce is not None:
            extra += b"Lambda-Runtime-Invocation-Id: %b\r\n" % header_value(nonce)
        self._post(path, body, extra, content_type)

    def _post(self, path: str, body: bytes, extra: bytes, content_type: str) -> None:
        head = b"%b%bContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (
            self._line("POST", path),
            self._common,
            header_value(content_type),
            len(body),
            extra,
        )
        reply = self._connection.exchange(head, body)
        if not 200 <= reply.status < 300:  # noqa: PLR2004
            self._refuse(path, reply)

    def _line(self, method: str, path: str) -> bytes:
        return f"{method} {self._prefix}{path}".encode()

    def _refuse(self, path: str, reply: Reply) -> NoReturn:
        raise RuntimeApiError(path, reply.status, reply.body)


def _parse_address(address: str) -> tuple[str, int, str]:
    """Split `host:port`, `[ipv6]:port` or `host:port/prefix` into host, port and prefix."""
    authority, slash, prefix = address.partition("/")
    host, _, port = authority.rpartition(":")
    if not (host and address.isascii() and address.isprintable() and port.isdecimal()):
        raise ValueError(f"{ADDRESS_VARIABLE} must be host:port, not {address!r}")
    return host.strip("[]"), int(port), (slash + prefix).rstrip("/").replace(" ", "%20")


def _quote(request_id: str) -> str:
    """Percent-encode everything that could end the path or mean something in it."""
    raw = request_id.encode("utf-8", "surrogateescape")
    if not raw.translate(None, UNRESERVED):
        return request_id
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in raw)
