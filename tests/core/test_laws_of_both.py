"""Assignment and environments together, with a driver that only carries orders.

Runtimes behave at random: they poll, answer, post what is spoiled, hang up, crash, hang, or
cannot be started. Whatever they do, each invocation has exactly one outcome, and the core
never orders an environment to do what its phase does not allow.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from rie.core.assignment import Assignment, Decision, Give, Retire, StartEnvironment, Throttle
from rie.core.environment import ExecutionEnvironment
from rie.core.errors import RuntimeApiError, ServiceException, TooManyRequestsException
from rie.core.events import (
    Action,
    BecomeFree,
    Complete,
    DeadlinePassed,
    Emit,
    End,
    Event,
    InitErrorPosted,
    InvocationAssigned,
    NextPolled,
    OutcomePosted,
    PollAbandoned,
    PostBegun,
    PostSpoiled,
    ProcessesGone,
    Reset,
    RetireRequested,
    RuntimeExited,
    RuntimeNotStarted,
    SendInvocation,
    StartRequested,
    StartRuntime,
)
from rie.core.exit_status import ExitStatus
from rie.core.invocation import Invocation, Outcome, Refused, Success
from rie.core.states import Phase, RuntimeState
from tests.core.makers import make_function, make_invocation

environments = st.integers(0, 10)


class Runtime:
    """A started process: the polls it has open, what it was given, what it is posting."""

    def __init__(self) -> None:
        self.polls: list[object] = []
        self.given: list[Invocation] = []
        self.post: tuple[object, Invocation] | None = None


class Driver:
    """One environment's runtime and orders. Compared by identity, as the real one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environment = ExecutionEnvironment(make_function(timeout=2.0, init_timeout=3.0))
        self.runtime: Runtime | None = None
        self.resetting = False

    def receive(self, event: Event) -> None:
        for action in self.environment.receive(event, self.world.now):
            self.carry_out(action)

    def carry_out(self, action: Action) -> None:
        match action:
            case SendInvocation():
                assert self.runtime is not None
                self.runtime.polls.remove(action.poll)
                self.runtime.given.append(action.invocation)
            case Complete():
                self.world.answer(action.invocation, action.outcome)
                self.world.assignment.answered(self)
            case BecomeFree():
                self.world.carry_out(self.world.assignment.free(self, self.world.now))
            case StartRuntime():
                self.start()
            case Reset():
                self.resetting = True
            case End():
                self.world.carry_out(self.world.assignment.ended(self))
            case Emit():
                pass

    def start(self) -> None:
        assert self.runtime is None
        if self.world.broken:
            self.receive(RuntimeNotStarted("Runtime.InvalidEntrypoint", "none"))
        else:
            self.runtime = Runtime()


