"""The support itself: a scripted function, from its start to its end."""

from __future__ import annotations

import json
import signal

from tests.support.emulator import is_running, scripted_function, wait_until


def test_a_scripted_runtime_answers_a_call() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        call = function.call(b'{"a": 1}')

        event = runtime.next()
        accepted = runtime.respond(event.request_id, b'"b"')

        assert event.body == b'{"a": 1}'
        assert accepted.status == 202
        assert call.read_response().body == b'"b"'


def test_boto3_reaches_it() -> None:
    with scripted_function() as function:
        runtime = function.runtime()
        call = function.begin(FunctionName="my-function", Payload=b"[1]")

        function.serve(runtime, b"[2]")

        assert json.loads(call.result()["Payload"].read()) == [2]


def test_its_process_prints_forks_and_dies_by_order() -> None:
    with scripted_function() as function:
        runtime = function.runtime()

        runtime.print(b"hello\n")
        function.log.wait_for("hello")
        child = runtime.fork()
        assert is_running(child)
        runtime.kill(signal.SIGKILL)
        wait_until(lambda: not is_running(runtime.pid), "the end of the process")
