"""Between the core and the machine: one execution environment's clock, processes and callers.

Feeds the core with facts and carries out its orders; decides nothing. What it adds: the
callers that wait, one timer, the processes and their pipes. All of it is for the thread of
the event loop only.

Hot path: `next`, `begin`, `respond` and `assign` run as plain calls within one turn of the
loop, without a task or a future; an answer reaches its caller from inside them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Protocol

from rie.core import platform
from rie.core.environment import ExecutionEnvironment
from rie.core.events import (
    AnswerPosted,
    BecomeFree,
    Complete,
    DeadlinePassed,
    Emit,
    End,
    Event,
    Flaw,
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
from rie.core.function import FunctionConfiguration
from rie.core.invocation import Failure, Invocation, Outcome, Payload, Success
from rie.core.states import Phase
from rie.telemetry.diary import get_diary
from rie.telemetry.figures import epoch_offset
from rie.telemetry.stream import LogStream
from rie.worker.entrypoint import LaunchError
from rie.worker.output import Output
from rie.worker.process import Launch, RuntimeProcess, start_process

# Tells the caller what became of its invocation, with the end of the log where asked for.
Reply = Callable[[Outcome, bytes | None], None]

# How often runtimes that start processes of their own are looked at for the peak of memory.
FIRST_MEMORY_INTERVAL, MEMORY_INTERVAL = 0.005, 0.05


def _no_time() -> float:
    return 0.0


class Poll(Protocol):
    """A runtime's parked /next."""

    def send(self, invocation: Invocation, deadline_ms: int) -> None:
        """Answer it. `deadline_ms` is in milliseconds since the epoch."""


class Owner(Protocol):
    """Whoever gives the environment its work."""

    def environment_free(self, driver: EnvironmentDriver) -> None:
        """Give it the next invocation: it can take one."""

    def environment_ended(self, driver: EnvironmentDriver) -> None:
        """Forget it: nothing of it is left."""

    def invocation_answered(self, driver: EnvironmentDriver) -> None:
        """Note that its caller has the outcome; it may not be free itself yet."""


