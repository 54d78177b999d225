"""The init phase, and the init inside an invocation ("suppressed init").

Sources: developer guide, "Lambda execution environment"; the official emulator's replies to
/init/error; documents as recorded from AWS.
"""

from __future__ import annotations

import pytest

from rie.core.environment import INIT_ERROR_GRACE
from rie.core.errors import InvalidPhaseTransition, InvalidStateTransition
from rie.core.events import (
    BecomeFree,
    Complete,
    DeadlinePassed,
    Emit,
    InitErrorPosted,
    InvocationAssigned,
    NextPolled,
    OutcomePosted,
    PostBegun,
    ProcessesGone,
    Reset,
    RuntimeExited,
    RuntimeNotStarted,
    SendInvocation,
    StartRequested,
    StartRuntime,
)
from rie.core.exit_status import ExitStatus
from rie.core.invocation import Failure, Success
from rie.core.platform import (
    Fault,
    InitReport,
    InitRuntimeDone,
    InitStart,
    Report,
    RuntimeDone,
    Start,
    TimedOut,
)
from rie.core.states import Phase, RuntimeState
from tests.core.makers import (
    INIT_TIMEOUT,
    TIMEOUT,
    failure_of,
    kinds,
    make_environment,
    make_invocation,
    make_ready,
    make_starting,
    make_suppressed,
    outcomes,
    told,
)

INIT_ERROR = InitErrorPosted(b'{"errorType":"Function.Broken"}', b"text/x", "Function.Broken")
NOT_STARTED = RuntimeNotStarted("Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s)")


def test_a_start_begins_the_init_phase() -> None:
    environment = make_environment()

    actions = environment.receive(StartRequested(), 5.0)

    assert actions == [Emit(InitStart(at=5.0, phase="init")), StartRuntime("init")]
    assert environment.phase is Phase.INIT
    assert environment.deadline == 5.0 + INIT_TIMEOUT


def test_an_environment_is_started_once() -> None:
    environment = make_starting()

    with pytest.raises(InvalidPhaseTransition):
        environment.receive(StartRequested(), 1.0)


def test_the_first_next_ends_the_init_phase() -> None:
    environment = make_starting(at=5.0)

    actions = environment.receive(NextPolled("poll"), 5.25)

    assert actions == [
        Emit(InitRuntimeDone(at=5.25, phase="init", status="success")),
        Emit(InitReport(at=5.25, phase="init", status="success", duration=0.25)),
        BecomeFree(),
    ]
    assert (environment.phase, environment.runtime) == (Phase.READY, RuntimeState.READY)
    assert environment.deadline is None


def test_after_an_init_error_the_runtime_is_given_time_to_exit() -> None:
    environment = make_starting(at=5.0)

    assert environment.receive(INIT_ERROR, 6.0) == []
    assert environment.runtime is RuntimeState.INIT_ERROR
    assert environment.deadline == 6.0 + 2.0


def test_an_init_error_does_not_put_off_the_end_of_the_init_phase() -> None:
    environment = make_starting(at=5.0)

    environment.receive(INIT_ERROR, 14.5)

    assert environment.deadline == 5.0 + INIT_TIMEOUT


def test_the_exit_after_an_init_error_is_reported_as_the_error_that_was_said() -> None:
    environment = make_starting()
    environment.receive(INIT_ERROR, 1.0)

    assert environment.receive(RuntimeExited(ExitStatus(1)), 1.5) == [Reset()]
    actions = environment.receive(ProcessesGone(), 1.6)

    assert actions == [
        Emit(
            InitRuntimeDone(at=1.5, phase="init", status="error", error_type="Function.Broken"),
        ),
        Emit(
            InitReport(
                at=1.5, phase="init", status="error", error_type="Function.Broken", duration=1.5
            ),
        ),
        BecomeFree(),
    ]
    assert environment.phase is Phase.COLD


def test_a_runtime_that_stays_after_its_init_error_is_killed() -> None:
    environment = make_starting()
    environment.receive(INIT_ERROR, 1.0)

    assert environment.receive(DeadlinePassed(), 1.0 + INIT_ERROR_GRACE) == [Reset()]
    (report,) = told(environment.receive(ProcessesGone(), 4.0), InitReport)

    assert (report.status, report.error_type) == ("error", "Function.Broken")


@pytest.mark.parametrize(
    ("call", "wanted"),
    [
        (NextPolled("poll"), "Ready"),
        (INIT_ERROR, "InitError"),
        (PostBegun("post", "response", "id-1", None), "InvocationResponse"),
        (PostBegun("post", "error", "id-1", None), "InvocationErrorResponse"),
    ],
)
def test_after_an_init_error_every_call_is_refused(
    call: NextPolled | InitErrorPosted | PostBegun, wanted: str
) -> None:
    environment = make_starting()
    environment.receive(INIT_ERROR, 1.0)

    with pytest.raises(InvalidStateTransition, match=f"from InitError to {wanted} failed"):
        environment.receive(call, 1.1)


