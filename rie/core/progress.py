"""What an environment has in hand, and what there is to tell of it.

An init, an invocation, and the cut that ends either before its time; each makes the platform
events of its own beginning and end. `now` and `at` are in seconds on the core's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from rie.core import platform
from rie.core.events import Action, Emit
from rie.core.function import FunctionConfiguration
from rie.core.invocation import Failure, Invocation, Outcome, Success
from rie.core.limits import MIB


@dataclass(slots=True)
class Init:
    """An init under way: in the init phase, or inside an invocation."""

    phase: platform.InitPhase
    began: float
    failure: Failure | None = None  # what the runtime said to /init/error

    def reports(self, status: platform.Status, error_type: str | None, now: float) -> list[Action]:
        """Tell of its end."""
        done = platform.InitRuntimeDone(
            at=now, phase=self.phase, status=status, error_type=error_type
        )
        report = platform.InitReport(
            at=now,
            phase=self.phase,
            status=status,
            error_type=error_type,
            duration=now - self.began,
        )
        return [Emit(done), Emit(report)]


@dataclass(slots=True)
class Run:
    """The invocation in hand."""

    invocation: Invocation
    began: float
    started: bool = False  # its START has been told
    post: object = None  # the exchange that is bringing its answer
    outcome: Outcome | None = None

    def start(self, now: float) -> Action:
        """Tell of its beginning."""
        self.started = True
        invocation = self.invocation
        return Emit(
            platform.Start(
                at=now,
                request_id=invocation.request_id,
                version=invocation.version,
                tracing=invocation.tracing,
            )
        )

    def reports(
        self,
        function: FunctionConfiguration,
        verdict: Verdict,
        memory: int,
        init_duration: float | None,
        now: float,
    ) -> list[Action]:
        """Tell of its end. `memory` is the environment's peak in bytes."""
        invocation, outcome = self.invocation, self.outcome
        status, error_type = verdict
        duration = now - self.began
        done = platform.RuntimeDone(
            at=now,
            request_id=invocation.request_id,
            status=status,
            error_type=error_type,
            duration=duration,
            produced_bytes=len(outcome.payload) if isinstance(outcome, Success) else 0,
            tracing=invocation.tracing,
        )
        report = platform.Report(
            at=now,
            request_id=invocation.request_id,
            status=status,
            error_type=error_type,
            duration=duration,
            memory_size=function.memory_size,
            max_memory_used=-(-memory // MIB),
            init_duration=init_duration,
            tracing=invocation.tracing,
        )
        return [Emit(done), Emit(report)]

    def verdict(self, cut: Cut | None = None) -> Verdict:
        """Say how it ended. What its caller was told goes before the cut."""
        outcome = self.outcome
        if isinstance(outcome, Failure):
            # A timeout has no error type: recorded from AWS.
            return outcome.status, None if outcome.status == "timeout" else outcome.error_type
        if cut is None or (isinstance(outcome, Success) and cut.status == "failure"):
            return "success", None
        return cut.status, cut.error_type


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the processes are being killed, for the reports that follow."""

    at: float
    status: platform.Status
    error_type: str | None
    fault: str | None = None

    def told(self, request_id: str, timeout: float) -> list[Action]:
        """Tell of it in the log of the invocation that it ended."""
        if self.status == "timeout":
            return [Emit(platform.TimedOut(at=self.at, request_id=request_id, timeout=timeout))]
        if self.fault is None or self.error_type is None:
            return []
        fault = platform.Fault(
            at=self.at, request_id=request_id, message=self.fault, error_type=self.error_type
        )
        return [Emit(fault)]


Verdict = tuple[platform.Status, str | None]  # status and error type
