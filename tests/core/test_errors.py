from __future__ import annotations

import pytest

from rie.core.errors import (
    InvalidFunctionResponseMode,
    InvalidParameterValueException,
    InvalidRequestContentException,
    InvalidRequestID,
    InvalidStateTransition,
    InvokeTimeout,
    RequestEntityTooLarge,
    RequestTooLargeException,
    ResourceNotFoundException,
    RieError,
    RuntimeApiError,
    ServiceError,
    ServiceException,
    TooManyRequestsException,
    TruncatedHTTPRequest,
    ValidationException,
)


@pytest.mark.parametrize(
    ("error", "status", "error_type", "message"),
    [
        (InvalidRequestID(), 400, "InvalidRequestID", "Invalid request ID"),
        (
            InvalidFunctionResponseMode(),
            400,
            "InvalidFunctionResponseMode",
            "Invalid function response mode",
        ),
        (
            TruncatedHTTPRequest(),
            400,
            "TruncatedHTTPRequest",
            "HTTP request detected as truncated",
        ),
        (
            InvalidStateTransition("Started", "InvocationResponse"),
            403,
            "InvalidStateTransition",
            (
                "State transition from Started to InvocationResponse failed for runtime. "
                "Error: State transition is not allowed"
            ),
        ),
        (InvokeTimeout(), 410, "InvokeTimeout", "Invoke timeout"),
        (
            RequestEntityTooLarge(6291556),
            413,
            "RequestEntityTooLarge",
            "Exceeded maximum allowed payload size (6291556 bytes).",
        ),
        (RuntimeApiError(), 500, "InternalServerError", "Internal Server Error"),
    ],
)
def test_the_runtime_api_refuses_in_the_official_emulator_s_words(
    error: RuntimeApiError, status: int, error_type: str, message: str
) -> None:
    assert (error.status, error.error_type, error.message) == (status, error_type, message)
    assert str(error) == message


@pytest.mark.parametrize(
    ("error", "status", "code", "fault"),
    [
        (ServiceException("x"), 500, "ServiceException", "Service"),
        (InvalidParameterValueException("x"), 400, "InvalidParameterValueException", "User"),
        (ValidationException("x"), 400, "ValidationException", "User"),
        (InvalidRequestContentException("x"), 400, "InvalidRequestContentException", "User"),
        (RequestTooLargeException(1), 413, "RequestTooLargeException", "User"),
        (ResourceNotFoundException("x"), 404, "ResourceNotFoundException", "User"),
        (TooManyRequestsException(), 429, "TooManyRequestsException", "User"),
    ],
)
def test_the_invoke_api_refuses_with_aws_s_code_and_status(
    error: ServiceError, status: int, code: str, fault: str
) -> None:
    assert (error.status, error.code, error.fault) == (status, code, fault)
    assert isinstance(error, RieError)


def test_a_request_that_is_too_large_hears_the_limit() -> None:
    assert RequestTooLargeException(6291456).message == (
        "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    )


def test_a_throttled_caller_hears_why() -> None:
    error = TooManyRequestsException()

    assert error.message == "Rate Exceeded."
    assert error.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_the_key_of_the_message_is_in_upper_case_where_aws_has_it_so() -> None:
    assert ResourceNotFoundException("x").message_key == "Message"
    assert ServiceException("x").message_key == "Message"
    assert TooManyRequestsException().message_key == "message"
