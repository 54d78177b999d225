"""Which environment gets which waiting invocation, and when another one is started.

Pure: it keeps the line of those that wait and says what is to be done. Concurrency is what
AWS calls so: invocations taken in and not answered yet. Environments are tokens. Source:
developer guide, "Understanding Lambda function scaling".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, Literal, TypeVar

from rie.core.value import value

Env = TypeVar("Env", bound=Hashable)
Work = TypeVar("Work")

OnBusy = Literal["wait", "throttle"]


@value
class Give(Generic[Env, Work]):
    """Give the work to an environment that is free."""

    environment: Env
    work: Work


@value
class StartEnvironment:
    """Start one more environment."""


@value
class Throttle(Generic[Work]):
    """Refuse the work: concurrency is used up."""

    work: Work


@value
class Retire(Generic[Env]):
    """End an environment that is free."""

    environment: Env


Decision = Give[Env, Work] | StartEnvironment | Throttle[Work] | Retire[Env]


class Assignment(Generic[Env, Work]):
    """The line of waiting work and the environments that are free; first come, first served."""

    def __init__(
        self,
        *,
        environments: int,
        on_busy: OnBusy = "wait",
        idle_timeout: float | None = None,
        max_lifetime: float | None = None,
    ) -> None:
        self._most = environments
        self._on_busy = on_busy
        self.ages = idle_timeout is not None or max_lifetime is not None  # whether any is too old
        self._idle_timeout = idle_timeout
        self._max_lifetime = max_lifetime
        self._waiting: deque[Work] = deque()
        self._free: dict[Env, float] = {}  # since when; the latest last
        self._born: dict[Env, float] = {}
        self._starting: set[Env] = set()
        self._unanswered: set[Env] = set()
        self._ending: set[Env] = set()
        self._requested = 0  # StartEnvironment said, environment not there yet

    @property
    def waiting(self) -> int:
        """How many wait for an environment."""
        return len(self._waiting)

    @property
    def environments(self) -> tuple[Env, ...]:
        """Every environment that has not ended."""
        return tuple(self._born)

    def arrive(self, work: Work, *, patient: bool = False) -> list[Decision[Env, Work]]:
        """Take in work. What is `patient` (an asynchronous invocation) is never throttled."""
        if self._free and not self._waiting:
            return [self._give(work)]
        in_flight = len(self._unanswered) + len(self._waiting)
        if self._on_busy == "throttle" and not patient and in_flight >= self._most:
            return [Throttle(work)]
        self._waiting.append(work)
        return self._match()

    def started(self, environment: Env, now: float) -> None:
        """Note an environment on its way up."""
        self._requested = max(0, self._requested - 1)
        self._born[environment] = now
        self._starting.add(environment)

    def not_started(self) -> list[Work]:
        """Note that an environment could not be started.

        Gives back the work that would wait for ever: all of it, when there is no other.
        """
        self._requested = max(0, self._requested - 1)
        return [] if self._born or self._requested else self._given_up()

    def answered(self, environment: Env) -> None:
        """Note that the environment's caller has its outcome."""
        self._unanswered.discard(environment)

    def free(self, environment: Env, now: float) -> list[Decision[Env, Work]]:
        """Note that an environment can take work: it came up, or is done."""
        self._unanswered.discard(environment)
        self._free.pop(environment, None)  # it may lose an idle runtime and say so again
        # One that took longer to start than it may live serves who waits, or nobody ever would.
        awaited = environment in self._starting and bool(self._waiting)
        self._starting.discard(environment)
        if self._max_lifetime is not None and not awaited and self._too_old(environment, now):
            self._ending.add(environment)
            return [Retire(environment), *self._match()]
        self._free[environment] = now
        return self._match() if self._waiting else []

    def ended(self, environment: Env) -> list[Decision[Env, Work]]:
        """Forget an environment."""
        self._starting.discard(environment)
        self._unanswered.discard(environment)
        self._ending.discard(environment)
        self._free.pop(environment, None)
        self._born.pop(environment, None)
        return self._match()

    def retiring(self, now: float) -> list[Retire[Env]]:
        """Take out the free environments whose time is over."""
        over = [env for env in self._free if self._over_at(env) <= now]
        for env in over:
            del self._free[env]
            self._ending.add(env)
        return [Retire(env) for env in over]

    def next_retirement(self) -> float | None:
        """Say when `retiring` should be asked, or None."""
        if not self.ages:
            return None
        return min(map(self._over_at, self._free), default=None)

    def close(self) -> list[Work]:
        """Give up all that waits, and start nothing more: everything is being ended."""
        self._most = 0
        return self._given_up()

    def _given_up(self) -> list[Work]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def _too_old(self, env: Env, now: float) -> bool:
        return self._max_lifetime is not None and now >= self._born[env] + self._max_lifetime

    def _over_at(self, env: Env) -> float:
        idle = float("inf") if self._idle_timeout is None else self._idle_timeout
        life = float("inf") if self._max_lifetime is None else self._max_lifetime
        return min(self._free[env] + idle, self._born[env] + life)

    def _give(self, work: Work) -> Give[Env, Work]:
        # The one that was busy last: its memory is still in the processor's caches.
        env, _ = self._free.popitem()
        self._unanswered.add(env)
        return Give(env, work)

    def _match(self) -> list[Decision[Env, Work]]:
        decisions: list[Decision[Env, Work]] = []
        while self._waiting and self._free:
            decisions.append(self._give(self._waiting.popleft()))
        missing = len(self._waiting) - self._coming()
        room = self._most - len(self._born) - self._requested
        for _ in range(min(missing, room)):
            self._requested += 1
            decisions.append(StartEnvironment())
        return decisions

    def _coming(self) -> int:
        """Count the environments that will be free without anybody waiting for the function.

        Those on their way up, and those that have answered: a caller that calls again at once
        should meet the same environment, not start another.
        """
        busy = len(self._born) - len(self._free) - len(self._unanswered) - len(self._ending)
        return busy + self._requested
