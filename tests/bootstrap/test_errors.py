"""What is reported of an error, and what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bootstrap.errors import ErrorReport, Fault, RuntimeApiError


def fail(message: str) -> None:
    raise ValueError(message)


def exception_in(cause: dict[str, Any]) -> dict[str, Any]:
    (exception,) = cause["exceptions"]
    assert isinstance(exception, dict)
    return exception


def report_of(message: str) -> ErrorReport:
    with pytest.raises(ValueError, match="no") as raised:
        fail(message)
    return ErrorReport(raised.value)


def test_an_error_is_reported_in_the_official_clients_order() -> None:
    body = report_of("no").as_dict("id-1")

    assert list(body) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (body["errorMessage"], body["errorType"], body["requestId"]) == (
        "no",
        "ValueError",
        "id-1",
    )


def test_the_stack_trace_has_an_entry_per_frame() -> None:
    first, second = report_of("no").stack_trace

    assert first.startswith(f'  File "{__file__}", line ')
    assert second.endswith("in fail\n    raise ValueError(message)\n")


def test_the_cause_for_x_ray_names_frames_and_files() -> None:
    cause = report_of("no").as_xray_cause()
    exception = exception_in(cause)

    assert cause["working_directory"] == str(Path.cwd())
    assert cause["paths"] == [__file__]
    assert (exception["message"], exception["type"]) == ("no", "ValueError")
    assert [frame["label"] for frame in exception["stack"]] == ["report_of", "fail"]


def test_a_fault_has_its_own_type_and_no_stack() -> None:
    report = ErrorReport(Fault("Runtime.X", "why", ("trace",)))

    assert (report.error_type, report.stack_trace, report.frames) == ("Runtime.X", ["trace"], [])
    assert exception_in(report.as_xray_cause()) == {
        "message": "why",
        "type": "LambdaValidationError",
        "stack": [],
    }


def test_an_error_that_cannot_be_shown_is_reported_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert ErrorReport(Mute()).message == "<unprintable Mute object>"


def test_a_removed_working_directory_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    assert report_of("no").as_xray_cause()["working_directory"] == ""


def test_a_refusal_says_which_call_and_what_came_back() -> None:
    refusal = RuntimeApiError("/x", 413, b"too large")

    assert (refusal.endpoint, refusal.status) == ("/x", 413)
    assert str(refusal) == (
        "Request to Lambda Runtime '/x' endpoint failed. "
        "Reason: '413'. Response body: 'b'too large''"
    )
