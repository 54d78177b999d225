"""An invocation in the hands of a runtime: given, answered, given again, refused.

Source: Runtime API reference; statuses and sentences as the official emulator's.
"""

from __future__ import annotations

from typing import Literal

import pytest

from rie.core.errors import (
    InvalidPhaseTransition,
    InvalidRequestID,
    InvalidStateTransition,
    InvokeTimeout,
)
from rie.core.events import (
    Complete,
    DeadlinePassed,
    Emit,
    InvocationAssigned,
    NextPolled,
    OutcomePosted,
    PollAbandoned,
    PostBegun,
    PostKind,
    PostSpoiled,
    ProcessesGone,
    SendInvocation,
)
from rie.core.invocation import UNTRACED, Failure, Success
from rie.core.platform import Report, RuntimeDone, Start, Tracing
from rie.core.states import Phase, RuntimeState
from tests.core.makers import (
    TIMEOUT,
    kinds,
    make_answered,
    make_cold,
    make_invocation,
    make_posting,
    make_ready,
    make_running,
    make_starting,
    outcomes,
    told,
    told_of,
)

RESPONSE = PostBegun("post", "response", "id-1", None)


def test_an_invocation_is_sent_to_the_parked_poll_before_anything_is_told() -> None:
    environment = make_ready("poll")

    actions = environment.receive(InvocationAssigned(make_invocation()), 2.0)

    assert actions == [
        SendInvocation("poll", make_invocation(), 2.0 + TIMEOUT),
        Emit(Start(at=2.0, request_id="id-1", version="$LATEST", tracing=UNTRACED)),
    ]
    assert (environment.phase, environment.runtime) == (Phase.INVOKE, RuntimeState.RUNNING)
    assert environment.deadline == 2.0 + TIMEOUT
    assert environment.invocation == make_invocation()


def test_only_an_environment_that_is_free_takes_an_invocation() -> None:
    with pytest.raises(InvalidPhaseTransition):
        make_starting().receive(InvocationAssigned(make_invocation()), 0.5)
    with pytest.raises(InvalidPhaseTransition):
        make_running().receive(InvocationAssigned(make_invocation("id-2")), 3.0)


def test_the_caller_has_its_answer_before_the_environment_is_free() -> None:
    environment = make_running()

    assert environment.receive(RESPONSE, 2.5) == []
    assert environment.runtime is RuntimeState.RESPONDING
    actions = environment.receive(OutcomePosted("post", Success(b"1", b"text/plain")), 2.6)

    assert actions == [Complete(make_invocation(), Success(b"1", b"text/plain"))]
    assert (environment.phase, environment.runtime) == (Phase.INVOKE, RuntimeState.RESPONDED)
    assert environment.deadline == 2.0 + TIMEOUT


def test_an_error_is_the_function_s_failure_verbatim() -> None:
    environment = make_posting("error")
    assert environment.runtime is RuntimeState.ERRING

    actions = environment.receive(
        OutcomePosted("post", Failure("Runtime.Unknown", b"oh", content_type=b"text/plain")), 2.6
    )

    failure = Failure("Runtime.Unknown", b"oh", content_type=b"text/plain")
    assert actions == [Complete(make_invocation(), failure)]
    (report,) = told(environment.receive(NextPolled("poll"), 2.7), Report)
    assert (report.status, report.error_type) == ("error", "Runtime.Unknown")


def test_the_next_poll_after_an_answer_reports_and_frees_the_environment() -> None:
    environment = make_answered()

    actions = environment.receive(NextPolled("poll", memory=50 * 1024 * 1024 + 1), 2.75)

    assert kinds(actions) == ["RuntimeDone", "Report", "BecomeFree"]
    assert told_of(actions) == [
        RuntimeDone(
            at=2.75,
            request_id="id-1",
            status="success",
            error_type=None,
            duration=0.75,
            produced_bytes=len(b'"ok"'),
            tracing=UNTRACED,
        ),
        Report(
            at=2.75,
            request_id="id-1",
            status="success",
            error_type=None,
            duration=0.75,
            memory_size=128,
            max_memory_used=51,
            init_duration=1.0,
            tracing=UNTRACED,
        ),
    ]
    assert environment.phase is Phase.READY
    assert environment.deadline is None
    assert environment.invocation is None


