"""What cuts an environment off: timeouts, crashes, and the order to end.

Sources: developer guide, "Lambda execution environment"; documents as recorded from AWS.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rie.core.environment import ExecutionEnvironment
from rie.core.errors import InvalidPhaseTransition, InvalidStateTransition
from rie.core.events import (
    BecomeFree,
    Complete,
    DeadlinePassed,
    Emit,
    End,
    Event,
    InvocationAssigned,
    NextPolled,
    OutcomePosted,
    ProcessesGone,
    Reset,
    RetireRequested,
    RuntimeExited,
    StartRuntime,
)
from rie.core.exit_status import ExitStatus
from rie.core.invocation import Failure, Refused
from rie.core.platform import Fault, InitReport, InitStart, Report, TimedOut
from rie.core.states import Phase
from tests.core.makers import (
    TIMEOUT,
    failure_of,
    kinds,
    make_answered,
    make_cold,
    make_environment,
    make_invocation,
    make_posting,
    make_ready,
    make_running,
    make_starting,
    make_suppressed,
    outcomes,
    told,
)

MIB = 1024 * 1024
CRASH = RuntimeExited(ExitStatus(-9))

# Timeouts


def test_an_invocation_over_its_timeout_is_answered_and_cut_off() -> None:
    environment = make_running(at=2.0)

    actions = environment.receive(DeadlinePassed(), 5.0)

    assert kinds(actions) == ["Complete", "Reset"]
    failure = failure_of(actions)
    assert (failure.status, failure.error_type) == ("timeout", "Sandbox.Timedout")
    assert failure.payload == (
        b'{"errorType":"Sandbox.Timedout",'
        b'"errorMessage":"RequestId: id-1 Error: Task timed out after 3.00 seconds"}'
    )
    assert environment.phase is Phase.RESETTING
    assert environment.deadline is None


def test_after_a_timeout_its_line_and_the_report_follow_the_last_output() -> None:
    environment = make_running(at=2.0)
    environment.receive(DeadlinePassed(), 5.0)

    actions = environment.receive(ProcessesGone(memory=3 * MIB), 5.5)

    assert kinds(actions) == ["TimedOut", "RuntimeDone", "Report", "BecomeFree"]
    assert told(actions, TimedOut) == [TimedOut(at=5.0, request_id="id-1", timeout=TIMEOUT)]
    (report,) = told(actions, Report)
    assert (report.status, report.error_type) == ("timeout", None)
    assert report.max_memory_used == 3
    assert environment.phase is Phase.COLD
    assert environment.invocation is None


def test_the_timeout_covers_the_runtime_after_its_answer_without_a_second_answer() -> None:
    environment = make_answered()

    assert environment.receive(DeadlinePassed(), 5.0) == [Reset()]
    (report,) = told(environment.receive(ProcessesGone(), 5.1), Report)

    assert report.status == "timeout"


def test_a_timeout_is_told_as_of_its_deadline_however_late_the_timer() -> None:
    environment = make_running(at=2.0)
    environment.receive(DeadlinePassed(), 5.7)

    actions = environment.receive(ProcessesGone(), 6.0)

    assert [line.at for line in told(actions, TimedOut)] == [5.0]
    assert [report.duration for report in told(actions, Report)] == [TIMEOUT]


@pytest.mark.parametrize("cut", [DeadlinePassed(), CRASH, RetireRequested()])
def test_the_failure_that_the_caller_was_told_is_the_one_reported(cut: Event) -> None:
    environment = make_posting("error")
    environment.receive(OutcomePosted("post", Failure("Function.Bad", b"{}")), 2.6)
    environment.receive(cut, 5.0)

    (report,) = told(environment.receive(ProcessesGone(), 5.1), Report)

    assert (report.status, report.error_type) == ("error", "Function.Bad")


# Crashes


def test_a_crash_before_the_answer_is_an_exit_error() -> None:
    environment = make_running()

    actions = environment.receive(CRASH, 2.5)

    assert kinds(actions) == ["Complete", "Reset"]
    assert failure_of(actions).payload == (
        b'{"errorType":"Runtime.ExitError",'
        b'"errorMessage":"RequestId: id-1 Error: Runtime exited with error: signal: killed"}'
    )
    actions = environment.receive(ProcessesGone(), 2.6)
    assert kinds(actions) == ["Fault", "RuntimeDone", "Report", "BecomeFree"]
    assert told(actions, Fault) == [
        Fault(
            at=2.5,
            request_id="id-1",
            message="Runtime exited with error: signal: killed",
            error_type="Runtime.ExitError",
        )
    ]


def test_a_crash_in_the_middle_of_a_response_is_an_exit_error() -> None:
    actions = make_posting().receive(CRASH, 2.6)

    assert failure_of(actions).error_type == "Runtime.ExitError"


def test_a_crash_after_the_answer_leaves_the_caller_its_answer() -> None:
    environment = make_answered()

    assert environment.receive(CRASH, 2.6) == [Reset()]
    (report,) = told(environment.receive(ProcessesGone(), 2.7), Report)

    assert (report.status, report.error_type) == ("error", "Runtime.ExitError")


def test_an_exit_without_a_reason_is_still_an_exit_error() -> None:
    actions = make_running().receive(RuntimeExited(ExitStatus(0)), 2.5)

    assert b"Error: Runtime exited without providing a reason" in bytes(failure_of(actions).payload)


def test_a_crash_while_idle_is_told_to_nobody() -> None:
    environment = make_ready()

    assert environment.receive(CRASH, 2.0) == [Reset()]
    assert environment.receive(ProcessesGone(), 2.1) == [BecomeFree()]
    assert environment.phase is Phase.COLD


def test_an_exit_without_processes_is_of_no_meaning() -> None:
    for environment in (make_environment(), make_cold()):
        assert environment.receive(CRASH, 3.0) == []


def test_an_exit_during_a_reset_is_what_the_reset_did() -> None:
    environment = make_running()
    environment.receive(DeadlinePassed(), 5.0)

    assert environment.receive(CRASH, 5.1) == []


def test_polls_of_killed_processes_are_forgotten() -> None:
    environment = make_ready("old")
    environment.receive(CRASH, 2.0)
    environment.receive(ProcessesGone(), 2.1)
    environment.receive(InvocationAssigned(make_invocation()), 2.2)

    actions = environment.receive(NextPolled("new"), 2.3)

    assert [action.poll for action in actions if hasattr(action, "poll")] == ["new"]


def test_processes_gone_without_a_reset_is_a_defect() -> None:
    with pytest.raises(InvalidPhaseTransition):
        make_ready().receive(ProcessesGone(), 2.0)


# An invocation for an environment that has just lost its idle runtime


def make_crashed_idle() -> ExecutionEnvironment:
    environment = make_ready()
    environment.receive(CRASH, 2.0)
    return environment


def test_an_invocation_for_an_environment_whose_idle_runtime_is_being_cleared_away_waits() -> None:
    environment = make_crashed_idle()

    assert environment.receive(InvocationAssigned(make_invocation()), 2.01) == []
    actions = environment.receive(ProcessesGone(), 2.1)

    assert actions == [Emit(InitStart(at=2.1, phase="invoke")), StartRuntime("invoke")]
    assert environment.phase is Phase.INVOKE
    assert environment.deadline == 2.1 + TIMEOUT


def test_an_environment_being_reset_for_any_other_reason_takes_no_invocation() -> None:
    for environment in (make_starting(), make_running()):
        environment.receive(CRASH, 2.5)
        with pytest.raises(InvalidPhaseTransition):
            environment.receive(InvocationAssigned(make_invocation("id-2")), 2.6)


def test_an_environment_being_reset_takes_one_invocation_only() -> None:
    environment = make_crashed_idle()
    environment.receive(InvocationAssigned(make_invocation()), 2.01)

    with pytest.raises(InvalidPhaseTransition):
        environment.receive(InvocationAssigned(make_invocation("id-2")), 2.02)


def test_an_invocation_that_waits_for_a_reset_is_refused_and_reported_when_all_stops() -> None:
    environment = make_crashed_idle()
    environment.receive(InvocationAssigned(make_invocation()), 2.01)

    (outcome,) = outcomes(environment.receive(RetireRequested(), 2.02))
    actions = environment.receive(ProcessesGone(), 2.1)

    assert isinstance(outcome, Refused)
    assert kinds(actions) == ["Start", "RuntimeDone", "Report", "End"]


# The end


@pytest.mark.parametrize("make", [make_environment, make_starting, make_ready, make_cold])
def test_an_environment_without_an_invocation_is_retired_at_once(
    make: Callable[[], ExecutionEnvironment],
) -> None:
    environment = make()

    assert environment.receive(RetireRequested(), 3.0) == [Reset()]
    assert environment.deadline is None
    assert environment.receive(ProcessesGone(), 3.1)[-1] == End()
    assert environment.phase is Phase.ENDED


@pytest.mark.parametrize("make", [make_running, make_posting, make_suppressed])
def test_the_invocation_in_hand_is_refused_when_the_environment_is_retired(
    make: Callable[[], ExecutionEnvironment],
) -> None:
    environment = make()

    (completed, reset) = environment.receive(RetireRequested(), 3.0)

    assert isinstance(completed, Complete)
    assert isinstance(completed.outcome, Refused)
    assert completed.outcome.error.message == "The emulator is shutting down."
    assert reset == Reset()
    actions = environment.receive(ProcessesGone(), 3.1)
    (report,) = told(actions, Report)
    assert (report.status, report.error_type) == ("failure", "Client.ExecutionEnvironmentShutDown")
    assert actions[-1] == End()


def test_an_invocation_that_was_answered_is_not_refused_by_the_end() -> None:
    environment = make_answered()

    assert environment.receive(RetireRequested(), 3.0) == [Reset()]
    actions = environment.receive(ProcessesGone(), 3.1)

    assert kinds(actions) == ["RuntimeDone", "Report", "End"]
    assert [(report.status, report.error_type) for report in told(actions, Report)] == [
        ("success", None)
    ]


def test_an_init_phase_cut_off_by_the_end_is_reported_as_failed() -> None:
    environment = make_starting()
    environment.receive(RetireRequested(), 3.0)

    (report,) = told(environment.receive(ProcessesGone(), 3.1), InitReport)

    assert (report.status, report.duration) == ("failure", 3.0)


def test_the_reset_under_way_serves_the_end() -> None:
    environment = make_running()
    environment.receive(DeadlinePassed(), 5.0)

    assert environment.receive(RetireRequested(), 5.1) == []
    actions = environment.receive(ProcessesGone(), 5.2)

    assert kinds(actions) == ["TimedOut", "RuntimeDone", "Report", "End"]


def test_a_second_order_to_end_changes_nothing() -> None:
    environment = make_ready()
    environment.receive(RetireRequested(), 3.0)

    assert environment.receive(RetireRequested(), 3.1) == []
    environment.receive(ProcessesGone(), 3.2)
    assert environment.receive(RetireRequested(), 3.3) == []


def test_what_comes_after_the_end_is_refused_or_without_meaning() -> None:
    environment = make_ready()
    environment.receive(RetireRequested(), 3.0)

    with pytest.raises(InvalidStateTransition):
        environment.receive(NextPolled("poll"), 3.1)
    with pytest.raises(InvalidPhaseTransition):
        environment.receive(InvocationAssigned(make_invocation()), 3.1)
    assert environment.receive(CRASH, 3.1) == []
    assert environment.receive(DeadlinePassed(), 99.0) == []
