"""What went wrong, in the words that AWS's own Python client uses.

A Fault is blamed on how the function was set up or on what it returned, and carries one of the
Runtime.* types; every other exception is the function's own and is reported under its class name.
Source of types, messages and key order: awslambdaric 4.2.2 on the wire.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    Frame = tuple[str, int, str, str]  # file, line, function, source line

BAD_HANDLER_NAME = "Runtime.MalformedHandlerName"
BAD_IMPORT = "Runtime.ImportModuleError"
BAD_SYNTAX = "Runtime.UserCodeSyntaxError"
NO_HANDLER = "Runtime.HandlerNotFound"
BUILT_IN_MODULE = "Runtime.BuiltInModuleConflict"
BAD_EVENT = "Runtime.UnmarshalError"
BAD_RESULT = "Runtime.MarshalError"
BAD_CONTEXT = "Runtime.LambdaContextUnmarshalError"
API_FAILURE = "Runtime.LambdaRuntimeClientError"
UNKNOWN = "Runtime.Unknown"

OWN_FOLDER = os.path.dirname(__file__) + os.sep  # noqa: PTH120  (pathlib costs 5 ms)


class Fault(Exception):
    """A failure with a type of AWS's own; `trace` is what the report shows as its stack trace."""

    def __init__(self, error_type: str, message: str, trace: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace


class RuntimeApiError(Exception):
    """The Runtime API answered with something else than what was asked for."""

    def __init__(self, endpoint: str, status: int, body: bytes | bytearray) -> None:
        super().__init__(
            f"Request to Lambda Runtime '{endpoint}' endpoint failed. "
            f"Reason: '{status}'. Response body: '{bytes(body[:1000])!r}'"
        )
        self.endpoint = endpoint
        self.status = status


class ErrorReport:
    """A failure as it is posted and logged."""

    __slots__ = ("error_type", "frames", "is_fault", "message", "stack_trace")

    def __init__(self, error: BaseException) -> None:
        self.is_fault = isinstance(error, Fault)
        self.frames: list[Frame] = []
        if isinstance(error, Fault):
            self.error_type = error.error_type
            self.message = error.message
            self.stack_trace = list(error.trace)
        else:
            self.error_type = type(error).__name__
            self.message = _message(error)
            self.frames, self.stack_trace = _stack(error.__traceback__)

    def as_dict(self, request_id: str = "") -> dict[str, object]:
        """Return the body of an error, keys in the official client's order."""
        return {
            "errorMessage": self.message,
            "errorType": self.error_type,
            "requestId": request_id,
            "stackTrace": self.stack_trace,
        }

    def as_xray_cause(self) -> dict[str, object]:
        """Return the value of Lambda-Runtime-Function-XRay-Error-Cause, as AWS X-Ray wants it."""
        stack = [{"label": name, "path": path, "line": line} for path, line, name, _ in self.frames]
        error_type = "LambdaValidationError" if self.is_fault else self.error_type
        return {
            "working_directory": _working_directory(),
            "exceptions": [{"message": self.message, "type": error_type, "stack": stack}],
            "paths": list(dict.fromkeys(path for path, *_ in self.frames)),
        }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (a __str__ of the user's: its failure must not hide the error)
        return f"<unprintable {type(error).__name__} object>"


def _stack(trace: TracebackType | None) -> tuple[list[Frame], list[str]]:
    """Return the user's frames, as values and as text."""
    while trace is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    if trace is None:
        return [], []
    import traceback  # noqa: PLC0415  (5 ms, and only for functions that fail)

    extracted = traceback.extract_tb(trace)
    frames = [(f.filename, f.lineno or 0, f.name, f.line or "") for f in extracted]
    return frames, traceback.format_list(frames)


def _is_machinery(path: str) -> bool:
    """Whether a leading frame in `path` only says how the user's code was reached."""
    folder = os.path.basename(os.path.dirname(path))  # noqa: PTH119, PTH120  (as above)
    is_stdlib = path.startswith(os.path.dirname(os.__file__))  # noqa: PTH120
    is_way_in = is_stdlib and folder in ("importlib", "asyncio")
    return is_way_in or path.startswith((OWN_FOLDER, "<frozen importlib"))


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  (as above)
    except OSError:  # the function removed it
        return ""
