"""What an environment has in hand, and what there is to tell of it.

An init, an invocation, and the cut that ends either before its time; each makes the platform
events of its own beginning and end. `now` and `at` are in seconds on the core's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from rie.core import platform
from rie.core.events import Action, Complete, Emit
from rie.core.function import FunctionConfiguration
from rie.core.invocation import Failure, Invocation, Outcome, Refused, Success

Verdict = tuple[platform.Status, str | None]  # status and error type

# What LMI, Lambda's newer mode, calls an invocation that the end of its environment cut off.
SHUT_DOWN = "Client.ExecutionEnvironmentShutDown"


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
    deadline: float  # its own, which its runtime is told; the environment's may come before
    started: bool = False  # its START has been told
    post: object = None  # the exchange that is bringing its answer
    told: Verdict | None = None  # what its caller has been told; of success its size too
    produced: int = 0

    def answer(self, outcome: Outcome) -> Action:
        """Give the caller its outcome. The payload is not kept: it may be 6 MB."""
        match outcome:
            case Success():
                self.told = "success", None
                self.produced = len(outcome.payload)
            case Failure():
                # A timeout has no error type: recorded from AWS.
                error_type = None if outcome.status == "timeout" else outcome.error_type
                self.told = outcome.status, error_type
            case Refused():
                self.told = "failure", SHUT_DOWN
            case _:
                assert_never(outcome)
        return Complete(self.invocation, outcome)

    def start(self, now: float) -> Action:
        """Tell of its beginning."""
        self.started = True
        invocation = self.invocation
        return Emit(
            platform.Start(now, invocation.request_id, invocation.version, invocation.tracing)
        )

    def end(
        self,
        function: FunctionConfiguration,
        verdict: Verdict,
        memory: int,
        init_duration: float | None,
        now: float,
    ) -> Action:
        """Tell of its end. `memory` is the environment's peak in bytes."""
        status, error_type = verdict
        invocation = self.invocation
        return Emit(
            platform.InvocationEnd(
                now,
                invocation.request_id,
                status,
                error_type,
                now - self.began,
                self.produced,
                function.memory_size,
                memory,
                init_duration,
                invocation.tracing,
            )
        )

    def verdict(self, cut: Cut) -> Verdict:
        """Say how it ended. What its caller was told goes before the cut, if it was a failure."""
        told = self.told or ("success", None)
        if told[0] != "success" or cut.status == "failure":
            return told
        return cut.status, cut.error_type


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the processes are being killed, for the reports that follow."""

    at: float
    status: platform.Status
    error_type: str | None
    fault: str | None = None
    fault_type: str | None = None

    def told(self, request_id: str, timeout: float) -> list[Action]:
        """Tell of it in the log of the invocation that it ended."""
        if self.status == "timeout":
            return [Emit(platform.TimedOut(at=self.at, request_id=request_id, timeout=timeout))]
        if self.fault is None or self.fault_type is None:
            return []
        fault = platform.Fault(
            at=self.at, request_id=request_id, message=self.fault, error_type=self.fault_type
        )
        return [Emit(fault)]