class EnvironmentDriver:
    """One execution environment at work."""

    def __init__(  # noqa: PLR0913 - what an environment stands on
        self,
        function: FunctionConfiguration,
        launch: Launch,
        output: Output,
        log: LogStream,
        owner: Owner,
        *,
        loop: asyncio.AbstractEventLoop,
        spawn: Callable[[Coroutine[object, object, None]], object],
        freezes: bool = False,
        prepared: RuntimeProcess | LaunchError | None = None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.log = log
        self._environment = ExecutionEnvironment(function)
        self._memory_size = function.memory_size
        self._launch = launch
        self._output = output
        self._owner = owner
        self._loop = loop
        self._spawn = spawn
        self._freezes = freezes
        self._frozen = False
        self._prepared = prepared
        self._runtime: RuntimeProcess | None = None
        self._closed = closed
        self._replies: dict[str, Reply] = {}
        self._owed: tuple[Reply, Outcome] | None = None  # waits for REPORT, with the log's end
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._memory_timer: asyncio.TimerHandle | None = None

    @property
    def phase(self) -> Phase:
        """What the environment is doing."""
        return self._environment.phase

    # From the owner

    def start(self) -> None:
        """Bring the environment up, ahead of any invocation."""
        self._output.attach(self._loop)
        prepared = self._prepared
        # The clock of an init that is under way already began with its process.
        under_way = None if isinstance(prepared, LaunchError) else prepared
        at = under_way.started_at if under_way is not None else None
        self._receive(StartRequested(), at)

    def assign(self, invocation: Invocation, reply: Reply) -> None:
        """Give it an invocation; `reply` is called once, from within a turn of the loop."""
        self._replies[invocation.request_id] = reply
        if invocation.log_tail:
            self.log.begin_tail()
        if self._frozen:
            self._thaw()
        self._receive(InvocationAssigned(invocation))
        if self._memory_timer is None and self._runtime is not None:
            self._watch_memory(MEMORY_INTERVAL)

    def retire(self) -> None:
        """End it; the owner hears environment_ended when nothing of it is left."""
        self._receive(RetireRequested())

    def kill_now(self) -> None:
        """Kill its processes without waiting, on the way out of a crash."""
        if self._runtime is not None:
            self._runtime.kill_now()

    # From the Runtime API. All raise RuntimeApiError when the runtime may not do this.

    def next(self, poll: Poll, waited: Callable[[], float] = _no_time) -> None:
        """Take in a /next; `poll` is answered now or later.

        `waited` says for how many seconds it had been there before anybody looked: a first one
        may have come while this program was still starting.
        """
        memory, now = 0, time.monotonic()
        runtime = self._runtime
        if runtime is not None:
            # What the function wrote before this call belongs before its END.
            self._output.settle()
            memory = runtime.peak_memory(now)
            if self._environment.phase is Phase.INIT:
                now = max(now - waited(), runtime.started_at)
        self._receive(NextPolled(poll, memory), now)

    def abandon(self, poll: Poll) -> None:
        """Take in that a parked poller hung up."""
        self._receive(PollAbandoned(poll))

    def begin(
        self, post: object, kind: PostKind, request_id: str, invocation_id: str | None
    ) -> None:
        """Take in the head of a /response or /error."""
        self._receive(PostBegun(post, kind, request_id, invocation_id))

    def answer(
        self,
        post: object,
        kind: PostKind,
        request_id: str,
        invocation_id: str | None,
        outcome: Success | Failure,
    ) -> None:
        """Take in a /response or /error that is here whole."""
        self._receive(AnswerPosted(post, kind, request_id, invocation_id, outcome))

    def finish(self, post: object, outcome: Success | Failure) -> None:
        """Take in the body of a post that was begun."""
        self._receive(OutcomePosted(post, outcome))

    def spoil(self, post: object, flaw: Flaw) -> None:
        """Take in that a post that had begun cannot be used."""
        self._receive(PostSpoiled(post, flaw))

    def fail_init(self, payload: Payload, content_type: bytes, error_type: str) -> None:
        """Take in an /init/error."""
        if self._runtime is not None:
            self._runtime.sample_memory()  # it is about to exit, and to take the figure with it
        self._receive(InitErrorPosted(payload, content_type, error_type))

    # The loop between facts and orders

    def _receive(  # noqa: C901 - one case an order
        self, event: Event, now: float | None = None
    ) -> None:
        environment = self._environment
        for action in environment.receive(event, time.monotonic() if now is None else now):
            try:
                match action:  # those of every invocation first
                    case Emit():
                        self._tell(action.event)
                    case SendInvocation():
                        self._send(action)
                    case Complete():
                        self._complete(action)
                    case BecomeFree():
                        self._owner.environment_free(self)
                    case StartRuntime():
                        self._start_runtime()
                    case Reset():
                        self._spawn(self._reset())
                    case End():
                        self._end()
            except Exception:  # noqa: BLE001 - a defect; without the orders after it all would hang
                get_diary().exception(
                    "an order failed: please report this with its traceback",
                    order=type(action).__name__,
                )
        deadline = environment.deadline
        if deadline is not None and (self._timer is None or deadline < self._timer_at):
            self._set_timer(deadline)
        if self._freezes and environment.phase is Phase.READY:
            self._freeze()

    def _tell(self, event: platform.PlatformEvent | platform.InvocationEnd) -> None:
        self.log.platform(event)
        if self._owed is not None and isinstance(event, platform.InvocationEnd):
            self._pay()

    def _send(self, action: SendInvocation) -> None:
        poll: Poll = action.poll  # type: ignore[assignment]  # a token to the core
        poll.send(action.invocation, int((action.deadline + epoch_offset()) * 1000))

    def _pay(self) -> None:
        """Give the caller who asked for the end of the log its outcome, now that it is whole."""
        if self._owed is not None:
            (reply, outcome), self._owed = self._owed, None
            tail = self.log.end_tail()
            self.log.flush()  # what its caller is given stands in the log by then
            reply(outcome, tail)

    def _complete(self, action: Complete) -> None:
        reply = self._replies.pop(action.invocation.request_id)
        if action.invocation.log_tail:
            self._owed = (reply, action.outcome)
        else:
            reply(action.outcome, None)
        self._owner.invocation_answered(self)

    # Processes

    def _start_runtime(self) -> None:
        prepared, self._prepared = self._prepared, None
        try:
            if isinstance(prepared, LaunchError):
                raise prepared
            self._runtime = runtime = prepared or self._spawn_runtime()
        except LaunchError as error:
            self._not_started(error)
            return
        runtime.watch(self._loop, self._exited)
        self._watch_memory()

    def _spawn_runtime(self) -> RuntimeProcess:
        output = self._output
        return start_process(self._launch, output.child_output, (output.child_telemetry,))

    def _not_started(self, error: LaunchError) -> None:
        get_diary().error(
            "the runtime cannot be started",
            error=error.message,
            error_type=error.error_type,
            **({"hint": error.hint} if error.hint else {}),
        )
        self._receive(RuntimeNotStarted(error.error_type, error.message))

    def _exited(self, status: ExitStatus) -> None:
        get_diary().debug("the runtime exited", status=status.describe(), log_stream=self.log.name)
        if status.out_of_memory:
            get_diary().warning(
                "the function has used up its memory; give it more with --memory-size",
                phase=self.phase.value,
                memory_size=self._memory_size,
            )
        self._receive(RuntimeExited(status))

    async def _reset(self) -> None:
        runtime, self._runtime, self._frozen = self._runtime, None, False
        memory = 0
        if runtime is not None:
            memory = await runtime.kill()
        self._output.settle()
        self._receive(ProcessesGone(memory))

    def _end(self) -> None:
        for timer in (self._timer, self._memory_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._memory_timer = None
        self._output.close()
        self.log.close()
        self._launch.sandbox.close()
        self._closed()
        self._owner.environment_ended(self)

    def _freeze(self) -> None:
        """Stop everything: on AWS nothing runs between invocations."""
        if self._runtime is not None and not self._frozen:
            self._frozen = True
            self._runtime.freeze()

    def _thaw(self) -> None:
        self._frozen = False
        if self._runtime is not None:
            self._runtime.thaw()

    # Timers

    def _set_timer(self, deadline: float) -> None:
        """See that `deadline` is kept.

        A timer that is early anyway is left as it is and looks again when it fires: so a
        function that is called often costs one timer per timeout, not per invocation.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(deadline - time.monotonic(), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        deadline = self._environment.deadline
        now = time.monotonic()
        if deadline is None:
            return
        if now >= deadline:
            self._receive(DeadlinePassed(), now)
        else:
            self._set_timer(deadline)

    def _watch_memory(self, interval: float = FIRST_MEMORY_INTERVAL) -> None:
        if self._memory_timer is not None:
            self._memory_timer.cancel()
        self._memory_timer = self._loop.call_later(interval, self._sample_memory, interval)

    def _sample_memory(self, interval: float) -> None:
        self._memory_timer = None
        if self._runtime is None:
            return
        if self.phase in _BUSY:  # an idle environment costs nothing; the next call looks again
            self._runtime.sample_memory()
            self._watch_memory(min(2 * interval, MEMORY_INTERVAL))


_BUSY = frozenset({Phase.INIT, Phase.INVOKE})
