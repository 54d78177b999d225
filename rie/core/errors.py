"""The tree of errors. AWS's code and HTTP status are class data.

A function's failure is no exception but an Outcome (invocation.py). Whatever is raised
and is not a RieError is a defect of this program: 500, logged with its traceback.
"""

from __future__ import annotations

from typing import ClassVar


class RieError(Exception):
    """The root."""


class InvalidPhaseTransition(RieError):
    """An environment was ordered to do what its phase does not allow: a defect of ours."""

    def __init__(self, phase: str, turn: str) -> None:
        super().__init__(f"an environment in phase {phase!r} cannot turn by {turn!r}")


class ServiceError(RieError):
    """The Invoke API refuses a call. `code` is the exception's name in the SDKs.

    Sources: API reference, Invoke, "Errors"; the body's keys as recorded from AWS.
    """

    code: ClassVar[str] = "ServiceException"
    status: ClassVar[int] = 500
    fault: ClassVar[str] = "Service"  # the body's "Type": who is to blame
    message_key: ClassVar[str] = "message"
    reason: str | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ServiceException(ServiceError):
    """The service itself failed or is being stopped."""

    message_key = "Message"


class InvalidParameterValueException(ServiceError):
    """One of the parameters in the request is not valid."""

    code = "InvalidParameterValueException"
    status = 400
    fault = "User"


class ValidationException(ServiceError):
    """A parameter breaks its pattern. AWS answers these before the service sees them."""

    code = "ValidationException"
    status = 400
    fault = "User"


class InvalidRequestContentException(ServiceError):
    """The request body is no JSON."""

    code = "InvalidRequestContentException"
    status = 400
    fault = "User"


class RequestTooLargeException(ServiceError):
    """The request payload exceeds the Invoke API's limit."""

    code = "RequestTooLargeException"
    status = 413
    fault = "User"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        )


class ResourceNotFoundException(ServiceError):
    """No such function, version or alias."""

    code = "ResourceNotFoundException"
    status = 404
    fault = "User"
    message_key = "Message"


class TooManyRequestsException(ServiceError):
    """Concurrency is used up."""

    code = "TooManyRequestsException"
    status = 429
    fault = "User"
    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"

    def __init__(self) -> None:
        super().__init__("Rate Exceeded.")


class RuntimeApiError(RieError):
    """The Runtime API refuses a call. `error_type` is the body's errorType.

    Source: the official emulator's replies, which follow AWS's.
    """

    error_type: ClassVar[str] = "InternalServerError"
    status: ClassVar[int] = 500

    def __init__(self, message: str = "Internal Server Error") -> None:
        super().__init__(message)
        self.message = message


class InvalidRequestID(RuntimeApiError):
    """The id in the path is not that of the running invocation."""

    error_type = "InvalidRequestID"
    status = 400

    def __init__(self) -> None:
        super().__init__("Invalid request ID")


class InvalidFunctionResponseMode(RuntimeApiError):
    """The response-mode header is there and is not `streaming`."""

    error_type = "InvalidFunctionResponseMode"
    status = 400

    def __init__(self) -> None:
        super().__init__("Invalid function response mode")


class TruncatedHTTPRequest(RuntimeApiError):
    """The runtime's connection ended before its body did."""

    error_type = "TruncatedHTTPRequest"
    status = 400

    def __init__(self) -> None:
        super().__init__("HTTP request detected as truncated")


class InvalidStateTransition(RuntimeApiError):
    """The runtime may not make this call now; the message names both states."""

    error_type = "InvalidStateTransition"
    status = 403

    def __init__(self, state: str, wanted: str) -> None:
        super().__init__(
            f"State transition from {state} to {wanted} failed for runtime. "
            "Error: State transition is not allowed"
        )


class InvokeTimeout(RuntimeApiError):
    """The answer comes too late: its invocation is over and another may have its id."""

    error_type = "InvokeTimeout"
    status = 410

    def __init__(self) -> None:
        super().__init__("Invoke timeout")


class RequestEntityTooLarge(RuntimeApiError):
    """The body exceeds the limit of `limit` bytes."""

    error_type = "RequestEntityTooLarge"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"Exceeded maximum allowed payload size ({limit} bytes).")
