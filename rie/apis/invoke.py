"""The Invoke API: POST /2015-03-31/functions/{name-or-arn[:qualifier]}/invocations.

For boto3 and the AWS CLI with --endpoint-url (signatures are not checked), and for curl.
Sources: API reference, Invoke; statuses, headers and bodies as recorded from AWS.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qs

import orjson

from rie.apis import json_text
from rie.apis.errors import service_error
from rie.core.arn import parse_reference
from rie.core.errors import (
    InvalidParameterValueException,
    InvalidRequestContentException,
    RequestTooLargeException,
    ServiceError,
)
from rie.core.invocation import (
    Failure,
    Invocation,
    InvocationType,
    Outcome,
    Payload,
    Refused,
)
from rie.core.limits import MAX_CLIENT_CONTEXT, MAX_EVENT_PAYLOAD, MAX_REQUEST_PAYLOAD
from rie.http.body import BodyError, TooLarge
from rie.http.exchange import Exchange
from rie.http.message import Response, checked, header_lines
from rie.http.recent_heads import Finder
from rie.http.routing import Route, Router
from rie.invoker import Ids, Invoker, Target, new_ids, tracing

_JSON = b"application/json"
_TYPES: dict[bytes, InvocationType] = {
    b"RequestResponse": "RequestResponse",
    b"Event": "Event",
    b"DryRun": "DryRun",
}
_LOG_TYPES = {b"None": False, b"Tail": True}
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def invoke_api(invoker: Invoker) -> Finder:
    """Make the Invoke API."""
    path = "/2015-03-31/functions/{name}/invocations"
    routes = Router(
        (
            Route("POST", path, partial(_invoke, invoker)),
            Route("GET", "/ping", _ping),
        )
    )
    return routes.find


class _Order(NamedTuple):
    """What the head of a call says: which function, and how it is to be run."""

    target: Target
    type: InvocationType
    log_tail: bool
    limit: int  # of the payload, in bytes
    content_type: bytes
    trace_header: bytes | None
    client_context: bytes | None
    tenant_id: bytes | None


def _invoke(invoker: Invoker, exchange: Exchange) -> None:
    ids = new_ids()
    head = exchange.head
    order = head.meaning
    if not isinstance(order, _Order):
        try:
            order = head.meaning = _read(invoker, exchange)
        except ServiceError as error:
            exchange.respond(service_error(error, ids.request_id))
            return
    call = _Call(invoker, exchange, order, ids)
    exchange.read_body(order.limit, call.run, call.spoiled)


def _read(invoker: Invoker, exchange: Exchange) -> _Order:
    """Read the head of a call. Raises ServiceError."""
    head = exchange.head
    headers = head.headers
    qualifier = _qualifier(head.query) if head.query else None
    target = invoker.resolve(parse_reference(exchange.head.params["name"], qualifier))
    kind = _type(headers.get(b"x-amz-invocation-type"))
    wants_tail = _wants_tail(headers.get(b"x-amz-log-type"))
    return _Order(
        target,
        kind,
        # "applies to synchronously invoked functions only" - API reference
        log_tail=wants_tail and kind == "RequestResponse",
        limit=MAX_EVENT_PAYLOAD if kind == "Event" else MAX_REQUEST_PAYLOAD,
        content_type=headers.get(b"content-type") or _JSON,
        trace_header=headers.get(b"x-amzn-trace-id"),
        client_context=headers.get(b"x-amz-client-context"),
        tenant_id=headers.get(b"x-amz-tenant-id"),
    )


class _Call:
    """One call of the Invoke API, from its head to its answer."""

    __slots__ = ("_exchange", "_ids", "_invocation", "_invoker", "_order")

    def __init__(self, invoker: Invoker, exchange: Exchange, order: _Order, ids: Ids) -> None:
        self._invoker = invoker
        self._exchange = exchange
        self._order = order
        self._ids = ids

    def run(self, exchange: Exchange) -> None:
        """Take in the body and run the function."""
        ids, order = self._ids, self._order
        payload = exchange.body or b"{}"
        try:
            _check_json(payload)
            context = order.client_context and _client_context(order.client_context)
        except ServiceError as error:
            exchange.respond(service_error(error, ids.request_id))
            return
        self._invocation = invocation = Invocation(
            ids.request_id,
            ids.invocation_id,
            payload,
            order.target.arn,
            order.target.version,
            tracing(order.trace_header, ids),
            order.content_type,
            context,
            None,
            order.tenant_id,
            order.type,
            order.log_tail,
        )
        match order.type:
            case "RequestResponse":
                self._invoker.run(invocation, self.answer)
            case "Event":
                exchange.respond(Response(202, headers=_identity(invocation)))
                self._invoker.run(invocation, _nobody)
            case "DryRun":
                exchange.respond(Response(204, headers=_identity(invocation)))

    def spoiled(self, exchange: Exchange, reason: BodyError) -> None:
        """Refuse a body that is too large or did not arrive whole."""
        error: ServiceError
        if isinstance(reason, TooLarge):
            error = RequestTooLargeException(self._order.limit)
        else:
            error = InvalidRequestContentException(
                f"Could not parse request body into json: the request ended early, {reason.reason}"
            )
        exchange.respond(service_error(error, self._ids.request_id))

    def answer(self, outcome: Outcome, tail: bytes | None) -> None:
        """Tell the caller what came of it."""
        exchange = self._exchange
        if exchange.answered:  # by a 500, for a defect of ours
            return
        if isinstance(outcome, Refused):
            exchange.respond(service_error(outcome.error, self._ids.request_id))
            return
        invocation = self._invocation
        headers = b"%bX-Amz-Executed-Version: %b\r\n" % (
            _identity(invocation),
            invocation.version.encode(),
        )
        if isinstance(outcome, Failure):
            # Every failure is Unhandled, whatever type the runtime gave it.
            headers += b"X-Amz-Function-Error: Unhandled\r\n"
        if tail is not None:
            headers += header_lines([(b"X-Amz-Log-Result", base64.b64encode(tail))])
        exchange.respond(Response(200, outcome.payload, headers, outcome.content_type))


def _identity(invocation: Invocation) -> bytes:
    lines = (
        f"X-Amzn-RequestId: {invocation.request_id}\r\n"
        f"X-Amzn-Trace-Id: {invocation.tracing.value}\r\n"
    )
    return checked(lines.encode("latin-1"), 2)


def _type(header: bytes | None) -> InvocationType:
    if header is None:
        return "RequestResponse"
    try:
        return _TYPES[header]
    except KeyError:
        raise _invalid("invocationType", header, _TYPES) from None


def _wants_tail(header: bytes | None) -> bool:
    if header is None:
        return False
    try:
        return _LOG_TYPES[header]
    except KeyError:
        raise _invalid("logType", header, _LOG_TYPES) from None


def _qualifier(query: bytes) -> str | None:
    values = parse_qs(query.decode("latin-1")).get("Qualifier")
    return values[0] if values else None


def _check_json(payload: Payload) -> None:
    """Raise InvalidRequestContentException unless the payload is one JSON text."""
    try:
        json_text.check(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestContentException(
            f"Could not parse request body into json: Could not parse payload into json: {error}"
        ) from None


def _client_context(header: bytes) -> bytes | None:
    if not header:
        return None
    if len(header) > MAX_CLIENT_CONTEXT:
        raise InvalidRequestContentException(
            f"Client context must be at most {MAX_CLIENT_CONTEXT} bytes of base64, "
            f"these are {len(header)}"
        )
    try:
        context = base64.b64decode(header, validate=True)
        orjson.loads(context)
    except (binascii.Error, orjson.JSONDecodeError):
        raise InvalidRequestContentException(
            "Client context must be a valid Base64-encoded JSON object."
        ) from None
    # It goes on in a header, which is one line; within JSON's strings no line can end.
    return context.translate(_ONE_LINE)


def _invalid(name: str, value: bytes, allowed: Iterable[bytes]) -> InvalidParameterValueException:
    choice = ", ".join(sorted(each.decode() for each in allowed))
    return InvalidParameterValueException(
        f"Value '{value.decode('latin-1')}' at '{name}' failed to satisfy constraint: "
        f"Member must satisfy enum value set: [{choice}]"
    )


def _nobody(outcome: Outcome, tail: bytes | None) -> None:
    """Hear the outcome of an invocation that nobody waits for."""


def _ping(exchange: Exchange) -> None:
    exchange.respond(Response(200, b"pong", content_type=b"text/plain; charset=utf-8"))
