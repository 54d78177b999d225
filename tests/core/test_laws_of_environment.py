"""The laws of the environment, over random histories in which anything happens at any time.

Events are drawn without regard to what is allowed, so that refusals are tried as often as
steps.
"""

from __future__ import annotations

from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rie.core.environment import ExecutionEnvironment
from rie.core.errors import InvalidPhaseTransition, InvokeTimeout, RuntimeApiError
from rie.core.events import (
    Action,
    AnswerPosted,
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
    PostKind,
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
from rie.core.invocation import Failure, Invocation, Outcome, Refused, Success
from rie.core.platform import PlatformEvent, Report, Start
from rie.core.states import Phase, RuntimeState
from tests.core.makers import events_of, make_function, make_invocation

request_numbers = st.integers(0, 2)
tokens = st.integers(0, 30)
kinds = st.sampled_from(("response", "error"))
flaws = st.sampled_from(("mode", "size", "truncated"))
exits = st.sampled_from((0, 1, -9)).map(ExitStatus)


class Histories(RuleBasedStateMachine):
    """What happened, what was ordered, and what must hold of the two."""

    def __init__(self) -> None:
        super().__init__()
        self.environment = ExecutionEnvironment(make_function(timeout=2.0, init_timeout=3.0))
        self.now = 0.0
        self.fresh = 100  # tokens above those that rules draw
        self.taken: list[Invocation] = []
        self.answered: list[Invocation] = []
        self.last_outcome: Outcome | None = None
        self.started: list[str] = []  # request ids, in the order of their START
        self.reported: list[str] = []
        self.init_durations = 0
        self.suppressed = False
        self.parked: set[int] = set()
        self.began: dict[int, Invocation] = {}  # post -> what was in hand when it began
        self.resetting = False
        self.ended = 0

    def feed(self, event: Event) -> list[Action] | None:
        """Feed the environment and check what it orders; None when it refused."""
        before = self.state()
        try:
            actions = self.environment.receive(event, self.now)
        except (RuntimeApiError, InvalidPhaseTransition):
            assert self.state() == before, "a refused event changed something"
            return None
        if isinstance(event, ProcessesGone):
            self.resetting = False
        for place, action in enumerate(actions):
            assert not self.ended, "something follows the end"
            self.check(action, is_last=place == len(actions) - 1)
        return actions

    def state(self) -> str:
        """Return all that the environment holds, deep: it is made of dataclasses."""
        held = {name: getattr(self.environment, name) for name in ExecutionEnvironment.__slots__}
        return repr(held)

    def check(self, action: Action, *, is_last: bool) -> None:
        match action:
            case Reset():
                assert is_last, "something follows a Reset"
                assert not self.resetting, "a Reset during a Reset"
                self.resetting = True
                self.parked.clear()
            case SendInvocation():
                self.check_sent(action)
            case Complete():
                assert action.invocation in self.taken
                assert action.invocation not in self.answered, "answered twice"
                self.answered.append(action.invocation)
                self.last_outcome = action.outcome
            case StartRuntime():
                assert not self.resetting, "a start during a Reset"
                assert self.environment.phase in {Phase.INIT, Phase.INVOKE}
                self.suppressed = self.suppressed or action.phase == "invoke"
            case BecomeFree():
                assert is_last
                assert not self.resetting
                assert self.environment.phase in {Phase.READY, Phase.COLD}
            case End():
                assert is_last
                assert not self.resetting
                assert self.environment.phase is Phase.ENDED
                self.ended += 1
            case Emit():
                for event in events_of(action):
                    self.check_told(event)

    def check_sent(self, action: SendInvocation) -> None:
        assert not self.resetting, "an invocation sent during a Reset"
        assert action.poll in self.parked, "sent to a poll that does not wait"
        assert isinstance(action.poll, int)
        self.parked.remove(action.poll)
        assert action.invocation == self.environment.invocation
        assert action.invocation not in self.answered
        assert action.deadline == self.environment.deadline

    def check_told(self, event: PlatformEvent) -> None:
        if isinstance(event, Start):
            self.started.append(event.request_id)
        if isinstance(event, Report):
            self.reported.append(event.request_id)
            assert self.started == self.reported, "a report without a start"
            self.check_verdict(event)
            if event.init_duration is not None:
                self.init_durations += 1
                assert not self.suppressed, "an init inside an invocation has no Init Duration"
                assert self.init_durations == 1, "there is one init phase, told once"

    def check_verdict(self, report: Report) -> None:
        """What the caller was told is what the log says."""
        match self.last_outcome:
            case Failure(status="timeout"):
                assert (report.status, report.error_type) == ("timeout", None)
            case Failure(error_type=error_type):
                assert (report.status, report.error_type) == ("error", error_type)
            case Refused():
                assert report.status == "failure"
            case _:
                # It answered; whether it came as far as the next poll is another question.
                assert report.status != "failure"

    def token(self) -> int:
        self.fresh += 1
        return self.fresh

    # What usually happens: without it few histories get anywhere

    @rule(steps=st.integers(1, 12))
    def all_goes_well(self, steps: int) -> None:
        for _ in range(steps):
            self.go_on()

    def go_on(self) -> None:
        match self.environment.phase, self.environment.runtime:
            case Phase.CREATED, _:
                self.start()
            case (Phase.READY, _) if self.parked:
                self.invocation_assigned(number=self.fresh % 3)
            case Phase.COLD, _:
                self.invocation_assigned(number=self.fresh % 3)
            case ((Phase.RESETTING | Phase.SHUTDOWN), _):
                self.processes_gone()
            case Phase.INVOKE, RuntimeState.RUNNING:
                self.answer_to_the_invocation_in_hand("response", echoed=True)
            case Phase.INVOKE, RuntimeState.RESPONDING | RuntimeState.ERRING:
                self.body_complete(0, "response", "size")
            case _:
                self.next_polled(memory=0)

    # What can happen

    @initialize(begin=st.booleans())
    def begin(self, begin: bool) -> None:  # noqa: FBT001
        if begin:
            self.feed(StartRequested())

    @rule()
    def start(self) -> None:
        self.feed(StartRequested())

    @rule(seconds=st.sampled_from((0.0, 0.1, 0.5, 1.0, 2.0, 3.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def time_passes_up_to_the_deadline(self) -> None:
        if self.environment.deadline is not None:
            self.now = max(self.now, self.environment.deadline)
            assert self.feed(DeadlinePassed()), "a deadline that was kept had no effect"

    @rule()
    def deadline_passes_or_does_not(self) -> None:
        assert self.feed(DeadlinePassed()) is not None

    @rule(memory=st.integers(0, 2**30))
    def next_polled(self, memory: int) -> None:
        poll = self.token()
        self.parked.add(poll)
        if self.feed(NextPolled(poll, memory)) is None:
            self.parked.remove(poll)

    @rule(choice=tokens)
    def poll_abandoned(self, choice: int) -> None:
        parked = sorted(self.parked)
        poll = parked[choice % len(parked)] if parked else choice
        self.parked.discard(poll)
        self.feed(PollAbandoned(poll))

    @rule(number=request_numbers)
    def invocation_assigned(self, number: int) -> None:
        # A request id may come again, as in a retry; its nonce does not.
        invocation = make_invocation(f"id-{number}", invocation_id=str(self.token()))
        self.taken.append(invocation)
        if self.feed(InvocationAssigned(invocation)) is None:
            self.taken.remove(invocation)

    @rule(kind=kinds, echoed=st.booleans())
    def answer_to_the_invocation_in_hand(self, kind: PostKind, echoed: bool) -> None:  # noqa: FBT001
        if self.environment.invocation is not None:
            self.post(kind, self.environment.invocation, echoed=echoed)

    @rule(kind=kinds, choice=tokens, echoed=st.booleans())
    def answer_to_any_invocation(
        self,
        kind: PostKind,
        choice: int,
        echoed: bool,  # noqa: FBT001
    ) -> None:
        if self.taken:
            self.post(kind, self.taken[choice % len(self.taken)], echoed=echoed)

    def post(self, kind: PostKind, meant: Invocation, *, echoed: bool) -> None:
        post = self.token()
        nonce = meant.invocation_id if echoed else None
        if self.feed(PostBegun(post, kind, meant.request_id, nonce)) is None:
            return
        in_hand = self.environment.invocation
        assert in_hand is not None
        assert in_hand.request_id == meant.request_id
        assert not echoed or in_hand == meant
        self.began[post] = in_hand

    @rule(kind=kinds, choice=tokens, echoed=st.booleans())
    def whole_answer(self, kind: PostKind, choice: int, echoed: bool) -> None:  # noqa: FBT001
        in_hand = self.environment.invocation
        meant = [*self.taken[-3:], in_hand][choice % (len(self.taken[-3:]) + 1)]
        if meant is None:
            return
        outcome = Success(b"1") if kind == "response" else Failure("Function.Bad", b"1")
        nonce = meant.invocation_id if echoed else None
        event = AnswerPosted(self.token(), kind, meant.request_id, nonce, outcome)
        actions = self.feed(event)
        if actions is not None:
            (completed,) = actions
            assert isinstance(completed, Complete)
            assert completed.invocation == in_hand, "an answer reached another caller"
            assert not echoed or completed.invocation == meant

    @rule(choice=tokens, how=st.sampled_from(("response", "error", "spoiled")), flaw=flaws)
    def body_complete(
        self,
        choice: int,
        how: Literal["response", "error", "spoiled"],
        flaw: Literal["mode", "size", "truncated"],
    ) -> None:
        posts = sorted(self.began, reverse=True)
        post = posts[choice % len(posts)] if posts else choice
        events: dict[str, Event] = {
            "response": OutcomePosted(post, Success(b"1")),
            "error": OutcomePosted(
                post, Failure("Function.Bad", b"1", content_type=b"application/json")
            ),
            "spoiled": PostSpoiled(post, flaw),
        }
        actions = self.feed(events[how])
        if actions is not None:
            (completed,) = actions
            assert isinstance(completed, Complete)
            assert completed.invocation == self.began[post], "an answer reached another caller"

    @rule()
    def init_error_posted(self) -> None:
        self.feed(InitErrorPosted(b"{}", b"application/json", "Function.Bad"))

    @rule(status=exits)
    def runtime_exited(self, status: ExitStatus) -> None:
        assert self.feed(RuntimeExited(status)) is not None, "a fact cannot be refused"

    @rule()
    def runtime_not_started(self) -> None:
        self.feed(RuntimeNotStarted("Runtime.InvalidEntrypoint", "none"))

    @rule()
    def processes_gone(self) -> None:
        self.feed(ProcessesGone(2**20))

    @rule(really=st.sampled_from((True, False, False, False)))
    def retire_requested(self, really: bool) -> None:  # noqa: FBT001
        if really:
            assert self.feed(RetireRequested()) is not None

    # What holds at all times

    @invariant()
    def what_runs_has_a_deadline(self) -> None:
        runs = self.environment.phase in {Phase.INIT, Phase.INVOKE}
        assert not runs or self.environment.deadline is not None

    @invariant()
    def the_polls_it_keeps_are_those_that_wait(self) -> None:
        assert sorted(map(str, self.environment._polls)) == sorted(map(str, self.parked))

    @invariant()
    def an_environment_waits_for_nobody_without_an_answer_but_the_one_in_hand(self) -> None:
        open_ = [invocation for invocation in self.taken if invocation not in self.answered]
        assert len(open_) <= 1

    def teardown(self) -> None:
        self.feed(RetireRequested())
        self.feed(ProcessesGone())

        assert self.environment.phase is Phase.ENDED
        assert self.ended == 1
        assert self.taken == self.answered, "an invocation was never answered"
        assert [invocation.request_id for invocation in self.taken] == self.started
        assert self.started == self.reported
        assert self.environment.deadline is None


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


def test_a_late_answer_without_a_nonce_is_gone_for_as_long_as_ids_are_kept() -> None:
    environment = ExecutionEnvironment(make_function(timeout=1.0))
    environment.receive(StartRequested(), 0.0)
    environment.receive(NextPolled(0), 0.0)
    for number in range(64):
        environment.receive(InvocationAssigned(make_invocation(f"id-{number}")), number * 10.0)
        environment.receive(DeadlinePassed(), number * 10.0 + 1)
        environment.receive(ProcessesGone(), number * 10.0 + 2)

    for number in range(64):
        try:
            environment.receive(PostBegun("post", "response", f"id-{number}", None), 1e6)
        except InvokeTimeout:
            continue
        raise AssertionError(number)
