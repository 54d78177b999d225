"""One invocation, and what can come of it.

An Outcome is what the caller gets: the function's answer, its failure, or the service's
refusal. The documents of failures that the platform makes itself are here, each in the
shape (and key order) recorded from AWS.
"""

from __future__ import annotations

import json
from typing import Literal

from rie.core.errors import ServiceError
from rie.core.limits import MAX_RESPONSE_PAYLOAD
from rie.core.platform import Status, Tracing
from rie.core.value import value

Payload = bytes | memoryview

InvocationType = Literal["RequestResponse", "Event", "DryRun"]

JSON = b"application/json"


UNTRACED = Tracing("Sampled=0", sampled=False)  # where nobody has made a trace


@value
class Invocation:
    """One run of the function, as the caller asked for it.

    `invocation_id` is a nonce of this delivery: a retry may bear the same request id, and
    an answer that was meant for the first must not reach the second.
    """

    request_id: str
    invocation_id: str
    payload: Payload
    arn: str
    version: str = "$LATEST"
    tracing: Tracing = UNTRACED
    content_type: bytes = JSON
    client_context: bytes | None = None  # JSON, decoded from the header's base64
    cognito_identity: bytes | None = None  # JSON
    tenant_id: bytes | None = None
    type: InvocationType = "RequestResponse"
    log_tail: bool = False


@value
class Success:
    """The function's answer: bytes as the runtime posted them."""

    payload: Payload
    content_type: bytes = JSON


@value
class Failure:
    """The function failed. `payload` is the error document that the caller gets.

    `error_type` is the platform's name of it (REPORT line), not that of the document.
    """

    error_type: str
    payload: Payload
    status: Status = "error"
    content_type: bytes = JSON


@value
class Refused:
    """The function never ran, or its run was cut off by the service itself."""

    error: ServiceError


Outcome = Success | Failure | Refused


def exit_error(request_id: str, reason: str) -> Failure:
    """Make the failure of a runtime that ended before it answered."""
    return platform_failure("Runtime.ExitError", request_id, reason)


def platform_failure(error_type: str, request_id: str, message: str) -> Failure:
    """Make a failure that the platform found, in AWS's form: errorType first, id in front."""
    document = {
        "errorType": error_type,
        "errorMessage": f"RequestId: {request_id} Error: {message}",
    }
    return Failure(error_type, _encode(document))


def timed_out(request_id: str, timeout: float) -> Failure:
    """Make the failure of an invocation that ran for longer than `timeout` seconds."""
    failure = platform_failure("Sandbox.Timedout", request_id, timeout_message(timeout))
    return Failure("Sandbox.Timedout", failure.payload, "timeout")


def timeout_message(timeout: float) -> str:
    """Say that a task timed out, in the words of the log line and the error document."""
    return f"Task timed out after {timeout:.2f} seconds"


def response_too_large() -> Failure:
    """Make the failure of a response over the limit. AWS does not say by how much."""
    message = (
        f"Response payload size exceeded maximum allowed payload size "
        f"({MAX_RESPONSE_PAYLOAD} bytes)."
    )
    error_type = "Function.ResponseSizeTooLarge"
    return Failure(error_type, _encode({"errorMessage": message, "errorType": error_type}))


def unusable(error_type: str, message: str) -> Failure:
    """Make the failure of a response that cannot be taken for other reasons."""
    return Failure(error_type, _encode({"errorMessage": message, "errorType": error_type}))


def _encode(document: dict[str, str]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
