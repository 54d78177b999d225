"""What log lines tell about the function and its execution environment, the same each time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """One execution environment as platform.initStart and platform.start describe it.

    `runtime_version` is Lambda's name for the runtime (`python:3.13.v60`,
    `provided:al2023.v98`); here it says what really provides it. `memory_size` is in MB.
    """

    function_name: str
    function_arn: str
    log_stream: str
    memory_size: int
    runtime_version: str
    runtime_version_arn: str | None = None
    function_version: str = "$LATEST"
