"""The Invoke API: POST /2015-03-31/functions/{name-or-arn[:qualifier]}/invocations.

For boto3 and the AWS CLI with --endpoint-url (signatures are not checked), and for curl.
Sources: API reference, Invoke; statuses, headers and bodies as recorded from AWS.
"""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import cast
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
from rie.core.function import FunctionConfiguration
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
from rie.http.message import Headers, Response
from rie.http.routing import Route, Router
from rie.invoker import Invoker, new_id, tracing

_JSON = b"application/json"
_TYPES = {b"RequestResponse", b"Event", b"DryRun"}
_LOG_TYPES = {b"None", b"Tail"}
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
        call = _Call.read(invoker, exchange, request_id)
    except ServiceError as error:
        exchange.respond(service_error(error, request_id))
        return
    exchange.read_body(call.limit, call.run, call.spoiled)


class _Call:
    """One call of the Invoke API, from its head to its answer."""

    __slots__ = ("_function", "_headers", "_invoker", "_log_tail", "_request_id", "_type", "limit")

    def __init__(  # noqa: PLR0913 - the parts of a head that matter
        self,
        invoker: Invoker,
        function: FunctionConfiguration,
        request_id: str,
        headers: Headers,
        invocation_type: InvocationType,
        *,
        log_tail: bool,
    ) -> None:
        self._invoker = invoker
        self._function = function
        self._request_id = request_id
        self._headers = headers
        self._type = invocation_type
        self._log_tail = log_tail
        self.limit = MAX_EVENT_PAYLOAD if invocation_type == "Event" else MAX_REQUEST_PAYLOAD

    @classmethod
    def read(cls, invoker: Invoker, exchange: Exchange, request_id: str) -> _Call:
        """Read a head. Raises ServiceError."""
        headers = exchange.request.headers
        qualifier = _qualifier(exchange.request.query)
        function = invoker.resolve(parse_reference(exchange.params["name"], qualifier))
        invocation_type = headers.get(b"x-amz-invocation-type") or b"RequestResponse"
        log_type = headers.get(b"x-amz-log-type") or b"None"
        if invocation_type not in _TYPES:
            raise _invalid("invocationType", invocation_type, _TYPES)
        if log_type not in _LOG_TYPES:
            raise _invalid("logType", log_type, _LOG_TYPES)
        return cls(
            invoker,
            function,
            request_id,
            headers,
            cast("InvocationType", invocation_type.decode()),
            # "applies to synchronously invoked functions only" - API reference
            log_tail=log_type == b"Tail" and invocation_type == b"RequestResponse",
        )

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
            invocation_id=new_id(),
            payload=payload,
            arn=self._function.arn,
            version=self._function.version,
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
        if isinstance(outcome, Refused):
            exchange.respond(service_error(outcome.error, self._request_id))
            return
        headers = self._identity(invocation)
        if isinstance(outcome, Failure):
            # Every failure is Unhandled, whatever type the runtime gave it.
            headers.append((b"X-Amz-Function-Error", b"Unhandled"))
        if tail is not None:
            headers.append((b"X-Amz-Log-Result", base64.b64encode(tail)))
        exchange.respond(Response(200, outcome.payload, headers, outcome.content_type))

    def _identity(self, invocation: Invocation) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"X-Amzn-RequestId", self._request_id.encode()),
            (b"X-Amz-Executed-Version", invocation.version.encode()),
        ]
        if invocation.tracing is not None:
            headers.append((b"X-Amzn-Trace-Id", invocation.tracing.value.encode()))
        return headers


def _qualifier(query: bytes) -> str | None:
    if not query:
        return None
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


def _invalid(name: str, value: bytes, allowed: set[bytes]) -> InvalidParameterValueException:
    choice = ", ".join(sorted(each.decode() for each in allowed))
    return InvalidParameterValueException(
        f"Value '{value.decode('latin-1')}' at '{name}' failed to satisfy constraint: "
        f"Member must satisfy enum value set: [{choice}]"
    )


def _nobody(outcome: Outcome, tail: bytes | None) -> None:
    """Hear the outcome of an invocation that nobody waits for."""


def _ping(exchange: Exchange) -> None:
    exchange.respond(Response(200, b"pong", content_type=b"text/plain; charset=utf-8"))