def test_the_trace_goes_with_start_done_and_report() -> None:
    tracing = Tracing("Root=1-2-3", sampled=True)
    invocation = make_invocation(tracing=tracing)
    environment = make_ready()
    actions = environment.receive(InvocationAssigned(invocation), 2.0)
    environment.receive(RESPONSE, 2.1)
    environment.receive(OutcomePosted("post", Success(b"1", b"")), 2.1)
    actions += environment.receive(NextPolled("poll"), 2.2)

    assert [event.tracing for event in told(actions, Start)] == [tracing]
    assert [event.tracing for event in told(actions, RuntimeDone)] == [tracing]
    assert [event.tracing for event in told(actions, Report)] == [tracing]


# Polls


def test_a_next_while_running_gives_the_same_event_again() -> None:
    environment = make_running()

    actions = environment.receive(NextPolled("again"), 2.5)

    assert actions == [SendInvocation("again", make_invocation(), 2.0 + TIMEOUT)]
    assert environment.runtime is RuntimeState.RUNNING


def test_a_next_while_the_answer_is_still_being_read_is_refused() -> None:
    with pytest.raises(InvalidStateTransition, match="from InvocationResponse to Ready failed"):
        make_posting().receive(NextPolled("poll"), 2.6)
    with pytest.raises(InvalidStateTransition, match="from InvocationErrorResponse to Ready"):
        make_posting("error").receive(NextPolled("poll"), 2.6)


def test_a_poller_that_hung_up_is_not_sent_the_event() -> None:
    environment = make_ready("gone")
    assert environment.receive(PollAbandoned("gone"), 1.5) == []

    actions = environment.receive(InvocationAssigned(make_invocation()), 2.0)
    assert kinds(actions) == ["Start"]
    assert environment.runtime is RuntimeState.READY
    actions = environment.receive(NextPolled("new"), 2.5)

    assert actions == [SendInvocation("new", make_invocation(), 2.0 + TIMEOUT)]


def test_a_poll_that_is_not_parked_may_hang_up() -> None:
    assert make_running().receive(PollAbandoned("poll"), 2.1) == []
    assert make_cold().receive(PollAbandoned("poll"), 2.1) == []


def test_of_two_parked_polls_the_later_is_sent_the_event() -> None:
    environment = make_ready("first")
    assert environment.receive(NextPolled("second"), 1.5) == []

    (send, _) = environment.receive(InvocationAssigned(make_invocation()), 2.0)

    assert isinstance(send, SendInvocation)
    assert send.poll == "second"


def test_the_earlier_of_two_polls_stays_parked_for_another_invocation() -> None:
    environment = make_ready("first")
    environment.receive(NextPolled("second"), 1.5)
    environment.receive(InvocationAssigned(make_invocation()), 2.0)
    environment.receive(RESPONSE, 2.1)
    environment.receive(OutcomePosted("post", Success(b"1", b"")), 2.1)
    environment.receive(NextPolled("third"), 2.2)
    environment.receive(PollAbandoned("third"), 2.3)

    (send, _) = environment.receive(InvocationAssigned(make_invocation("id-2")), 2.4)

    assert isinstance(send, SendInvocation)
    assert send.poll == "first"


def test_a_next_without_processes_is_refused() -> None:
    with pytest.raises(InvalidStateTransition, match="to Ready failed"):
        make_cold().receive(NextPolled("poll"), 2.0)


# Answers that are refused


def test_a_second_response_is_refused() -> None:
    with pytest.raises(
        InvalidStateTransition, match="from RuntimeResponseSentState to InvocationResponse failed"
    ):
        make_answered().receive(RESPONSE, 2.6)


def test_an_error_after_a_response_is_refused() -> None:
    with pytest.raises(
        InvalidStateTransition,
        match="from RuntimeResponseSentState to InvocationErrorResponse failed",
    ):
        make_answered().receive(PostBegun("post", "error", "id-1", None), 2.6)


def test_a_second_answer_while_the_first_is_being_read_is_refused() -> None:
    with pytest.raises(InvalidStateTransition, match="from InvocationResponse to Invocation"):
        make_posting().receive(PostBegun("other", "response", "id-1", None), 2.6)


@pytest.mark.parametrize("kind", ["response", "error"])
def test_a_wrong_request_id_is_refused_before_any_state_is_looked_at(kind: PostKind) -> None:
    for environment in (make_running(), make_answered(), make_ready(), make_starting()):
        with pytest.raises(InvalidRequestID):
            environment.receive(PostBegun("post", kind, "id-other", None), 2.6)


def test_the_right_id_before_the_runtime_has_called_next_is_refused_by_state() -> None:
    environment = make_ready("gone")
    environment.receive(PollAbandoned("gone"), 1.5)
    environment.receive(InvocationAssigned(make_invocation()), 2.0)

    with pytest.raises(InvalidStateTransition, match="from Ready to InvocationResponse failed"):
        environment.receive(RESPONSE, 2.1)