class World(RuleBasedStateMachine):
    """A fleet, its callers and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.broken = False
        self.submitted: list[Invocation] = []
        self.outcomes: dict[str, Outcome] = {}

    @initialize(
        most=st.integers(1, 3),
        throttle=st.booleans(),
        idle_timeout=st.sampled_from((None, 2.0)),
        max_lifetime=st.sampled_from((None, 5.0)),
    )
    def begin(
        self,
        most: int,
        throttle: bool,  # noqa: FBT001
        idle_timeout: float | None,
        max_lifetime: float | None,
    ) -> None:
        self.most = most
        self.assignment: Assignment[Driver, Invocation] = Assignment(
            environments=most,
            on_busy="throttle" if throttle else "wait",
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
        )

    def carry_out(self, decisions: list[Decision[Driver, Invocation]]) -> None:
        for decision in decisions:
            match decision:
                case Give():
                    decision.environment.receive(InvocationAssigned(decision.work))
                case StartEnvironment():
                    driver = Driver(self)
                    self.assignment.started(driver, self.now)
                    assert len(self.assignment.environments) <= self.most
                    driver.receive(StartRequested())
                case Throttle():
                    self.answer(decision.work, Refused(TooManyRequestsException()))
                case Retire():
                    decision.environment.receive(RetireRequested())

    def answer(self, invocation: Invocation, outcome: Outcome) -> None:
        assert invocation.request_id not in self.outcomes, "answered twice"
        if isinstance(outcome, Success):
            assert outcome.payload == invocation.request_id.encode(), "somebody else's answer"
        self.outcomes[invocation.request_id] = outcome

    def at(self, choice: int) -> Driver | None:
        drivers = self.assignment.environments
        return drivers[choice % len(drivers)] if drivers else None

    def runtime_at(self, choice: int) -> tuple[Driver, Runtime] | None:
        driver = self.at(choice)
        return (driver, driver.runtime) if driver and driver.runtime else None

    @rule(patient=st.booleans())
    def submit(self, patient: bool) -> None:  # noqa: FBT001
        number = len(self.submitted)
        invocation = make_invocation(f"id-{number}", invocation_id=f"nonce-{number}")
        self.submitted.append(invocation)
        self.carry_out(self.assignment.arrive(invocation, patient=patient))

    @rule(choice=environments, steps=st.integers(1, 8))
    def all_goes_well(self, choice: int, steps: int) -> None:
        """Without this few histories get anywhere."""
        for _ in range(steps):
            self.go_on(choice)

    def go_on(self, choice: int) -> None:
        if not (at := self.runtime_at(choice)):
            self.clear_away(choice)
            return
        match at[0].environment.runtime:
            case RuntimeState.RUNNING:
                self.begin_an_answer(choice, which=0)
            case RuntimeState.RESPONDING:
                self.complete_an_answer(choice, how="good")
            case _ if at[1].polls:
                self.submit(patient=True)
            case _:
                self.poll(choice)

    @rule(broken=st.sampled_from((False, False, True)))
    def programs_break_or_are_mended(self, broken: bool) -> None:  # noqa: FBT001
        self.broken = broken

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments)
    def poll(self, choice: int) -> None:
        if not (at := self.runtime_at(choice)):
            return
        driver, runtime = at
        poll = object()
        runtime.polls.append(poll)
        try:
            driver.receive(NextPolled(poll))
        except RuntimeApiError:
            runtime.polls.remove(poll)

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments)
    def hang_up(self, choice: int) -> None:
        if (at := self.runtime_at(choice)) and at[1].polls:
            at[0].receive(PollAbandoned(at[1].polls.pop(0)))

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments, which=st.integers(0, 5))
    def begin_an_answer(self, choice: int, which: int) -> None:
        if not (at := self.runtime_at(choice)) or not at[1].given:
            return
        driver, runtime = at
        invocation = runtime.given[-1 - which % len(runtime.given)]
        post = object()
        with suppress(RuntimeApiError):
            driver.receive(
                PostBegun(post, "response", invocation.request_id, invocation.invocation_id)
            )
            runtime.post = (post, invocation)

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments, how=st.sampled_from(("good", "good", "size", "truncated")))
    def complete_an_answer(self, choice: int, how: Literal["good", "size", "truncated"]) -> None:
        if not (at := self.runtime_at(choice)) or (began := at[1].post) is None:
            return
        driver, runtime = at
        post, invocation = began
        runtime.post = None
        payload = invocation.request_id.encode()
        with suppress(RuntimeApiError):
            driver.receive(
                OutcomePosted(post, Success(payload, b""))
                if how == "good"
                else PostSpoiled(post, how)
            )

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments)
    def report_a_failed_init(self, choice: int) -> None:
        if at := self.runtime_at(choice):
            with suppress(RuntimeApiError):
                at[0].receive(InitErrorPosted(b"{}", b"", "Function.Bad"))

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments)
    def crash(self, choice: int) -> None:
        if (at := self.runtime_at(choice)) and not at[0].resetting:
            at[0].receive(RuntimeExited(ExitStatus(1)))

    @precondition(lambda self: self.assignment.environments)
    @rule(choice=environments)
    def clear_away(self, choice: int) -> None:
        driver = self.at(choice)
        if driver is not None and driver.resetting:
            driver.runtime, driver.resetting = None, False
            driver.receive(ProcessesGone())

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 3.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for driver in self.assignment.environments:
            deadline = driver.environment.deadline
            if deadline is not None and deadline <= self.now:
                driver.receive(DeadlinePassed())
        self.carry_out([*self.assignment.retiring(self.now)])

    def teardown(self) -> None:
        """Stop everything: then nobody may be without an outcome, and nothing may be left."""
        for invocation in self.assignment.close():
            self.answer(invocation, Refused(ServiceException("stopping")))
        for driver in self.assignment.environments:
            driver.receive(RetireRequested())
        for driver in self.assignment.environments:
            assert driver.resetting
            driver.runtime, driver.resetting = None, False
            driver.receive(ProcessesGone())
            assert driver.environment.phase is Phase.ENDED

        assert self.assignment.environments == ()
        assert set(self.outcomes) == {invocation.request_id for invocation in self.submitted}


class PatientWorld(World):
    """The same, left to itself at the end: timeouts alone must bring every answer."""

    def teardown(self) -> None:
        for _ in range(10 * len(self.submitted) + 10):
            for choice in range(len(self.assignment.environments)):
                self.clear_away(choice)
            self.time_passes(3.0)

        assert set(self.outcomes) == {invocation.request_id for invocation in self.submitted}
        super().teardown()


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestPatientWorld = PatientWorld.TestCase
TestPatientWorld.settings = settings(max_examples=75, stateful_step_count=40, deadline=None)