def test_an_init_error_after_next_is_refused() -> None:
    with pytest.raises(InvalidStateTransition, match="from Ready to InitError failed"):
        make_ready().receive(INIT_ERROR, 2.0)


def test_an_init_error_before_any_process_is_refused() -> None:
    with pytest.raises(InvalidStateTransition, match="from Started to InitError failed"):
        make_environment().receive(INIT_ERROR, 0.0)


def test_an_exit_in_the_init_phase_leaves_the_environment_cold() -> None:
    environment = make_starting()

    assert environment.receive(RuntimeExited(ExitStatus(3)), 1.0) == [Reset()]
    assert environment.deadline is None
    actions = environment.receive(ProcessesGone(), 1.1)

    assert kinds(actions) == ["InitRuntimeDone", "InitReport", "BecomeFree"]
    (report,) = told(actions, InitReport)
    assert (report.status, report.error_type) == ("error", "Runtime.ExitError")
    assert environment.phase is Phase.COLD


def test_a_runtime_that_cannot_be_started_leaves_the_environment_cold() -> None:
    environment = make_starting()

    assert environment.receive(NOT_STARTED, 0.1) == [Reset()]
    (report,) = told(environment.receive(ProcessesGone(), 0.1), InitReport)

    assert (report.status, report.error_type) == ("error", "Runtime.InvalidEntrypoint")
    assert environment.phase is Phase.COLD


def test_an_init_phase_over_its_limit_is_cut_off_as_a_timeout() -> None:
    environment = make_starting()

    assert environment.receive(DeadlinePassed(), INIT_TIMEOUT) == [Reset()]
    actions = environment.receive(ProcessesGone(), 10.5)

    assert told(actions, InitReport) == [
        InitReport(at=INIT_TIMEOUT, phase="init", status="timeout", duration=INIT_TIMEOUT)
    ]
    assert environment.phase is Phase.COLD


def test_a_deadline_told_too_early_is_ignored() -> None:
    environment = make_starting()

    assert environment.receive(DeadlinePassed(), 9.99) == []
    assert environment.phase is Phase.INIT


def test_a_deadline_told_where_there_is_none_is_ignored() -> None:
    assert make_ready().receive(DeadlinePassed(), 99.0) == []


# Suppressed init


def test_a_cold_environment_begins_its_invocation_with_an_init() -> None:
    environment = make_suppressed(at=2.0)
    assert environment.phase is Phase.INVOKE
    assert environment.runtime is RuntimeState.STARTED
    assert environment.deadline == 2.0 + TIMEOUT


def test_the_orders_of_a_suppressed_init_are_those_of_an_init_in_phase_invoke() -> None:
    environment = make_starting()
    environment.receive(RuntimeExited(ExitStatus(1)), 1.0)
    environment.receive(ProcessesGone(), 1.0)

    actions = environment.receive(InvocationAssigned(make_invocation()), 2.0)

    assert actions == [Emit(InitStart(at=2.0, phase="invoke")), StartRuntime("invoke")]


def test_start_is_told_after_the_suppressed_init_and_before_the_event_is_sent() -> None:
    environment = make_suppressed(at=2.0)

    actions = environment.receive(NextPolled("new"), 2.5)

    assert kinds(actions) == ["InitRuntimeDone", "InitReport", "Start", "SendInvocation"]
    assert actions[-1] == SendInvocation("new", make_invocation(), 2.0 + TIMEOUT)
    assert told(actions, InitReport) == [
        InitReport(at=2.5, phase="invoke", status="success", duration=0.5)
    ]


def test_a_suppressed_init_counts_as_duration_and_has_no_init_duration() -> None:
    environment = make_suppressed(at=2.0)
    environment.receive(NextPolled("new"), 2.5)
    environment.receive(PostBegun("post", "response", "id-1", None), 2.7)
    environment.receive(OutcomePosted("post", Success(b"1", b"application/json")), 2.7)

    (report,) = told(environment.receive(NextPolled("newer"), 2.75), Report)

    assert report.duration == 0.75
    assert report.init_duration is None


def test_an_answer_before_the_suppressed_init_is_over_is_refused() -> None:
    with pytest.raises(InvalidStateTransition, match="from Started to InvocationResponse failed"):
        make_suppressed().receive(PostBegun("post", "response", "id-1", None), 2.1)


def test_an_init_error_inside_an_invocation_is_what_the_caller_gets() -> None:
    environment = make_suppressed(at=2.0)
    environment.receive(INIT_ERROR, 2.1)

    actions = environment.receive(RuntimeExited(ExitStatus(1)), 2.2)

    said = Failure("Function.Broken", INIT_ERROR.payload, content_type=b"text/x")
    assert actions == [Complete(make_invocation(), said), Reset()]