def test_an_answer_to_an_earlier_delivery_of_the_same_request_id_is_gone() -> None:
    environment = make_running(make_invocation(invocation_id="second"))

    with pytest.raises(InvokeTimeout):
        environment.receive(PostBegun("post", "response", "id-1", "first"), 2.5)

    assert environment.runtime is RuntimeState.RUNNING


@pytest.mark.parametrize("invocation_id", [None, "second"])
def test_a_runtime_may_echo_the_invocation_id_or_leave_it(invocation_id: str | None) -> None:
    environment = make_running(make_invocation(invocation_id="second"))

    environment.receive(PostBegun("post", "response", "id-1", invocation_id), 2.5)

    assert environment.runtime is RuntimeState.RESPONDING


def test_an_answer_after_the_timeout_is_gone() -> None:
    environment = make_running()
    environment.receive(DeadlinePassed(), 5.0)

    with pytest.raises(InvokeTimeout):
        environment.receive(RESPONSE, 5.1)

    environment.receive(ProcessesGone(), 5.2)
    with pytest.raises(InvokeTimeout):
        environment.receive(RESPONSE, 5.3)


def test_an_answer_to_a_timed_out_invocation_is_gone_while_another_runs() -> None:
    environment = make_running()
    environment.receive(DeadlinePassed(), 5.0)
    environment.receive(ProcessesGone(), 5.1)
    environment.receive(InvocationAssigned(make_invocation("id-2")), 5.2)
    environment.receive(NextPolled("poll"), 5.3)

    with pytest.raises(InvokeTimeout):
        environment.receive(RESPONSE, 5.4)
    with pytest.raises(InvalidRequestID):
        environment.receive(PostBegun("post", "response", "id-3", None), 5.4)


def test_a_body_that_is_complete_only_after_the_timeout_is_gone() -> None:
    environment = make_posting()
    (completed, _) = environment.receive(DeadlinePassed(), 5.0)
    assert isinstance(completed, Complete)

    with pytest.raises(InvokeTimeout):
        environment.receive(OutcomePosted("post", Success(b"1", b"")), 5.1)


def test_a_body_nobody_began_is_gone() -> None:
    with pytest.raises(InvokeTimeout):
        make_running().receive(OutcomePosted("post", Success(b"1", b"")), 2.1)


def test_the_body_of_an_earlier_invocation_s_post_does_not_reach_the_next() -> None:
    environment = make_posting()
    environment.receive(DeadlinePassed(), 5.0)
    environment.receive(ProcessesGone(), 5.1)
    environment.receive(InvocationAssigned(make_invocation("id-2")), 5.2)
    environment.receive(NextPolled("poll"), 5.3)
    environment.receive(PostBegun("post-2", "response", "id-2", None), 5.4)

    with pytest.raises(InvokeTimeout):
        environment.receive(OutcomePosted("post", Success(b"late", b"")), 5.5)
    actions = environment.receive(OutcomePosted("post-2", Success(b"mine", b"")), 5.6)

    assert outcomes(actions) == [Success(b"mine", b"")]


# Posts that are spoiled


@pytest.mark.parametrize(
    ("flaw", "error_type", "document"),
    [
        (
            "size",
            "Function.ResponseSizeTooLarge",
            (
                b'{"errorMessage":"Response payload size exceeded maximum allowed payload size '
                b'(6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}'
            ),
        ),
        (
            "mode",
            "Runtime.InvalidResponseModeHeader",
            (
                b'{"errorMessage":"Invalid function response mode",'
                b'"errorType":"Runtime.InvalidResponseModeHeader"}'
            ),
        ),
        (
            "truncated",
            "Runtime.TruncatedResponse",
            (
                b'{"errorMessage":"HTTP request detected as truncated",'
                b'"errorType":"Runtime.TruncatedResponse"}'
            ),
        ),
    ],
)
def test_a_spoiled_post_costs_the_invocation_its_answer(
    flaw: Literal["mode", "size", "truncated"], error_type: str, document: bytes
) -> None:
    actions = make_posting().receive(PostSpoiled("post", flaw), 2.6)

    assert outcomes(actions) == [Failure(error_type, document)]


def test_a_runtime_whose_post_was_spoiled_goes_on() -> None:
    environment = make_posting()
    environment.receive(PostSpoiled("post", "size"), 2.6)

    actions = environment.receive(NextPolled("poll"), 2.7)

    assert kinds(actions) == ["RuntimeDone", "Report", "BecomeFree"]
    assert environment.phase is Phase.READY
