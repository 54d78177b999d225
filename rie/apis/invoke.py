"""The Invoke API: POST /2015-03-31/functions/{name-or-arn[:qualifier]}/invocations.

For boto3 and the AWS CLI with --endpoint-url (signatures are not checked), and for curl.
Sources: API reference, Invoke; statuses, headers and bodies as recorded from AWS.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from functools import partial
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
from rie.http.exchange import Endpoint, Exchange
from rie.http.message import Response
from rie.http.routing import Route, Router
from rie.invoker import Invoker, new_id, new_nonce, tracing

_JSON = b"application/json"
_TYPES: dict[bytes, InvocationType] = {
    b"RequestResponse": "RequestResponse",
    b"Event": "Event",
    b"DryRun": "DryRun",
}
_LOG_TYPES = {b"None": False, b"Tail": True}
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def invoke_api(invoker: Invoker) -> Endpoint:
    """Make the Invoke API."""
    path = "/2015-03-31/functions/{name}/invocations"
    return Router(
        (
            Route("POST", path, partial(_invoke, invoker)),
            Route("GET", "/ping", _ping),
        )
    )


def _invoke(invoker: Invoker, exchange: Exchange) -> None:
    request_id = new_id()
    try:
        call = _Call(invoker, exchange, request_id)
    except ServiceError as error:
        exchange.respond(service_error(error, request_id))
        return
    exchange.read_body(call.limit, call.run, call.spoiled)


class _Call:
    """One call of the Invoke API, from its head to its answer."""

    __slots__ = ("_headers", "_invoker", "_log_tail", "_request_id", "_target", "_type", "limit")

    def __init__(self, invoker: Invoker, exchange: Exchange, request_id: str) -> None:
        """Read the head of `exchange`. Raises ServiceError."""
        request = exchange.request
        headers = self._headers = request.headers
        qualifier = _qualifier(request.query) if request.query else None
        self._invoker = invoker
        self._target = invoker.resolve(parse_reference(exchange.params["name"], qualifier))
        self._request_id = request_id
        self._type = _type(headers.get(b"x-amz-invocation-type"))
        wants_tail = _wants_tail(headers.get(b"x-amz-log-type"))
        # "applies to synchronously invoked functions only" - API reference
        self._log_tail = wants_tail and self._type == "RequestResponse"
        self.limit = MAX_EVENT_PAYLOAD if self._type == "Event" else MAX_REQUEST_PAYLOAD

    def run(self, exchange: Exchange) -> None:
        """Take in the body and run the function."""
        try:
            invocation = self._invocation(exchange.request.body or b"{}")
        except ServiceError as error:
            exchange.respond(service_error(error, self._request_id))
            return
        match self._type:
            case "DryRun":
                exchange.respond(Response(204, headers=self._identity(invocation)))
            case "Event":
                exchange.respond(Response(202, headers=self._identity(invocation)))
                self._invoker.run(invocation, _nobody)
            case "RequestResponse":
                self._invoker.run(invocation, partial(self._answer, exchange, invocation))

    def spoiled(self, exchange: Exchange, reason: BodyError) -> None:
        """Refuse a body that is too large or did not arrive whole."""
        error: ServiceError
        if isinstance(reason, TooLarge):
            error = RequestTooLargeException(self.limit)
        else:
            error = InvalidRequestContentException(
                f"Could not parse request body into json: the request ended early, {reason.reason}"
            )
        exchange.respond(service_error(error, self._request_id))

    def _invocation(self, payload: Payload) -> Invocation:
        headers = self._headers
        _check_json(payload)
        return Invocation(
            request_id=self._request_id,
            invocation_id=new_nonce(),
            payload=payload,
            arn=self._target.arn,
            version=self._target.version,
            tracing=tracing(headers.get(b"x-amzn-trace-id")),
            content_type=headers.get(b"content-type") or _JSON,
            client_context=_client_context(headers.get(b"x-amz-client-context")),
            tenant_id=headers.get(b"x-amz-tenant-id"),
            type=self._type,
            log_tail=self._log_tail,
        )

    def _answer(
        self, exchange: Exchange, invocation: Invocation, outcome: Outcome, tail: bytes | None
    ) -> None:
        if exchange.answered:  # by a 500, for a defect of ours
            return
        if isinstance(outcome, Refused):
            exchange.respond(service_error(outcome.error, self._request_id))
            return
        headers = self._identity(invocation)
        headers.append((b"X-Amz-Executed-Version", invocation.version.encode()))
        if isinstance(outcome, Failure):
            # Every failure is Unhandled, whatever type the runtime gave it.
            headers.append((b"X-Amz-Function-Error", b"Unhandled"))
        if tail is not None:
            headers.append((b"X-Amz-Log-Result", base64.b64encode(tail)))
        exchange.respond(Response(200, outcome.payload, headers, outcome.content_type))

    def _identity(self, invocation: Invocation) -> list[tuple[bytes, bytes]]:
        headers = [(b"X-Amzn-RequestId", self._request_id.encode())]
        if invocation.tracing is not None:
            headers.append((b"X-Amzn-Trace-Id", invocation.tracing.value.encode("latin-1")))
        return headers


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


def _client_context(header: bytes | None) -> bytes | None:
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
