"""One execution environment as a machine: facts in, orders out.

`receive` is the only door. It never waits, reads no clock and touches nothing but this
object; a refused event raises a RuntimeApiError and changes nothing. Times are in seconds
on whatever monotonic clock the driver uses. `deadline` says when it wants to be told
DeadlinePassed. Extensions will add participants: their states beside the runtime's, and
"ready" will mean all of them.

Sources: developer guide, "Lambda execution environment" (phases, suppressed init);
Runtime API reference; the official emulator's replies.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, assert_never, cast

from rie.core import platform
from rie.core.errors import (
    InvalidRequestID,
    InvalidStateTransition,
    InvokeTimeout,
    ServiceException,
)
from rie.core.events import (
    Action,
    AnswerPosted,
    BecomeFree,
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
from rie.core.invocation import (
    Failure,
    Invocation,
    Outcome,
    Refused,
    exit_error,
    platform_failure,
    response_too_large,
    timed_out,
    unusable,
)
from rie.core.progress import SHUT_DOWN, Cut, Init, Run
from rie.core.states import (
    AFTER_INVOKED,
    AFTER_NEXT,
    AFTER_SENT,
    Phase,
    RuntimeCall,
    RuntimeState,
    Turn,
    moved,
    turned,
)

if TYPE_CHECKING:
    from rie.core.function import FunctionConfiguration

# By themselves, for what happens in every invocation: Python 3.11 takes its time for a member
# of an Enum.
_STARTED, _READY, _INIT_ERROR = RuntimeState.STARTED, RuntimeState.READY, RuntimeState.INIT_ERROR
_RUNNING, _RESPONDED = RuntimeState.RUNNING, RuntimeState.RESPONDED
_RESPONSE, _ERROR = RuntimeCall.RESPONSE, RuntimeCall.ERROR
_RESETTING, _COLD = Phase.RESETTING, Phase.COLD
_INVOKE, _ALL_READY = Turn.INVOKE, Turn.ALL_READY

# After /init/error a runtime is expected to exit. One that does not is killed after this
# many seconds: long enough for its last log lines, short beside the 10 s of the init phase.
INIT_ERROR_GRACE = 2.0

_EXPIRED_KEPT = 64  # ids of invocations cut off, for the 410 that a late answer gets


class ExecutionEnvironment:
    """The state of one environment, changed by `receive` alone; everybody else only looks.

    `phase` is what it is doing; `runtime` where the runtime stands, which means nothing while
    there are no processes; `deadline` when DeadlinePassed is due.
    """

    __slots__ = (
        "_cut",
        "_expired",
        "_function",
        "_held",
        "_init",
        "_init_duration",
        "_polls",
        "_run",
        "deadline",
        "phase",
        "runtime",
    )

    def __init__(self, function: FunctionConfiguration) -> None:
        self._function = function
        self.phase = Phase.CREATED
        self.runtime = RuntimeState.STARTED
        self._polls: list[object] = []
        self._init: Init | None = None
        self._init_duration: float | None = None  # told once, with the first REPORT
        self._run: Run | None = None
        self._held: Invocation | None = None  # given while an idle runtime is cleared away
        self._cut: Cut | None = None
        self.deadline: float | None = None
        self._expired: deque[str] = deque(maxlen=_EXPIRED_KEPT)

    @property
    def invocation(self) -> Invocation | None:
        """The invocation in hand, until it is reported."""
        return self._run.invocation if self._run else None

    def receive(self, event: Event, now: float) -> list[Action]:  # noqa: C901, PLR0911, PLR0912
        """Take in a fact; give back what is to be done, in order. One case a fact, no more.

        Raises RuntimeApiError when the runtime may not do what it did, and
        InvalidPhaseTransition for an order that the environment cannot follow.
        """
        match event:
            case NextPolled():
                return self._next_polled(event, now)
            case InvocationAssigned():
                return self._assigned(event.invocation, now)
            case AnswerPosted():
                self._post_begun(event)
                return self._answered(event.post, event.outcome)
            case PostBegun():
                self._post_begun(event)
                return []
            case OutcomePosted():
                return self._answered(event.post, event.outcome)
            case PostSpoiled():
                return self._answered(event.post, _spoiled(event.flaw))
            case InitErrorPosted():
                return self._init_error_posted(event, now)
            case PollAbandoned():
                return self._poll_abandoned(event.poll)
            case StartRequested():
                return self._start(now)
            case RuntimeNotStarted() | RuntimeExited():
                return self._runtime_lost(event, now)
            case DeadlinePassed():
                return self._deadline_passed(now)
            case RetireRequested():
                return self._retired(now)
            case ProcessesGone():
                return self._processes_gone(event, now)
            case _:
                assert_never(event)

    # The runtime's calls

    def _next_polled(self, event: NextPolled, now: float) -> list[Action]:
        before, run = self.runtime, self._run
        if self.phase not in _ALIVE:
            raise InvalidStateTransition(before.value, _READY.value)
        self.runtime = AFTER_NEXT.get(before) or moved(before, RuntimeCall.NEXT)
        if before is _RESPONDED and run is not None:
            self._polls.append(event.poll)
            return self._finished(run, event.memory, now)
        if before is _RUNNING and run is not None:
            return [SendInvocation(event.poll, run.invocation, run.deadline)]
        actions = self._initialised(now) if before is _STARTED else []
        self._polls.append(event.poll)
        return actions + self._send()

    def _poll_abandoned(self, poll: object) -> list[Action]:
        if poll in self._polls:
            self._polls.remove(poll)
        return []

    def _post_begun(self, event: PostBegun | AnswerPosted) -> None:
        call = _RESPONSE if event.kind == "response" else _ERROR
        run, alive = self._run, self.phase in _ALIVE
        if self.runtime is _INIT_ERROR and alive:
            moved(self.runtime, call)  # refuses: after /init/error every call is a 403
        if run is None or event.request_id != run.invocation.request_id or not alive:
            raise InvokeTimeout if event.request_id in self._expired else InvalidRequestID
        echoed = event.invocation_id
        if echoed is not None and echoed != run.invocation.invocation_id:
            raise InvokeTimeout  # an answer to an earlier delivery of the same request id
        self.runtime = moved(self.runtime, call)
        run.post = event.post

    def _answered(self, post: object, outcome: Outcome) -> list[Action]:
        run = self._run
        if run is None or run.post is not post or self.phase not in _ALIVE:
            raise InvokeTimeout  # the environment was reset while the body was on its way
        self.runtime = AFTER_SENT.get(self.runtime) or moved(self.runtime, RuntimeCall.SENT)
        run.post = None
        return [run.answer(outcome)]

    def _init_error_posted(self, event: InitErrorPosted, now: float) -> list[Action]:
        if not self._alive():
            raise InvalidStateTransition(self.runtime.value, RuntimeState.INIT_ERROR.value)
        self.runtime = moved(self.runtime, RuntimeCall.INIT_ERROR)
        init = cast("Init", self._init)  # there is one as long as the runtime is STARTED
        init.failure = Failure(event.error_type, event.payload, content_type=event.content_type)
        grace = now + INIT_ERROR_GRACE
        self.deadline = grace if self.deadline is None else min(self.deadline, grace)
        return []

    # Orders

    def _start(self, now: float) -> list[Action]:
        self._turn(Turn.START)
        self.deadline = now + self._function.init_timeout
        return self._begin_init("init", now)

    def _begin_init(self, phase: platform.InitPhase, now: float) -> list[Action]:
        self.runtime = RuntimeState.STARTED
        self._init = Init(phase, now)
        return [Emit(platform.InitStart(at=now, phase=phase)), StartRuntime(phase)]

    def _assigned(self, invocation: Invocation, now: float) -> list[Action]:
        phase = self.phase
        if phase is _RESETTING and self._free_in_reset():
            # Whoever gives the work knew it as free, and hears nothing of a crash while idle.
            self._held = invocation
            return []
        self.phase = turned(phase, _INVOKE)
        self.deadline = deadline = now + self._function.timeout
        self._run = run = Run(invocation, now, deadline)
        if phase is _COLD:  # suppressed init: within the invocation's duration and deadline
            return self._begin_init("invoke", now)
        actions = self._send()
        actions.append(run.start(now))
        return actions

    def _retired(self, now: float) -> list[Action]:
        if self.phase in {Phase.SHUTDOWN, Phase.ENDED}:
            return []
        resetting = self.phase is Phase.RESETTING
        self._turn(Turn.RETIRE)
        self.deadline = None
        self._polls.clear()
        if self._held is not None:
            self._run, self._held = Run(self._held, now, now), None
        actions = self._complete(Refused(ServiceException("The emulator is shutting down.")))
        if actions or not resetting:
            self._cut = Cut(now, "failure", SHUT_DOWN)
        # A Reset under way will do.
        return actions if resetting else [*actions, Reset()]

    # What befalls it

    def _runtime_lost(self, event: RuntimeExited | RuntimeNotStarted, now: float) -> list[Action]:
        if not self._alive():
            return []
        if isinstance(event, RuntimeExited):
            error_type, reason = "Runtime.ExitError", event.status.describe()
        else:
            error_type, reason = event.error_type, event.message
        said = self._init.failure if self._init else None
        if said:  # its exit is what /init/error announced
            return self._fail(Cut(now, "error", said.error_type), said)
        failure = self._make_failure(error_type, reason)
        reported = error_type
        if isinstance(event, RuntimeExited) and event.status.out_of_memory:
            # The caller and the log read of a killed process, the REPORT names the reason.
            reported = "Runtime.OutOfMemory"
            failure = failure and Failure(reported, failure.payload)
        return self._fail(Cut(now, "error", reported, reason, error_type), failure)

    def _deadline_passed(self, now: float) -> list[Action]:
        if self.deadline is None or now < self.deadline:
            return []
        said = self._init.failure if self._init else None
        if said:  # it posted /init/error and did not exit
            return self._fail(Cut(now, "error", said.error_type), said)
        cut = Cut(self.deadline, "timeout", None)  # AWS reports the timeout itself, exactly
        if self._run is None:
            return self._fail(cut, None)
        invocation = self._run.invocation
        self._expired.append(invocation.request_id)
        return self._fail(cut, timed_out(invocation.request_id, self._function.timeout))

    def _fail(self, cut: Cut, failure: Failure | None) -> list[Action]:
        self._turn(Turn.FAILED)
        self._cut = cut
        self.deadline = None
        self._polls.clear()
        completed = self._complete(failure) if failure else []
        return [*completed, Reset()]

    def _processes_gone(self, event: ProcessesGone, now: float) -> list[Action]:
        self._turn(Turn.KILLED)
        actions = self._reports_of_the_cut(event.memory)
        held, self._held = self._held, None
        self._cut = self._init = self._run = self._init_duration = None
        if held is not None:
            return [*actions, *self._assigned(held, now)]
        return [*actions, End() if self.phase is Phase.ENDED else _FREE]

    # Telling

    def _initialised(self, now: float) -> list[Action]:
        actions = self._init_reports("success", None, now)
        if self._run is not None:
            return [*actions, self._run.start(now)]
        self._turn(Turn.ALL_READY)
        self.deadline = None
        return [*actions, _FREE]

    def _init_reports(
        self, status: platform.Status, error_type: str | None, now: float
    ) -> list[Action]:
        init, self._init = self._init, None
        if init is None:
            return []
        if init.phase == "init" and status == "success":
            self._init_duration = now - init.began
        return init.reports(status, error_type, now)

    def _finished(self, run: Run, memory: int, now: float) -> list[Action]:
        init_duration, self._init_duration = self._init_duration, None
        self._run = None
        self.deadline = None
        self.phase = turned(self.phase, _ALL_READY)
        verdict = run.told or ("success", None)
        return [run.end(self._function, verdict, memory, init_duration, now), _FREE]

    def _reports_of_the_cut(self, memory: int) -> list[Action]:
        cut = cast("Cut", self._cut)  # no Reset without one
        actions = self._init_reports(cut.status, cut.error_type, cut.at)
        run = self._run
        if run is None:
            return actions
        if not run.started:
            actions.append(run.start(cut.at))
        actions += cut.told(run.invocation.request_id, self._function.timeout)
        init_duration, self._init_duration = self._init_duration, None
        verdict = run.verdict(cut)
        return [*actions, run.end(self._function, verdict, memory, init_duration, cut.at)]

    # Small things

    def _send(self) -> list[Action]:
        """Give the invocation in hand to a parked poll, if there are both."""
        run = self._run
        if run is None or not self._polls or self.runtime is not _READY:
            return []
        self.runtime = AFTER_INVOKED[_READY]
        # The latest poll: of two, the earlier may be a connection whose end is not seen yet.
        return [SendInvocation(self._polls.pop(), run.invocation, run.deadline)]

    def _complete(self, outcome: Outcome) -> list[Action]:
        run = self._run
        if run is None or run.told is not None:
            return []
        return [run.answer(outcome)]

    def _make_failure(self, error_type: str, reason: str) -> Failure | None:
        if self._run is None:
            return None
        request_id = self._run.invocation.request_id
        if error_type == "Runtime.ExitError":
            return exit_error(request_id, reason)
        return platform_failure(error_type, request_id, reason)

    def _alive(self) -> bool:
        return self.phase in _ALIVE

    def _free_in_reset(self) -> bool:
        """Whether, in a reset, it was idle when its runtime ended, and has been given nothing."""
        return not (self._init or self._run or self._held)

    def _turn(self, turn: Turn) -> None:
        self.phase = turned(self.phase, turn)


_FREE = BecomeFree()
_ALIVE = frozenset({Phase.INIT, Phase.READY, Phase.INVOKE})


def _spoiled(flaw: Flaw) -> Failure:
    match flaw:
        case "size":
            return response_too_large()
        case "mode":
            return unusable("Runtime.InvalidResponseModeHeader", "Invalid function response mode")
        case "truncated":
            return unusable("Runtime.TruncatedResponse", "HTTP request detected as truncated")
        case _:
            assert_never(flaw)
