"""The figures in log lines: milliseconds, what is billed, times of day.

Pure, but for `epoch_offset`. Durations come in seconds; a microsecond is the finest that a log
tells.
"""

from __future__ import annotations

import time
from functools import lru_cache


def epoch_offset() -> float:
    """Return what is to be added to a time on the monotonic clock to make it the time of day.

    Never kept for long: the monotonic clock stops while the machine sleeps, and the other may
    be set.
    """
    return time.time() - time.monotonic()


def milliseconds(duration: float) -> float:
    """Return `duration` in milliseconds, to three places as AWS's JSON logs have it."""
    return round(duration * 1000, 3)


def billed_milliseconds(duration: float, init_duration: float | None = None) -> int:
    """Return what AWS bills: the whole milliseconds that init and invocation together took.

    Init is billed for every function type since August 2025 (AWS Compute Blog, "AWS Lambda
    standardizes billing for INIT Phase"). Recorded: 3000.00 ms + 67.49 ms -> 3068 ms.
    """
    # Rounded to microseconds first: the float 0.035 * 1000 is a little more than 35.
    microseconds = round((duration + (init_duration or 0.0)) * 1_000_000)
    return -(-microseconds // 1000)


def timestamp(epoch: float) -> str:
    """Return a time in seconds since the epoch as `2026-11-20T14:41:39.482Z`."""
    second, thousandths = divmod(round(epoch * 1000), 1000)
    return f"{_second(second)}.{thousandths:03d}Z"


@lru_cache(maxsize=8)
def _second(epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(epoch))
