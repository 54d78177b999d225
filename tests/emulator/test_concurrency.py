"""Overlapping calls: they never fail, never cross, and start environments where allowed."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from rie.settings import SettingsError
from tests.support.emulator import is_running, scripted_function, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import ScriptedFunction

STREAM = "AWS_LAMBDA_LOG_STREAM_NAME"
TRIES = 5


@contextmanager
def fixed_address_function(**settings: Any) -> Iterator[tuple[ScriptedFunction, str]]:  # noqa: ANN401 - as Settings
    """Run a function whose Runtime API is at an address that was chosen beforehand.

    Between the choice and the start somebody else may take the port: then another is chosen.
    """
    with ExitStack() as stack:
        for left in reversed(range(TRIES)):
            with socket.create_server(("127.0.0.1", 0)) as free:
                host, port = free.getsockname()
            try:
                function = stack.enter_context(
                    scripted_function(runtime_api=(host, port), **settings)
                )
            except SettingsError as error:
                if left == 0 or "already in use" not in str(error):
                    raise
            else:
                yield function, f"{host}:{port}"
                return


def test_overlapping_calls_wait_in_order_and_never_cross() -> None:
    # SV-45, SV-46
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        calls = []
        for number in range(30):
            calls.append(function.call(b"%d" % number))
            function.settle()

        for number in range(30):
            event = runtime.next()
            assert event.body == b"%d" % number
            runtime.respond(event.request_id, b"[%b]" % event.body)

        answers = [call.read_response().body for call in calls]
        assert answers == [b"[%d]" % number for number in range(30)]
        assert not function.script.has_started_another()


def test_further_environments_start_as_calls_need_them() -> None:
    with scripted_function(environments=3, timeout=60) as function:
        calls = [function.call(b"%d" % number) for number in range(3)]
        runtimes = [function.runtime() for _ in range(3)]
        events = [runtime.next() for runtime in runtimes]
        waiting = function.call(b"3")
        function.settle()
        assert not function.script.has_started_another()

        for runtime, event in zip(reversed(runtimes), reversed(events), strict=True):
            runtime.respond(event.request_id, event.body)
        assert [call.read_response().body for call in calls] == [b"0", b"1", b"2"]
        function.serve(runtimes[1], b'"by whom asks first"')
        assert waiting.read_response().body == b'"by whom asks first"'


def test_environments_share_nothing() -> None:
    with scripted_function(environments=2, timeout=60) as function:
        first = function.runtime()
        function.call()
        first.next()
        function.call()
        second = function.runtime()

        for name in (STREAM, "AWS_LAMBDA_RUNTIME_API"):
            assert first.environment[name] != second.environment[name]


def test_calls_one_after_the_other_need_one_environment() -> None:
    with scripted_function(environments=4, timeout=60) as function:
        runtime = function.runtime()
        for _ in range(10):
            call = function.call()
            function.serve(runtime)
            call.read_response()

        assert not function.script.has_started_another()


def test_one_environment_s_answer_is_not_accepted_from_another() -> None:
    with scripted_function(environments=2, timeout=60) as function:
        one, other = function.call(b"1"), function.call(b"2")
        runtimes = [function.runtime(), function.runtime()]
        events = [runtime.next() for runtime in runtimes]

        assert runtimes[0].respond(events[1].request_id, b'"crossed"').status == 400

        for runtime, event in zip(runtimes, events, strict=True):
            runtime.respond(event.request_id, event.body)
        assert [one.read_response().body, other.read_response().body] == [b"1", b"2"]


def test_a_crash_of_one_environment_leaves_the_others_alone() -> None:
    with scripted_function(environments=2, timeout=60) as function:
        function.call(b"1")
        function.call(b"2")
        runtimes = [function.runtime(), function.runtime()]
        events = [runtime.next() for runtime in runtimes]

        runtimes[0].exit(1)

        assert runtimes[1].respond(events[1].request_id).status == 202


def test_an_idle_environment_ends_and_a_call_starts_another() -> None:
    with scripted_function(idle_timeout=0.2, timeout=60) as function:
        first = function.runtime()
        first.park()
        first.wait_for_end()

        call = function.call()
        second = function.runtime()
        function.serve(second)

        assert call.read_response().status == 200
        assert second.environment[STREAM] != first.environment[STREAM]


def test_an_old_environment_ends_between_calls() -> None:
    with scripted_function(max_lifetime=0.2, timeout=60) as function:
        first = function.runtime()
        call = function.call()
        event = first.next()
        # A call may take longer than the lifetime: it is not cut off.
        with scripted_function(timeout=0.3) as clock:
            clock.runtime().park()
            clock.call().read_response()
        assert is_running(first.pid)
        first.respond(event.request_id)
        assert call.read_response().status == 200
        first.main.send_next()
        first.wait_for_end()

        call = function.call()
        function.serve(function.runtime())
        assert call.read_response().status == 200


def test_an_environment_that_is_never_idle_for_long_is_kept() -> None:
    with scripted_function(idle_timeout=30, max_lifetime=30, timeout=60) as function:
        runtime = function.runtime()
        for _ in range(5):
            call = function.call()
            function.serve(runtime)
            call.read_response()

        assert is_running(runtime.pid)


def test_as_many_calls_as_environments_are_taken_and_one_more_is_throttled() -> None:
    # SV-45
    with scripted_function(environments=2, on_busy="throttle", timeout=60) as function:
        calls = [function.call(), function.call()]
        runtimes = [function.runtime(), function.runtime()]
        events = [runtime.next() for runtime in runtimes]

        assert function.call().read_response().status == 429

        for runtime, event in zip(runtimes, events, strict=True):
            runtime.respond(event.request_id)
        assert [call.read_response().status for call in calls] == [200, 200]


def test_a_caller_that_hangs_up_does_not_stop_the_function() -> None:
    # SV-52
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        gone = function.call(b'"gone"')
        event = runtime.next()
        gone.close()
        function.settle()

        assert runtime.respond(event.request_id).status == 202

        call = function.call(b'"here"')
        event = runtime.next()
        runtime.respond(event.request_id, event.body)
        assert call.read_response().body == b'"here"'


def test_a_caller_that_hangs_up_while_it_waits_does_not_hold_up_the_next() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        function.call(b'"running"')
        event = runtime.next()
        gone = function.call(b'"gone"')
        function.settle()
        gone.close()
        call = function.call(b'"here"')
        function.settle()

        runtime.respond(event.request_id)
        while (event := runtime.next()).body != b'"here"':
            runtime.respond(event.request_id)
        runtime.respond(event.request_id, event.body)

        assert call.read_response().body == b'"here"'


def test_the_first_environment_s_fixed_address_is_the_first_one_s_alone() -> None:
    with fixed_address_function(environments=2, timeout=60) as (function, address):
        first = function.runtime()
        function.call()
        first.next()
        function.call()
        second = function.runtime()

        assert first.api == address
        assert second.api != first.api


def test_an_environment_that_was_retired_leaves_no_process() -> None:
    with scripted_function(idle_timeout=0.1, timeout=60) as function:
        runtime = function.runtime()
        child = runtime.fork()
        runtime.park()

        wait_until(lambda: not is_running(runtime.pid), "the end of the runtime")
        wait_until(lambda: not is_running(child), "the end of what it started")


def test_an_environment_takes_the_place_of_an_old_one_that_had_a_fixed_address() -> None:
    with fixed_address_function(max_lifetime=0.2, timeout=60) as (function, _):
        first = function.runtime()
        calls = function.call(), function.call()
        event = first.next()
        with scripted_function(timeout=0.3) as clock:
            clock.runtime().park()
            clock.call().read_response()
        first.respond(event.request_id)
        first.main.send_next()  # it is too old now, and somebody waits

        second = function.runtime()
        function.serve(second)

        assert second.pid != first.pid
        assert [call.read_response().status for call in calls] == [200, 200]