def test_the_grace_of_an_init_error_inside_an_invocation_ends_with_the_invocation() -> None:
    environment = make_suppressed(at=2.0)

    environment.receive(INIT_ERROR, 4.5)

    assert environment.deadline == 2.0 + TIMEOUT
    assert failure_of(environment.receive(DeadlinePassed(), 5.0)).payload == INIT_ERROR.payload


def test_after_a_failed_suppressed_init_start_and_report_are_told_with_its_error() -> None:
    environment = make_suppressed(at=2.0)
    environment.receive(INIT_ERROR, 2.1)
    environment.receive(RuntimeExited(ExitStatus(1)), 2.2)

    actions = environment.receive(ProcessesGone(), 2.3)

    assert kinds(actions) == [
        "InitRuntimeDone",
        "InitReport",
        "Start",
        "RuntimeDone",
        "Report",
        "BecomeFree",
    ]
    (report,) = told(actions, Report)
    assert (report.status, report.error_type) == ("error", "Function.Broken")
    assert report.init_duration is None


def test_an_exit_in_a_suppressed_init_is_an_exit_error() -> None:
    environment = make_suppressed()

    failure = failure_of(environment.receive(RuntimeExited(ExitStatus(127)), 2.2))

    assert failure.payload == (
        b'{"errorType":"Runtime.ExitError","errorMessage":'
        b'"RequestId: id-1 Error: Runtime exited with error: exit status 127"}'
    )
    (fault,) = told(environment.receive(ProcessesGone(), 2.3), Fault)
    assert fault.message == "Runtime exited with error: exit status 127"
    assert fault.error_type == "Runtime.ExitError"


def test_a_runtime_that_cannot_be_started_for_an_invocation_says_why() -> None:
    environment = make_suppressed()

    failure = failure_of(environment.receive(NOT_STARTED, 2.0))

    assert failure == Failure(
        "Runtime.InvalidEntrypoint",
        b'{"errorType":"Runtime.InvalidEntrypoint","errorMessage":'
        b'"RequestId: id-1 Error: Couldn\'t find valid bootstrap(s)"}',
    )


def test_a_suppressed_init_over_the_function_s_timeout_is_a_timeout_of_the_invocation() -> None:
    environment = make_suppressed(at=2.0)

    actions = environment.receive(DeadlinePassed(), 5.0)

    assert failure_of(actions).error_type == "Sandbox.Timedout"
    actions = environment.receive(ProcessesGone(), 5.1)
    assert kinds(actions) == [
        "InitRuntimeDone",
        "InitReport",
        "Start",
        "TimedOut",
        "RuntimeDone",
        "Report",
        "BecomeFree",
    ]
    assert [report.status for report in told(actions, InitReport)] == ["timeout"]
    assert told(actions, TimedOut) == [TimedOut(at=5.0, request_id="id-1", timeout=TIMEOUT)]


def test_each_invocation_of_a_cold_environment_tries_the_init_again() -> None:
    environment = make_suppressed()
    environment.receive(RuntimeExited(ExitStatus(1)), 2.1)
    environment.receive(ProcessesGone(), 2.2)

    environment.receive(InvocationAssigned(make_invocation("id-2")), 3.0)
    environment.receive(NextPolled("poll"), 3.1)
    environment.receive(PostBegun("post", "response", "id-2", None), 3.2)
    actions = environment.receive(OutcomePosted("post", Success(b"2", b"application/json")), 3.2)

    assert outcomes(actions) == [Success(b"2")]


# Init Duration


def test_init_duration_is_told_with_the_first_report_only() -> None:
    environment = make_ready()
    reports = []
    for number in (1, 2):
        at = 2.0 * number
        environment.receive(InvocationAssigned(make_invocation(f"id-{number}")), at)
        environment.receive(PostBegun("post", "response", f"id-{number}", None), at + 1)
        environment.receive(OutcomePosted("post", Success(b"1", b"application/json")), at + 1)
        reports += told(environment.receive(NextPolled("poll"), at + 1), Report)

    assert [report.init_duration for report in reports] == [1.0, None]


def test_init_duration_is_told_although_the_first_invocation_crashed() -> None:
    environment = make_ready()
    environment.receive(InvocationAssigned(make_invocation()), 2.0)
    environment.receive(RuntimeExited(ExitStatus(1)), 2.5)

    (report,) = told(environment.receive(ProcessesGone(), 2.6), Report)

    assert report.init_duration == 1.0


def test_the_init_duration_of_processes_that_are_gone_is_not_told() -> None:
    environment = make_suppressed(at=2.0)
    environment.receive(RuntimeExited(ExitStatus(1)), 2.5)

    actions = environment.receive(ProcessesGone(), 2.6)

    assert [report.init_duration for report in told(actions, Report)] == [None]
    assert [done.status for done in told(actions, RuntimeDone)] == ["error"]
    assert len(told(actions, Start)) == 1
