"""The emulator as a library: what invoke takes and gives, and how entering may fail."""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from rie import Emulator, Settings, SettingsError
from rie.core.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
    ServiceException,
    TooManyRequestsException,
)
from tests.support.emulator import is_running, running_emulator, scripted_function, wait_until
from tests.support.raw_http import LIMIT
from tests.support.scripted_runtime import Script

if TYPE_CHECKING:
    from concurrent.futures import Future

    from rie import InvokeResult
    from tests.support.emulator import ScriptedFunction


def begin(function: ScriptedFunction, *arguments: Any, **options: Any) -> Future[InvokeResult]:  # noqa: ANN401
    emulator = function.running.emulator
    return function.running.begin(lambda: emulator.invoke(*arguments, **options))


# Invoking


@pytest.mark.parametrize(
    ("payload", "sent"),
    [
        ({"a": "é"}, '{"a":"é"}'.encode()),
        ([1, None], b"[1,null]"),
        ("text", b'"text"'),
        (None, b"{}"),
        (False, b"false"),
        (b'{ "as": 1.0 }', b'{ "as": 1.0 }'),
    ],
)
def test_a_payload_is_sent_as_it_is_when_bytes_else_as_json(payload: object, sent: bytes) -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        answer = begin(function, payload)
        event = runtime.next()

        assert event.body == sent
        runtime.respond(event.request_id)
        answer.result(LIMIT)


def test_a_result_has_payload_id_and_version() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        answer = begin(function)
        event = runtime.next()
        runtime.respond(event.request_id, b'{"b":[1]}')

        result = answer.result(LIMIT)

    assert (result.payload, result.json()) == (b'{"b":[1]}', {"b": [1]})
    assert (result.request_id, result.executed_version) == (event.request_id, "$LATEST")
    assert (result.function_error, result.log) == (None, None)


def test_a_function_error_is_a_result_not_an_exception() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        answer = begin(function)
        runtime.error(runtime.next().request_id, b'{"errorMessage":"no"}')

        result = answer.result(LIMIT)

    assert (result.function_error, result.json()) == ("Unhandled", {"errorMessage": "no"})


def test_a_tail_is_the_end_of_the_log_as_text() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        answer = begin(function, tail=True)
        event = runtime.next()
        runtime.print("grüße\n".encode())
        runtime.respond(event.request_id)
        runtime.park()

        log = answer.result(LIMIT).log or ""

    assert log.startswith(f"START RequestId: {event.request_id} ")
    assert "\ngrüße\nEND RequestId: " in log


def test_client_context_and_trace_reach_the_runtime() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        begin(function, client_context={"custom": {"a": "é"}}, trace_header="Root=1-a;Sampled=0")
        event = runtime.next()
        runtime.respond(event.request_id)

    assert event.header("Lambda-Runtime-Client-Context") == '{"custom":{"a":"é"}}'
    assert event.header("Lambda-Runtime-Trace-Id") == "Root=1-a;Sampled=0"


def test_an_event_returns_at_once_and_runs_afterwards() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        result = begin(function, "later", invocation_type="Event").result(LIMIT)
        event = runtime.next()

        assert (result.payload, result.request_id) == (b"", event.request_id)
        assert event.body == b'"later"'


def test_a_dry_run_runs_nothing() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        begin(function, "dry", invocation_type="DryRun").result(LIMIT)
        function.call(b'"wet"')

        assert runtime.next().body == b'"wet"'


# What is refused is raised


def test_an_unknown_qualifier_is_raised() -> None:
    with scripted_function() as function:
        answer = begin(function, qualifier="PROD")

        with pytest.raises(ResourceNotFoundException):
            answer.result(LIMIT)


def test_throttling_is_raised() -> None:
    with scripted_function(on_busy="throttle", timeout=60) as function:
        runtime = function.runtime()
        function.call()
        runtime.next()
        answer = begin(function)

        with pytest.raises(TooManyRequestsException):
            answer.result(LIMIT)


def test_the_emulator_s_end_is_raised() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        answer = begin(function)
        runtime.next()
        function.end()

        with pytest.raises(ServiceException):
            answer.result(LIMIT)


def test_a_trace_header_of_two_lines_is_refused() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        runtime.park()
        answer = begin(function, trace_header="Root=1\r\nX-Forged: 1")

        with pytest.raises(InvalidParameterValueException):
            answer.result(LIMIT)

        call = function.call(b'"next"')
        assert runtime.main.read_event().body == b'"next"'
        del call


def test_an_event_that_is_lost_at_the_end_is_nobody_s_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR), scripted_function(timeout=60) as function:
        runtime = function.runtime()
        begin(function, invocation_type="Event").result(LIMIT)
        begin(function, invocation_type="Event").result(LIMIT)
        runtime.next()

    assert not caplog.records


# Entering and leaving


def test_a_port_in_use_is_a_settings_error_and_leaves_nothing_running() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, Script() as script:
        address = taken.getsockname()[:2]
        for name in ("listen", "runtime_api"):
            settings = {"listen": ("127.0.0.1", 0), name: address}

            with (
                pytest.raises(SettingsError, match="address already in use"),
                running_emulator(command=script.command, **settings),
            ):
                pass

        assert not script.has_started_another()


def test_a_log_dir_that_cannot_be_written_to_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(SettingsError, match="cannot be written to: Not a directory"),
        running_emulator(command=("true",), log_dir=tmp_path / "file" / "logs"),
    ):
        pass


def test_the_ready_file_says_where_calls_are_taken(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with scripted_function(ready_file=ready) as function:
        assert json.loads(ready.read_text())["invoke_api"] == function.url
        assert [path.name for path in tmp_path.iterdir()] == ["ready"]


def test_a_ready_file_that_cannot_be_written_ends_what_was_started(tmp_path: Path) -> None:
    with Script() as script:
        with (
            pytest.raises(SettingsError, match="ready-file"),
            running_emulator(command=script.command, ready_file=tmp_path / "none" / "ready"),
        ):
            pass

        wait_until(lambda: not running_with(script), "the end of the runtime")


def test_a_cancelled_emulator_leaves_nothing_running() -> None:
    async def run(script: Script) -> None:
        settings = Settings(command=script.command, listen=("127.0.0.1", 0), timeout=60)
        with anyio.move_on_after(0.5) as scope:
            async with Emulator(settings) as emulator:
                await emulator.invoke()
        assert scope.cancelled_caught

    with Script() as script:
        anyio.run(run, script)

        wait_until(lambda: not running_with(script), "the end of the runtime")


def test_an_exception_inside_it_ends_the_emulator_and_goes_through() -> None:
    with Script() as script:
        with (
            pytest.raises(LookupError, match="mine"),
            running_emulator(command=script.command),
        ):
            raise LookupError("mine")

        assert not running_with(script)


def test_two_emulators_run_side_by_side() -> None:
    with scripted_function() as one, scripted_function() as other:
        runtimes = one.runtime(), other.runtime()
        calls = one.call(), other.call()
        one.serve(runtimes[0], b"1")
        other.serve(runtimes[1], b"2")

        assert [call.read_response().body for call in calls] == [b"1", b"2"]


def running_with(script: Script) -> list[int]:
    """Find the running processes that a script's command started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        pid = int(path.parent.name)
        if script.command[-1].encode() in words and is_running(pid):
            found.append(pid)
    return found
