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
from rie.core.invocation import JSON, Invocation
from rie.core.limits import MAX_RESPONSE_PAYLOAD
from rie.core.states import Phase
from rie.http.body import BodyError, TooLarge, Truncated
from rie.http.exchange import Endpoint, Exchange
from rie.http.message import Response
from rie.http.routing import Route, Router

if TYPE_CHECKING:
    from rie.worker.driver import EnvironmentDriver

_ACCEPTED = Response(202, b'{"status":"OK"}\n', content_type=JSON)
_PONG = Response(200, b"pong", content_type=b"text/plain; charset=utf-8")

_ERROR_TYPE = b"lambda-runtime-function-error-type"
_ERROR_BODY = b"lambda-runtime-function-error-body"
_RESPONSE_MODE = b"lambda-runtime-function-response-mode"
_INVOCATION_ID = b"lambda-runtime-invocation-id"


def runtime_api(driver: EnvironmentDriver, *, forward_content_type: bool = False) -> Endpoint:
    """Make the Runtime API of one environment."""
    root = "/2018-06-01"
    post = f"{root}/runtime/invocation/{{id}}"
    return Router(
        (
            Route(
                "GET",
                f"{root}/runtime/invocation/next",
                partial(_next, driver, forward_content_type=forward_content_type),
            ),
            Route("POST", f"{post}/response", partial(_post, driver, "response")),
            Route("POST", f"{post}/error", partial(_post, driver, "error")),
            Route("POST", f"{root}/runtime/init/error", partial(_init_error, driver)),
            Route("GET", f"{root}/ping", _ping),
        )
    )


class ParkedPoll:
    """A GET /next that waits for an invocation."""

    __slots__ = ("_exchange", "_forward_content_type")

    def __init__(self, exchange: Exchange, *, forward_content_type: bool) -> None:
        self._exchange = exchange
        self._forward_content_type = forward_content_type

    def send(self, invocation: Invocation, deadline_ms: int) -> None:
        """Answer it. A poller that is gone by now asks again and is given the same event."""
        self._exchange.on_disconnect = None
        # Without a content type the official Python and Node clients die of SIGSEGV; with
        # another than JSON the Python one hands its handler raw bytes.
        content_type = invocation.content_type if self._forward_content_type else JSON
        headers = next_headers(invocation, deadline_ms)
        self._exchange.respond(Response(200, invocation.payload, headers, content_type))


def next_headers(invocation: Invocation, deadline_ms: int) -> list[tuple[bytes, bytes]]:
    """Put together the headers of a /next; what is empty is left out."""
    headers = [
        (b"Lambda-Runtime-Aws-Request-Id", invocation.request_id.encode()),
        (b"Lambda-Runtime-Deadline-Ms", b"%d" % deadline_ms),
        (b"Lambda-Runtime-Invoked-Function-Arn", invocation.arn.encode()),
        (b"Lambda-Runtime-Invocation-Id", invocation.invocation_id.encode()),
    ]
    if invocation.tracing is not None:
        headers.append((b"Lambda-Runtime-Trace-Id", invocation.tracing.value.encode("latin-1")))
    if invocation.client_context:
        headers.append((b"Lambda-Runtime-Client-Context", invocation.client_context))
    if invocation.cognito_identity:
        headers.append((b"Lambda-Runtime-Cognito-Identity", invocation.cognito_identity))
    if invocation.tenant_id:
        headers.append((b"Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id))
    return headers


def _next(driver: EnvironmentDriver, exchange: Exchange, *, forward_content_type: bool) -> None:
    poll = ParkedPoll(exchange, forward_content_type=forward_content_type)
    exchange.on_disconnect = lambda _: driver.abandon(poll)
    try:
        # A first /next may have come while this program was still starting.
        driver.next(poll, exchange.waited() if driver.phase is Phase.INIT else 0.0)
    except RuntimeApiError as error:
        exchange.on_disconnect = None
        exchange.respond(runtime_api_error(error))


def _post(driver: EnvironmentDriver, kind: PostKind, exchange: Exchange) -> None:
    """Take in a /response or /error: its head now, its body when it is complete."""
    headers = exchange.request.headers
    invocation_id = headers.get(_INVOCATION_ID)
    try:
        driver.begin(
            exchange,
            kind,
            exchange.params["id"],
            invocation_id.decode("latin-1") if invocation_id else None,
        )
    except RuntimeApiError as error:
        exchange.respond(runtime_api_error(error))
        return
    # Only /response has a mode. `buffered` is refused as well: the official emulator does.
    if kind == "response" and headers.get(_RESPONSE_MODE) not in {None, b"", b"streaming"}:
        driver.spoil(exchange, "mode")
        exchange.respond(runtime_api_error(InvalidFunctionResponseMode()))
        return
    exchange.read_body(
        MAX_RESPONSE_PAYLOAD, partial(_posted, driver, kind), partial(_spoiled, driver)
    )


def _posted(driver: EnvironmentDriver, kind: PostKind, exchange: Exchange) -> None:
    request = exchange.request
    content_type = request.headers.get(b"content-type")
    try:
        if kind == "error":
            payload, shown_type = error_body.for_caller(request.body, content_type)
            error_type = _error_type(request.headers.get(_ERROR_TYPE))
            driver.fail(exchange, payload, shown_type, error_type)
        elif failed := request.trailers.get(_ERROR_TYPE):
            # A runtime that streams says so in trailers when it fails after the first byte.
            document = _decoded(request.trailers.get(_ERROR_BODY) or b"")
            driver.fail(exchange, document, JSON, _error_type(failed))
        else:
            driver.respond(exchange, request.body, content_type or JSON)
    except RuntimeApiError as error:
        exchange.respond(runtime_api_error(error))
        return
    exchange.respond(_ACCEPTED)


def _spoiled(driver: EnvironmentDriver, exchange: Exchange, reason: BodyError) -> None:
    error = _refusal(reason)
    try:
        driver.spoil(exchange, "size" if isinstance(reason, TooLarge) else "truncated")
    except RuntimeApiError as late:
        error = late
    exchange.respond(runtime_api_error(error))


def _init_error(driver: EnvironmentDriver, exchange: Exchange) -> None:
    exchange.read_body(MAX_RESPONSE_PAYLOAD, partial(_init_failed, driver), _init_error_spoiled)


def _init_failed(driver: EnvironmentDriver, exchange: Exchange) -> None:
    request = exchange.request
    payload, shown_type = error_body.for_caller(request.body, request.headers.get(b"content-type"))
    try:
        driver.fail_init(payload, shown_type, _error_type(request.headers.get(_ERROR_TYPE)))
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
