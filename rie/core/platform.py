"""What the platform tells about a function's life, as values.

The text log (START, END, REPORT), the JSON log and, later, the Telemetry API are three
renderings of these. `at` is in seconds on the machine's monotonic clock; the renderer
knows the offset to the epoch. Durations are in seconds, memory in MB (2**20 bytes).
Names follow the Telemetry API's event reference (developer guide).
"""

from __future__ import annotations

from typing import Literal

from rie.core.limits import MIB
from rie.core.value import named_value, value

InitPhase = Literal["init", "invoke"]
Status = Literal["success", "error", "timeout", "failure"]


@value
class Tracing:
    """The X-Amzn-Trace-Id header of one invocation, and whether it is sampled."""

    value: str
    sampled: bool


@named_value
class InitStart:
    """The runtime's process is about to be started.

    `phase` is "invoke" when init runs again inside an invocation.
    """

    at: float
    phase: InitPhase


@named_value
class InitRuntimeDone:
    """The runtime has asked for its first invocation, or failed to."""

    at: float
    phase: InitPhase
    status: Status
    error_type: str | None = None


@named_value
class InitReport:
    """The init phase is over; `duration` from InitStart to its end."""

    at: float
    phase: InitPhase
    status: Status
    duration: float
    error_type: str | None = None


@value
class Start:
    """An invocation is about to be given to the runtime."""

    at: float
    request_id: str
    version: str
    tracing: Tracing | None = None


@named_value
class TimedOut:
    """The invocation ran into the function's timeout (`timeout` seconds)."""

    at: float
    request_id: str
    timeout: float


@named_value
class Fault:
    """The runtime ended, or never began: `message` is the line's text without its id."""

    at: float
    request_id: str
    message: str
    error_type: str


@named_value
class RuntimeDone:
    """The runtime has answered and asked for more, or will never do so."""

    at: float
    request_id: str
    status: Status
    error_type: str | None
    duration: float
    produced_bytes: int
    tracing: Tracing | None = None


@named_value
class Report:
    """The invocation is over: the REPORT line's figures.

    `init_duration` is there only on the first invocation after a successful init phase.
    """

    at: float
    request_id: str
    status: Status
    error_type: str | None
    duration: float
    memory_size: int
    max_memory_used: int
    init_duration: float | None = None
    tracing: Tracing | None = None


@value
class InvocationEnd:
    """The invocation is over: what RuntimeDone and Report are made of, once somebody reads them.

    That is later: nobody waits for them, and a runtime may wait for its next event. `memory` is
    the environment's peak in bytes.
    """

    at: float
    request_id: str
    status: Status
    error_type: str | None
    duration: float
    produced_bytes: int
    memory_size: int
    memory: int
    init_duration: float | None
    tracing: Tracing | None

    def told(self) -> tuple[RuntimeDone, Report]:
        """Return the two events."""
        done = RuntimeDone(
            at=self.at,
            request_id=self.request_id,
            status=self.status,
            error_type=self.error_type,
            duration=self.duration,
            produced_bytes=self.produced_bytes,
            tracing=self.tracing,
        )
        report = Report(
            at=self.at,
            request_id=self.request_id,
            status=self.status,
            error_type=self.error_type,
            duration=self.duration,
            memory_size=self.memory_size,
            max_memory_used=-(-self.memory // MIB),
            init_duration=self.init_duration,
            tracing=self.tracing,
        )
        return done, report


PlatformEvent = (
    InitStart | InitRuntimeDone | InitReport | Start | TimedOut | Fault | RuntimeDone | Report
)
