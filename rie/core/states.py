"""The tables: which call moves the runtime from which state to which, and the phases.

What is not in a table is not allowed. docs/states.md is drawn from these. The states'
values are AWS's own names: they stand in the messages of 403 replies. Source: Runtime API
reference; names and transitions as the official emulator's.
"""

from __future__ import annotations

from enum import Enum

from rie.core.errors import InvalidPhaseTransition, InvalidStateTransition


class RuntimeState(Enum):
    """Where the runtime stands in its dialogue with the Runtime API."""

    # Members are single: identity is the right hash, and Enum's own is a Python function.
    __hash__ = object.__hash__

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "InvocationResponse"  # the head of its response is here, its body is not
    ERRING = "InvocationErrorResponse"
    RESPONDED = "RuntimeResponseSentState"


class RuntimeCall(Enum):
    """What moves a runtime. The values name what does it."""

    __hash__ = object.__hash__

    NEXT = "/next"
    INIT_ERROR = "/init/error"
    INVOKED = "SendInvocation"
    RESPONSE = "/response"
    ERROR = "/error"
    SENT = "body complete"


_S, _C = RuntimeState, RuntimeCall

RUNTIME: dict[RuntimeState, dict[RuntimeCall, RuntimeState]] = {
    _S.STARTED: {_C.NEXT: _S.READY, _C.INIT_ERROR: _S.INIT_ERROR},
    _S.INIT_ERROR: {},
    # A second poller may park beside the first, or take the place of one that hung up.
    _S.READY: {_C.NEXT: _S.READY, _C.INVOKED: _S.RUNNING},
    # /next while Running gives the same event again: the runtime lost the first reply.
    _S.RUNNING: {_C.NEXT: _S.RUNNING, _C.RESPONSE: _S.RESPONDING, _C.ERROR: _S.ERRING},
    _S.RESPONDING: {_C.SENT: _S.RESPONDED},
    _S.ERRING: {_C.SENT: _S.RESPONDED},
    _S.RESPONDED: {_C.NEXT: _S.READY},
}

# The state that a refused call wanted to reach, for the message of the 403.
WANTED: dict[RuntimeCall, RuntimeState] = {
    _C.NEXT: _S.READY,
    _C.INIT_ERROR: _S.INIT_ERROR,
    _C.INVOKED: _S.RUNNING,
    _C.RESPONSE: _S.RESPONDING,
    _C.ERROR: _S.ERRING,
    _C.SENT: _S.RESPONDED,
}


def moved(state: RuntimeState, call: RuntimeCall) -> RuntimeState:
    """Look up where `call` leads from `state`; InvalidStateTransition when nowhere."""
    try:
        return RUNTIME[state][call]
    except KeyError:
        raise InvalidStateTransition(state.value, WANTED[call].value) from None


# By call, for those of every invocation: one look says where it leads.
AFTER_NEXT, AFTER_INVOKED, AFTER_SENT = (
    {state: row[call] for state, row in RUNTIME.items() if call in row}
    for call in (_C.NEXT, _C.INVOKED, _C.SENT)
)


class Phase(Enum):
    """What an execution environment as a whole is doing."""

    __hash__ = object.__hash__

    CREATED = "created"  # nothing has been started
    INIT = "init"
    READY = "ready"
    INVOKE = "invoke"
    RESETTING = "resetting"  # its processes are being killed; /tmp and log stream stay
    COLD = "cold"  # no processes: the next invocation begins with an init of its own
    SHUTDOWN = "shutdown"
    ENDED = "ended"


class Turn(Enum):
    """What moves an environment from one phase to another."""

    __hash__ = object.__hash__

    START = "start"
    ALL_READY = "runtime ready"
    INVOKE = "an invocation"
    FAILED = "deadline, exit or error"
    KILLED = "processes gone"
    RETIRE = "retire"


_P, _T = Phase, Turn

PHASES: dict[Phase, dict[Turn, Phase]] = {
    _P.CREATED: {_T.START: _P.INIT, _T.RETIRE: _P.SHUTDOWN},
    _P.INIT: {_T.ALL_READY: _P.READY, _T.FAILED: _P.RESETTING, _T.RETIRE: _P.SHUTDOWN},
    _P.READY: {_T.INVOKE: _P.INVOKE, _T.FAILED: _P.RESETTING, _T.RETIRE: _P.SHUTDOWN},
    _P.INVOKE: {_T.ALL_READY: _P.READY, _T.FAILED: _P.RESETTING, _T.RETIRE: _P.SHUTDOWN},
    _P.RESETTING: {_T.KILLED: _P.COLD, _T.RETIRE: _P.SHUTDOWN},
    _P.COLD: {_T.INVOKE: _P.INVOKE, _T.RETIRE: _P.SHUTDOWN},
    _P.SHUTDOWN: {_T.KILLED: _P.ENDED},
    _P.ENDED: {},
}


def turned(phase: Phase, turn: Turn) -> Phase:
    """Look up where `turn` leads from `phase`; InvalidPhaseTransition when nowhere."""
    try:
        return PHASES[phase][turn]
    except KeyError:
        raise InvalidPhaseTransition(phase.value, turn.value) from None
