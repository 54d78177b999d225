"""Platform events and the like with everything filled in but what a test is about."""

from __future__ import annotations

from io import StringIO

from rie.core.platform import Report, Start, Status, Tracing
from rie.telemetry.about import About
from rie.telemetry.diary import get_diary

REQUEST_ID = "1e5c8abd-3d36-461b-8c0f-a56b952715b3"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:billing"
STREAM = "2026/11/20/[$LATEST]3893cafe7fac4485b47bb75b671a283c"

# 2026-11-20T14:41:39.482Z, when the monotonic clock of these tests stands at 1000.
CLOCK_OFFSET = 1795185699.482 - 1000.0
NOW = 1000.0


def make_about(runtime_version_arn: str | None = None) -> About:
    return About(
        function_name="billing",
        function_arn=ARN,
        log_stream=STREAM,
        memory_size=128,
        runtime_version="python:3.13.v60",
        runtime_version_arn=runtime_version_arn,
    )


def make_start(request_id: str = REQUEST_ID, tracing: Tracing | None = None) -> Start:
    return Start(at=NOW, request_id=request_id, version="$LATEST", tracing=tracing)


def make_report(  # noqa: PLR0913 - a maker
    *,
    duration: float = 0.00301,
    init_duration: float | None = None,
    status: Status = "success",
    error_type: str | None = None,
    memory_size: int = 128,
    max_memory_used: int = 36,
    request_id: str = REQUEST_ID,
    tracing: Tracing | None = None,
) -> Report:
    return Report(
        at=NOW,
        request_id=request_id,
        status=status,
        error_type=error_type,
        duration=duration,
        memory_size=memory_size,
        max_memory_used=max_memory_used,
        init_duration=init_duration,
        tracing=tracing,
    )


def read_diary() -> StringIO:
    """Return what this process's diary writes from now on, plainly."""
    stream = StringIO()
    get_diary().configure("debug", "console", stream)
    return stream
