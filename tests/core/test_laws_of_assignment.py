"""The laws of the assignment, over random histories of work and environments."""

from __future__ import annotations

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rie.core.assignment import Assignment, Decision, Give, Retire, StartEnvironment, Throttle

choices = st.integers(0, 20)


class Histories(RuleBasedStateMachine):
    """Work is numbered as it arrives; environments as they are started."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.works = 0
        self.names = 0
        self.line: deque[int] = deque()  # taken in and not given
        self.requested = 0
        self.coming: set[int] = set()
        self.free: set[int] = set()
        self.unanswered: set[int] = set()
        self.answered: set[int] = set()  # and not free yet
        self.ending: set[int] = set()
        self.closed = False

    @initialize(
        most=st.integers(1, 3),
        throttle=st.booleans(),
        idle_timeout=st.sampled_from((None, 1.0, 4.0)),
        max_lifetime=st.sampled_from((None, 2.0)),
    )
    def begin(
        self,
        most: int,
        throttle: bool,  # noqa: FBT001
        idle_timeout: float | None,
        max_lifetime: float | None,
    ) -> None:
        self.most = most
        self.throttle = throttle
        self.assignment: Assignment[int, int] = Assignment(
            environments=most,
            on_busy="throttle" if throttle else "wait",
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
        )

    @property
    def alive(self) -> set[int]:
        return self.coming | self.free | self.unanswered | self.answered | self.ending

    def carry_out(self, decisions: list[Decision[int, int]]) -> None:
        for decision in decisions:
            match decision:
                case Give():
                    assert decision.work == self.line.popleft(), "not first come, first served"
                    self.free.remove(decision.environment)
                    self.unanswered.add(decision.environment)
                case StartEnvironment():
                    self.requested += 1
                    assert not self.closed, "an environment started after the close"
                    assert len(self.alive) + self.requested <= self.most
                case Throttle():
                    assert decision.work == self.line.pop()
                case Retire():
                    self.free.remove(decision.environment)
                    self.ending.add(decision.environment)

    def pick(self, environments: set[int], choice: int) -> int:
        return sorted(environments)[choice % len(environments)]

    @precondition(lambda self: not self.closed)
    @rule(patient=st.booleans())
    def arrive(self, patient: bool) -> None:  # noqa: FBT001
        in_flight = len(self.line) + len(self.unanswered)
        self.works += 1
        self.line.append(self.works)
        decisions = self.assignment.arrive(self.works, patient=patient)

        expected = self.throttle and not patient and in_flight >= self.most
        assert (decisions == [Throttle(self.works)]) is expected
        self.carry_out(decisions)

    @precondition(lambda self: self.requested > 0)
    @rule()
    def started(self) -> None:
        self.requested -= 1
        self.start()

    # What was asked for is started first.
    @precondition(
        lambda self: not self.closed and not self.requested and len(self.alive) < self.most
    )
    @rule()
    def started_ahead(self) -> None:
        self.start()

    def start(self) -> None:
        self.names += 1
        self.coming.add(self.names)
        self.assignment.started(self.names, self.now)

    @precondition(lambda self: self.unanswered)
    @rule(choice=choices)
    def answered_(self, choice: int) -> None:
        environment = self.pick(self.unanswered, choice)
        self.unanswered.remove(environment)
        self.answered.add(environment)
        self.assignment.answered(environment)

    @precondition(lambda self: self.alive - self.ending)
    @rule(choice=choices)
    def freed(self, choice: int) -> None:
        """Free one: it came up, is done, or was free and has lost its runtime."""
        environment = self.pick(self.alive - self.ending, choice)
        for group in (self.coming, self.unanswered, self.answered):
            group.discard(environment)
        self.free.add(environment)
        self.carry_out(self.assignment.free(environment, self.now))

    @precondition(lambda self: self.alive)
    @rule(choice=choices)
    def ended(self, choice: int) -> None:
        environment = self.pick(self.alive, choice)
        for group in (self.coming, self.free, self.unanswered, self.answered, self.ending):
            group.discard(environment)
        self.carry_out(self.assignment.ended(environment))

    @rule(seconds=st.sampled_from((1.0, 3.0)))
    def time_passes_and_the_timer_is_late(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from((0.5, 1.0, 3.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        at = self.assignment.next_retirement()
        retired = self.assignment.retiring(self.now)
        assert bool(retired) is (at is not None and at <= self.now)
        self.carry_out([*retired])

    @precondition(lambda self: not self.closed)
    @rule(really=st.sampled_from((True, False, False, False, False)))
    def close(self, really: bool) -> None:  # noqa: FBT001
        if not really:
            return
        self.closed = True
        assert self.assignment.close() == list(self.line)
        self.line.clear()

    @invariant()
    def nothing_is_lost_and_nothing_counted_twice(self) -> None:
        if self.names or self.works:
            assert self.assignment.waiting == len(self.line)
            assert set(self.assignment.environments) == self.alive

    @invariant()
    def nobody_waits_beside_a_free_environment(self) -> None:
        assert not (self.line and self.free)

    @invariant()
    def whoever_waits_has_one_to_wait_for_or_every_place_is_taken(self) -> None:
        if self.line and not self.closed:
            places = len(self.alive) + self.requested
            hoped_for = len(self.coming) + len(self.answered) + self.requested
            assert places == self.most or hoped_for > 0

    def teardown(self) -> None:
        """Whatever waits is given in the end, when environments do their work."""
        for _ in range(2 * self.works):
            if self.requested:
                self.started()
            self.finish(self.coming | self.unanswered | self.answered | self.ending)
        assert not self.line, "work that nobody will ever be given"

    def finish(self, environments: set[int]) -> None:
        for environment in sorted(environments):
            if environment in self.ending:
                self.ended(choice=sorted(self.alive).index(environment))
            else:
                self.freed(choice=sorted(self.alive - self.ending).index(environment))


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
