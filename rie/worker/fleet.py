"""The execution environments of one function version: carries out core/assignment.py.

One timer ends those that have been idle for too long or are too old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from rie.core.assignment import Assignment, Decision, Give, Retire, StartEnvironment, Throttle
from rie.core.errors import RieError, ServiceException, TooManyRequestsException
from rie.core.invocation import Invocation, Refused
from rie.telemetry.diary import get_diary
from rie.worker.driver import EnvironmentDriver, Owner, Reply

Work = tuple[Invocation, Reply]  # an invocation and its caller


Opener = Callable[[Owner], EnvironmentDriver]  # makes an environment; it has not begun


class Fleet:
    """Gives invocations to environments; an Owner to each of them."""

    def __init__(
        self,
        assignment: Assignment[EnvironmentDriver, Work],
        open_environment: Opener,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._assignment = assignment
        self._open = open_environment
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._all_ended = asyncio.Event()

    @property
    def environments(self) -> tuple[EnvironmentDriver, ...]:
        """Every environment that has not ended."""
        return self._assignment.environments

    def submit(self, invocation: Invocation, reply: Reply, *, patient: bool = False) -> None:
        """Run an invocation when its turn comes; `patient` work is never throttled."""
        if self._closing:
            reply(_stopping(), None)
            return
        self._carry_out(self._assignment.arrive((invocation, reply), patient=patient))

    def start_one(self) -> EnvironmentDriver:
        """Start an environment ahead of any invocation."""
        driver = self._open(self)
        self._assignment.started(driver, time.monotonic())
        driver.start()
        return driver

    async def close(self) -> None:
        """Answer all callers, end every environment and wait until nothing is left."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        waiting = self._assignment.close()
        for _, reply in waiting:
            reply(_stopping(), None)
        events = sum(invocation.type == "Event" for invocation, _ in waiting)
        if events:  # their callers were told 202, and hear nothing of this
            get_diary().warning("accepted events are not run: the emulator ends", count=events)
        for driver in self.environments:
            driver.retire()
        if self.environments:
            await self._all_ended.wait()

    # As the Owner of environments

    def environment_free(self, driver: EnvironmentDriver) -> None:
        """Give it the next invocation, or let it be idle."""
        decisions = self._assignment.free(driver, time.monotonic())
        if decisions:
            self._carry_out(decisions)
        if self._timer is None and self._assignment.ages:
            self._watch_ages()

    def environment_ended(self, driver: EnvironmentDriver) -> None:
        """Forget it; somebody who waits may need another."""
        self._carry_out(self._assignment.ended(driver))
        if not self.environments:
            self._all_ended.set()

    def invocation_answered(self, driver: EnvironmentDriver) -> None:
        """Note that it is not counted as concurrency any more."""
        self._assignment.answered(driver)

    def _carry_out(self, decisions: list[Decision[EnvironmentDriver, Work]]) -> None:
        for decision in decisions:
            match decision:
                case Give():
                    decision.environment.assign(*decision.work)
                case StartEnvironment():
                    self._start_another()
                case Throttle():
                    _, reply = decision.work
                    reply(Refused(TooManyRequestsException()), None)
                case Retire():
                    decision.environment.retire()

    def _start_another(self) -> None:
        try:
            self.start_one()
        except (OSError, RieError) as error:  # no port, no descriptor left
            get_diary().error("an environment cannot be started", error=str(error))
            message = f"An execution environment cannot be started: {error}"
            for _, reply in self._assignment.not_started():
                reply(Refused(ServiceException(message)), None)

    def _watch_ages(self) -> None:
        if self._closing:
            return
        at = self._assignment.next_retirement()
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._end_the_old)

    def _end_the_old(self) -> None:
        self._timer = None
        for retire in self._assignment.retiring(time.monotonic()):
            retire.environment.retire()
        self._watch_ages()


def _stopping() -> Refused:
    return Refused(ServiceException("The emulator is shutting down."))
