"""An execution environment's life: init, calls, resets, end; and what outlives each of them.

Sources: developer guide, "Lambda execution environment"; recorded from AWS that files in /tmp
outlive a timeout. What the caller is told in each case is tests/apis' matter.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.support.emulator import ScriptedFunction, is_running, scripted_function, wait_until
from tests.support.scripted_runtime import ScriptedRuntime

API, STREAM = "AWS_LAMBDA_RUNTIME_API", "AWS_LAMBDA_LOG_STREAM_NAME"


def wait_for_end_of(*pids: int) -> None:
    wait_until(lambda: not any(map(is_running, pids)), "the end of all processes")


# Init


def test_an_eager_environment_starts_before_any_call() -> None:
    with scripted_function(init="eager") as function:
        assert function.runtime().pid


def test_a_lazy_environment_starts_with_the_first_call() -> None:
    with scripted_function(init="lazy") as function:
        function.settle()
        assert not function.script.has_started_another()

        call = function.call(b'"first"')
        function.serve(function.runtime())

        assert call.read_response().body == b'"done"'


def test_code_outside_the_handler_runs_once() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        for _ in range(5):
            call = function.call()
            function.serve(runtime)
            call.read_response()

        assert not function.script.has_started_another()


def test_an_init_that_fails_is_tried_again_with_the_first_call_not_before() -> None:
    # SV-36
    with scripted_function() as function:
        function.runtime().exit(1)
        function.log.wait_for("INIT_REPORT")
        function.settle()
        assert not function.script.has_started_another()

        call = function.call()
        function.serve(function.runtime(), b'"second try"')

        assert call.read_response().body == b'"second try"'


def test_a_lazy_init_that_fails_is_tried_again_inside_the_call() -> None:
    with scripted_function(init="lazy") as function:
        call = function.call()
        function.runtime().exit(1)
        function.serve(function.runtime(), b'"second try"')

        assert call.read_response().body == b'"second try"'


def test_an_init_that_fails_twice_is_tried_again_with_the_next_call() -> None:
    with scripted_function() as function:
        function.runtime().exit(1)
        call = function.call()
        function.runtime().exit(1)
        assert call.read_response().header("X-Amz-Function-Error") == "Unhandled"

        call = function.call()
        function.serve(function.runtime(), b'"third try"')

        assert call.read_response().body == b'"third try"'


def test_the_first_call_has_its_whole_timeout_after_a_long_init() -> None:
    # The init phase takes longer than the timeout, and does not count.
    with scripted_function(timeout=1, init_timeout=60) as function:
        runtime = function.runtime()
        call = function.call()
        waiting = scripted_function(timeout=1.1)
        with waiting as clock:  # another function's timeout is the clock
            clock.runtime().park()
            clock.call().read_response()

        function.serve(runtime, b'"in time"')

        assert call.read_response().body == b'"in time"'


# Resets


def time_out(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    call = function.call()
    runtime.next()
    assert b"timed out" in call.read_response().body


def crash(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    call = function.call()
    runtime.next()
    runtime.exit(1)
    assert b"Runtime.ExitError" in call.read_response().body


def die_while_idle(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    call = function.call()
    function.serve(runtime)
    call.read_response()
    runtime.park()
    runtime.kill(signal.SIGKILL)
    # A call that comes before the end is seen goes to the parked poll, and fails with it.
    wait_until(lambda: not Path(f"/proc/{runtime.pid}").exists(), "the emulator to notice")


def answer_and_die(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    call = function.call()
    function.serve(runtime)
    call.read_response()
    runtime.exit(1)


def answer_and_hang(function: ScriptedFunction, runtime: ScriptedRuntime) -> None:
    call = function.call()
    function.serve(runtime)  # and never asks for more
    assert call.read_response().body == b'"done"'


ENDS = [time_out, crash, die_while_idle, answer_and_die, answer_and_hang]
End: TypeAlias = Callable[[ScriptedFunction, ScriptedRuntime], None]


@pytest.mark.parametrize("end", ENDS)
def test_a_reset_brings_a_new_process_in_the_same_environment(end: End) -> None:
    # SV-42
    with scripted_function(timeout=1) as function:
        first = function.runtime()
        first.write_file(Path("/tmp/kept"), "from before")
        end(function, first)

        call = function.call()
        second = function.runtime()
        function.serve(second, b'"anew"')

        assert call.read_response().body == b'"anew"'
        assert second.pid != first.pid
        assert second.environment == first.environment
        assert second.read_file(Path("/tmp/kept")) == "from before"


@pytest.mark.parametrize("end", ENDS)
def test_all_that_was_started_dies_with_a_reset(end: End) -> None:
    with scripted_function(timeout=1) as function:
        runtime = function.runtime()
        runtime.ignore(signal.SIGTERM)
        others = runtime.fork(orphan=True), runtime.fork(orphan=False)

        end(function, runtime)

        wait_for_end_of(runtime.pid, *others)


def test_a_reset_leaves_alone_who_only_has_the_same_runtime_api_in_its_variables() -> None:
    # A shell that exports AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001 and starts the emulator.
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        stranger = subprocess.Popen(["sleep", "60"], env={API: runtime.api})
        try:
            runtime.exit(1)
            wait_for_end_of(runtime.pid)
            call = function.call()
            function.serve(function.runtime())
            call.read_response()

            assert is_running(stranger.pid)
        finally:
            stranger.kill()
            stranger.wait()


def test_a_runtime_that_ends_while_idle_is_not_started_again_before_a_call() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        die_while_idle(function, runtime)
        wait_for_end_of(runtime.pid)
        function.settle()

        assert not function.script.has_started_another()


def test_a_call_during_a_reset_is_served_after_it() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        first = function.call()
        runtime.next()
        waiting = function.call(b'"waiting"')
        function.settle()
        runtime.exit(1)

        runtime = function.runtime()
        event = runtime.next()
        runtime.respond(event.request_id, event.body)

        assert b"Runtime.ExitError" in first.read_response().body
        assert waiting.read_response().body == b'"waiting"'


# The end


def test_all_that_was_started_dies_with_the_emulator() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        runtime.ignore(signal.SIGTERM)
        others = runtime.fork(orphan=True), runtime.fork(orphan=False)
        runtime.park()

    wait_for_end_of(runtime.pid, *others)


def test_an_emulator_ends_in_the_middle_of_an_init() -> None:
    with scripted_function() as function:
        runtime = function.runtime()

    wait_for_end_of(runtime.pid)


@pytest.mark.parametrize("end", ENDS)
def test_an_emulator_ends_in_the_middle_of_a_reset(end: End) -> None:
    with scripted_function(timeout=1) as function:
        runtime = function.runtime()
        child = runtime.fork()
        end(function, runtime)

    wait_for_end_of(runtime.pid, child)


def test_callers_get_an_answer_when_the_emulator_ends() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        running, waiting = function.call(), function.call()
        runtime.next()
        function.settle()

        function.end()

        for call in (running, waiting):
            answer = call.read_response()
            assert answer.status == 500
            assert answer.header("X-Amzn-ErrorType") == "ServiceException"
