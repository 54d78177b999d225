"""The Runtime API, version 2018-06-01, of one execution environment.

Each environment has a listener of its own: which one is called says which one calls.
Endpoints are plain functions of an exchange, called as soon as its head is here. Bodies are
opaque bytes of any content type. Sources: Runtime API reference; statuses, bodies and state
rules as the official emulator's; headers as the official clients read them.
"""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import TYPE_CHECKING

from rie.apis import error_body
from rie.apis.errors import runtime_api_error
from rie.core.error_type import filtered
from rie.core.errors import (
    InvalidFunctionResponseMode,
    RequestEntityTooLarge,
    RuntimeApiError,
    TruncatedHTTPRequest,
)
from rie.core.events import PostKind
from rie.core.invocation import JSON, Failure, Invocation, Success
from rie.core.limits import MAX_RESPONSE_PAYLOAD
from rie.http.body import BodyError, TooLarge, Truncated
from rie.http.exchange import Exchange
from rie.http.message import Response, checked, header_lines
from rie.http.recent_heads import Finder
from rie.http.routing import Route, Router

if TYPE_CHECKING:
    from rie.worker.driver import EnvironmentDriver

_ACCEPTED = Response(202, b'{"status":"OK"}\n', content_type=JSON)
_PONG = Response(200, b"pong", content_type=b"text/plain; charset=utf-8")

_ERROR_TYPE = b"lambda-runtime-function-error-type"
_ERROR_BODY = b"lambda-runtime-function-error-body"
_RESPONSE_MODE = b"lambda-runtime-function-response-mode"
_INVOCATION_ID = b"lambda-runtime-invocation-id"


def runtime_api(driver: EnvironmentDriver, *, forward_content_type: bool = False) -> Finder:
    """Make the Runtime API of one environment."""
    root = "/2018-06-01"
    post = f"{root}/runtime/invocation/{{id}}"
    response, error = _Post(driver, "response"), _Post(driver, "error")
    routes = Router(
        (
            Route(
                "GET",
                f"{root}/runtime/invocation/next",
                partial(_next, driver, forward_content_type),
            ),
            Route("POST", f"{post}/response", response.take),
            Route("POST", f"{post}/error", error.take),
            Route("POST", f"{root}/runtime/init/error", partial(_init_error, driver)),
            Route("GET", f"{root}/ping", _ping),
        )
    )
    return routes.find


class ParkedPoll:
    """A GET /next that waits for an invocation."""

    __slots__ = ("_driver", "_exchange", "_forward_content_type")

    def __init__(
        self,
        driver: EnvironmentDriver,
        exchange: Exchange,
        forward_content_type: bool,  # noqa: FBT001 - one is made for each invocation
    ) -> None:
        self._driver = driver
        self._exchange = exchange
        self._forward_content_type = forward_content_type

    def send(self, invocation: Invocation, deadline_ms: int) -> None:
        """Answer it. A poller that is gone by now asks again and is given the same event."""
        # Without a content type the official Python and Node clients die of SIGSEGV; with
        # another than JSON the Python one hands its handler raw bytes.
        content_type = invocation.content_type if self._forward_content_type else JSON
        headers = next_headers(invocation, deadline_ms)
        self._exchange.respond(Response(200, invocation.payload, headers, content_type))

    def abandoned(self, exchange: Exchange) -> None:  # noqa: ARG002 - it is this poll's own
        """Note that the poller hung up."""
        self._driver.abandon(self)


def next_headers(invocation: Invocation, deadline_ms: int) -> bytes:
    """Put together the headers of a /next; what is empty is left out."""
    lines = checked(
        f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {invocation.arn}\r\n"
        f"Lambda-Runtime-Invocation-Id: {invocation.invocation_id}\r\n"
        f"Lambda-Runtime-Trace-Id: {invocation.tracing.value}\r\n".encode("latin-1"),
        5,
    )
    if invocation.client_context or invocation.cognito_identity or invocation.tenant_id:
        lines += _caller_headers(invocation)
    return lines


