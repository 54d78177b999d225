"""Invocations, functions and environments brought to where a test begins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from rie.core.arn import FunctionName
from rie.core.environment import ExecutionEnvironment
from rie.core.events import (
    Action,
    Complete,
    Emit,
    InvocationAssigned,
    NextPolled,
    OutcomePosted,
    PostBegun,
    PostKind,
    ProcessesGone,
    RuntimeExited,
    StartRequested,
)
from rie.core.exit_status import ExitStatus
from rie.core.function import FunctionConfiguration
from rie.core.invocation import UNTRACED, Failure, Invocation, Outcome, Success
from rie.core.platform import InvocationEnd, PlatformEvent, Tracing

TIMEOUT = 3.0
INIT_TIMEOUT = 10.0

E = TypeVar("E", bound=PlatformEvent)


def make_function(
    timeout: float = TIMEOUT, init_timeout: float = INIT_TIMEOUT
) -> FunctionConfiguration:
    return FunctionConfiguration(
        name=FunctionName("billing"), timeout=timeout, init_timeout=init_timeout
    )


def make_invocation(
    request_id: str = "id-1", *, invocation_id: str = "nonce", tracing: Tracing = UNTRACED
) -> Invocation:
    return Invocation(
        request_id=request_id,
        invocation_id=invocation_id,
        payload=b"{}",
        arn=FunctionName("billing").arn(),
        tracing=tracing,
    )


def make_environment(timeout: float = TIMEOUT) -> ExecutionEnvironment:
    """Make one of which nothing has been started."""
    return ExecutionEnvironment(make_function(timeout))


def make_starting(at: float = 0.0, timeout: float = TIMEOUT) -> ExecutionEnvironment:
    """Make one in its init phase."""
    environment = make_environment(timeout)
    environment.receive(StartRequested(), at)
    return environment


def make_ready(poll: object = "poll", timeout: float = TIMEOUT) -> ExecutionEnvironment:
    """Make one whose init phase took the second from 0 to 1."""
    environment = make_starting(0.0, timeout)
    environment.receive(NextPolled(poll), 1.0)
    return environment


def make_running(
    invocation: Invocation | None = None, at: float = 2.0, timeout: float = TIMEOUT
) -> ExecutionEnvironment:
    """Make one that was given an invocation at `at`."""
    environment = make_ready(timeout=timeout)
    environment.receive(InvocationAssigned(invocation or make_invocation()), at)
    return environment


def make_posting(kind: PostKind = "response") -> ExecutionEnvironment:
    """Make one that has seen the head of an answer, as exchange "post"."""
    environment = make_running()
    environment.receive(PostBegun("post", kind, "id-1", None), 2.5)
    return environment


def make_answered() -> ExecutionEnvironment:
    """Make one whose caller has its answer, and whose runtime has not called /next yet."""
    environment = make_posting()
    environment.receive(OutcomePosted("post", Success(b'"ok"', b"application/json")), 2.5)
    return environment


def make_cold() -> ExecutionEnvironment:
    """Make one whose runtime ended at 1.5 while it was idle."""
    environment = make_ready()
    environment.receive(RuntimeExited(ExitStatus(1)), 1.5)
    environment.receive(ProcessesGone(), 1.6)
    return environment


def make_suppressed(at: float = 2.0) -> ExecutionEnvironment:
    """Make one that was given an invocation at `at` while it was cold."""
    environment = make_cold()
    environment.receive(InvocationAssigned(make_invocation()), at)
    return environment


def told(actions: Iterable[Action], kind: type[E]) -> list[E]:
    """Return the platform events of one kind that were told."""
    return [event for event in told_of(actions) if isinstance(event, kind)]


def told_of(actions: Iterable[Action]) -> list[PlatformEvent]:
    """Return all platform events that were told."""
    return [event for action in actions if isinstance(action, Emit) for event in events_of(action)]


def events_of(action: Emit) -> tuple[PlatformEvent, ...]:
    """Return what is told, as those who read of it see it."""
    event = action.event
    return event.told() if isinstance(event, InvocationEnd) else (event,)


def outcomes(actions: Iterable[Action]) -> list[Outcome]:
    """Return what callers were given."""
    return [action.outcome for action in actions if isinstance(action, Complete)]


def failure_of(actions: Iterable[Action]) -> Failure:
    """Return the one failure that a caller was given."""
    (outcome,) = outcomes(actions)
    assert isinstance(outcome, Failure)
    return outcome


def kinds(actions: Iterable[Action]) -> list[str]:
    """Name the orders, and what the Emits tell."""
    return [
        type(each).__name__
        for action in actions
        for each in (events_of(action) if isinstance(action, Emit) else (action,))
    ]
