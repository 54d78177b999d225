"""The platform's own documents: bytes and order of keys as recorded from AWS."""

from __future__ import annotations

from rie.core.invocation import (
    Failure,
    exit_error,
    platform_failure,
    response_too_large,
    timed_out,
    timeout_message,
    unusable,
)


def test_a_runtime_that_ended_gives_an_exit_error() -> None:
    assert exit_error("id-1", "Runtime exited with error: exit status 42") == Failure(
        "Runtime.ExitError",
        b'{"errorType":"Runtime.ExitError",'
        b'"errorMessage":"RequestId: id-1 Error: Runtime exited with error: exit status 42"}',
    )


def test_a_timeout_is_told_with_two_decimals() -> None:
    assert timed_out("id-1", 3) == Failure(
        "Sandbox.Timedout",
        b'{"errorType":"Sandbox.Timedout",'
        b'"errorMessage":"RequestId: id-1 Error: Task timed out after 3.00 seconds"}',
        "timeout",
    )
    assert timeout_message(0.5) == "Task timed out after 0.50 seconds"
    assert timeout_message(900) == "Task timed out after 900.00 seconds"


def test_a_response_too_large_is_told_without_its_size() -> None:
    assert response_too_large() == Failure(
        "Function.ResponseSizeTooLarge",
        b'{"errorMessage":"Response payload size exceeded maximum allowed payload size '
        b'(6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}',
    )


def test_an_unusable_response_puts_the_message_first() -> None:
    assert unusable("Runtime.TruncatedResponse", "cut").payload == (
        b'{"errorMessage":"cut","errorType":"Runtime.TruncatedResponse"}'
    )


def test_a_document_is_utf_8_and_escapes_what_json_must() -> None:
    failure = platform_failure("Runtime.InvalidEntrypoint", "id-1", 'no "bü€"\n')

    assert failure.payload == (
        '{"errorType":"Runtime.InvalidEntrypoint",'
        '"errorMessage":"RequestId: id-1 Error: no \\"bü€\\"\\n"}'.encode()
    )
    assert failure.content_type == b"application/json"
