"""What can happen to an execution environment, and what it can order to be done.

Events are facts in the past tense, actions are orders. Both unions are closed: a `match`
over them is checked for completeness by mypy. `poll` and `post` are tokens of open HTTP
exchanges: the core keeps them and hands them back, and looks at nothing but their
identity. Memory is in bytes.
"""

from __future__ import annotations

from typing import Literal

from rie.core.exit_status import ExitStatus
from rie.core.invocation import Failure, Invocation, Outcome, Payload, Success
from rie.core.platform import InitPhase, InvocationEnd, PlatformEvent
from rie.core.value import value

PostKind = Literal["response", "error"]
Flaw = Literal["mode", "size", "truncated"]


@value
class StartRequested:
    """The environment is to be brought up, ahead of any invocation."""


@value
class RuntimeNotStarted:
    """There is nothing that could be started; `error_type` and message say why."""

    error_type: str
    message: str


@value
class RuntimeExited:
    """The runtime's process ended, by itself or by a signal."""

    status: ExitStatus


@value
class NextPolled:
    """The runtime asked for an invocation. `memory` is the environment's peak so far."""

    poll: object
    memory: int = 0


@value
class PollAbandoned:
    """A parked poller hung up."""

    poll: object


@value
class PostBegun:
    """The head of a /response or /error arrived. The body is still to come."""

    post: object
    kind: PostKind
    request_id: str
    invocation_id: str | None


@value
class OutcomePosted:
    """The body of a post that had begun is complete."""

    post: object
    outcome: Success | Failure


@value
class AnswerPosted:
    """A /response or /error arrived whole: what PostBegun and its body tell, in one."""

    post: object
    kind: PostKind
    request_id: str
    invocation_id: str | None
    outcome: Success | Failure


@value
class PostSpoiled:
    """A post that had begun cannot be taken, and has cost the invocation its answer."""

    post: object
    flaw: Flaw


@value
class InitErrorPosted:
    """The runtime says that it cannot begin; `error_type` has been filtered."""

    payload: Payload
    content_type: bytes
    error_type: str


@value
class InvocationAssigned:
    """The environment has been free since it said so, and is given an invocation."""

    invocation: Invocation


@value
class DeadlinePassed:
    """The clock has reached the environment's deadline."""


@value
class RetireRequested:
    """The environment is to be ended: idle for too long, too old, or everything stops."""


@value
class ProcessesGone:
    """A Reset has been carried out: no process is left, all output has been read."""

    memory: int = 0


Event = (
    StartRequested
    | RuntimeNotStarted
    | RuntimeExited
    | NextPolled
    | PollAbandoned
    | PostBegun
    | AnswerPosted
    | OutcomePosted
    | PostSpoiled
    | InitErrorPosted
    | InvocationAssigned
    | DeadlinePassed
    | RetireRequested
    | ProcessesGone
)


@value
class StartRuntime:
    """Start the processes. `phase` is "invoke" for an init inside an invocation."""

    phase: InitPhase


@value
class SendInvocation:
    """Answer a parked poll with the invocation. `deadline` is on the core's clock."""

    poll: object
    invocation: Invocation
    deadline: float


@value
class Complete:
    """Give the caller its outcome."""

    invocation: Invocation
    outcome: Outcome


@value
class Emit:
    """Tell the log (and whoever else listens)."""

    event: PlatformEvent | InvocationEnd


@value
class BecomeFree:
    """The environment can take an invocation now."""


@value
class Reset:
    """Kill every process of the environment. Always the last of its list."""


@value
class End:
    """The environment is over; nothing of it may stay."""


Action = StartRuntime | SendInvocation | Complete | Emit | BecomeFree | Reset | End