def _caller_headers(invocation: Invocation) -> bytes:
    pairs = (
        (b"Lambda-Runtime-Client-Context", invocation.client_context),
        (b"Lambda-Runtime-Cognito-Identity", invocation.cognito_identity),
        (b"Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id),
    )
    return header_lines((name, value) for name, value in pairs if value)


def _next(
    driver: EnvironmentDriver,
    forward_content_type: bool,  # noqa: FBT001 - as ParkedPoll
    exchange: Exchange,
) -> None:
    poll = ParkedPoll(driver, exchange, forward_content_type)
    exchange.on_disconnect = poll.abandoned
    try:
        driver.next(poll, exchange.waited)
    except RuntimeApiError as error:
        exchange.respond(runtime_api_error(error))


class _Post:
    """The endpoint of /response or /error."""

    __slots__ = ("_driver", "_kind")

    def __init__(self, driver: EnvironmentDriver, kind: PostKind) -> None:
        self._driver = driver
        self._kind = kind

    def take(self, exchange: Exchange) -> None:
        """Take in a post: whole if it is here, else its head now and its body when that is."""
        head = exchange.head
        headers = head.headers
        echoed = headers.get(_INVOCATION_ID)
        # Only /response has a mode. `buffered` is refused as well: the official emulator does.
        mode = headers.get(_RESPONSE_MODE) if self._kind == "response" else None
        request_id = head.params["id"]
        invocation_id = str(echoed, "latin-1") if echoed else None
        try:
            if exchange.complete and not mode and len(exchange.body) <= MAX_RESPONSE_PAYLOAD:
                outcome = self._outcome(exchange)
                self._driver.answer(exchange, self._kind, request_id, invocation_id, outcome)
                exchange.respond(_ACCEPTED)
                return
            self._driver.begin(exchange, self._kind, request_id, invocation_id)
        except RuntimeApiError as error:
            exchange.respond(runtime_api_error(error))
            return
        if mode and mode != b"streaming":
            self._driver.spoil(exchange, "mode")
            exchange.respond(runtime_api_error(InvalidFunctionResponseMode()))
            return
        exchange.read_body(MAX_RESPONSE_PAYLOAD, self.complete, self.spoiled)

    def complete(self, exchange: Exchange) -> None:
        """Take in the body of a post that was begun."""
        try:
            self._driver.finish(exchange, self._outcome(exchange))
        except RuntimeApiError as error:
            exchange.respond(runtime_api_error(error))
            return
        exchange.respond(_ACCEPTED)

    def _outcome(self, exchange: Exchange) -> Success | Failure:
        headers, body = exchange.head.headers, exchange.body
        if self._kind == "error":
            payload, shown_type = error_body.for_caller(body, headers.get(b"content-type"))
            error_type = _error_type(headers.get(_ERROR_TYPE))
            return Failure(error_type, payload, content_type=shown_type)
        trailers = exchange.trailers
        if trailers and (failed := trailers.get(_ERROR_TYPE)):
            # A runtime that streams says so in trailers when it fails after the first byte.
            document = _decoded(trailers.get(_ERROR_BODY, b""))
            return Failure(_error_type(failed), document)
        return Success(body, headers.get(b"content-type", JSON))

    def spoiled(self, exchange: Exchange, reason: BodyError) -> None:
        """Take in that the body is too large, or did not arrive whole."""
        error = _refusal(reason)
        try:
            self._driver.spoil(exchange, "size" if isinstance(reason, TooLarge) else "truncated")
        except RuntimeApiError as late:
            error = late
        exchange.respond(runtime_api_error(error))


def _init_error(driver: EnvironmentDriver, exchange: Exchange) -> None:
    exchange.read_body(MAX_RESPONSE_PAYLOAD, partial(_init_failed, driver), _init_error_spoiled)


def _init_failed(driver: EnvironmentDriver, exchange: Exchange) -> None:
    headers = exchange.head.headers
    payload, shown_type = error_body.for_caller(exchange.body, headers.get(b"content-type"))
    try:
        driver.fail_init(payload, shown_type, _error_type(headers.get(_ERROR_TYPE)))
    except RuntimeApiError as error:
        exchange.respond(runtime_api_error(error))
        return
    exchange.respond(_ACCEPTED)


def _init_error_spoiled(exchange: Exchange, reason: BodyError) -> None:
    exchange.respond(runtime_api_error(_refusal(reason)))


def _refusal(reason: BodyError) -> RuntimeApiError:
    match reason:
        case TooLarge():
            return RequestEntityTooLarge(MAX_RESPONSE_PAYLOAD)
        case Truncated():
            return TruncatedHTTPRequest()


def _ping(exchange: Exchange) -> None:
    exchange.respond(_PONG)


def _error_type(header: bytes | None) -> str:
    return filtered(header.decode("latin-1") if header else None)


def _decoded(document: bytes) -> bytes:
    """Decode the base64 of an error trailer; what is none is passed on as it is."""
    try:
        return base64.b64decode(document, validate=True)
    except binascii.Error:
        return document
