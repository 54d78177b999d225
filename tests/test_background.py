from __future__ import annotations

import os
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from rie import ServiceError, SettingsError
from rie.background import running_function
from rie.worker.process_table import members
from tests.support.emulator import boto3_client, wait_until
from tests.support.raw_http import LIMIT

# In the environment of a function, and of everything that it starts.
MARKED = {"MARKER": uuid.uuid4().hex}
MARK = f"MARKER={MARKED['MARKER']}".encode()

APP = """
import os, sys, threading

def echo(event, context):
    print("said by the function")
    return event

def refuse(event, context):
    raise ValueError("not today")

def describe(event, context):
    return {
        "marker": os.environ.get("MARKER"),
        "name": context.function_name,
        "variable": os.environ.get("VARIABLE"),
        "client": context.client_context and context.client_context.custom,
        "version": context.function_version,
    }

def hang(event, context):
    print("running", flush=True)
    threading.Event().wait()
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def test_the_answer_of_the_handler_is_the_result(app: Path) -> None:
    with running_function("app.echo", task_root=app) as function:
        result = function.invoke({"name": "Zoë"})

        assert result.json() == {"name": "Zoë"}
        assert result.function_error is None
        assert result.executed_version == "$LATEST"


def test_bytes_are_sent_as_they_are_and_nothing_is_an_empty_object(app: Path) -> None:
    with running_function("app.echo", task_root=app) as function:
        assert function.invoke(b"[1,   2]").json() == [1, 2]
        assert function.invoke().json() == {}


def test_the_result_has_the_log_of_its_invocation(app: Path) -> None:
    with running_function("app.echo", task_root=app) as function:
        function.invoke()
        result = function.invoke()

        assert result.log is not None
        lines = result.log.splitlines()
        assert lines[0] == f"START RequestId: {result.request_id} Version: $LATEST"
        assert lines[1] == "said by the function"
        assert lines[-1].startswith(f"REPORT RequestId: {result.request_id}")


def test_an_error_of_the_handler_is_a_result_too(app: Path) -> None:
    with running_function("app.refuse", task_root=app) as function:
        result = function.invoke()

        assert result.function_error == "Unhandled"
        document = result.json()
        assert isinstance(document, dict)
        assert (document["errorType"], document["errorMessage"]) == ("ValueError", "not today")


def test_settings_reach_the_function(app: Path) -> None:
    with running_function(
        "app.describe",
        task_root=str(app),
        function_name="orders",
        function_version="7",
        environment={"VARIABLE": "value"},
    ) as function:
        told = function.invoke(client_context={"custom": {"a": "b"}}, qualifier="7").json()

        assert function.name == "orders"
        assert isinstance(told, dict)
        del told["marker"]
        expected = {"name": "orders", "variable": "value", "client": {"a": "b"}, "version": "7"}
        assert told == expected


def test_a_command_runs_another_runtime(app: Path) -> None:
    with running_function(task_root=app, command=("false",)) as function:
        result = function.invoke()

        assert result.function_error == "Unhandled"
        assert b"Runtime exited with error: exit status 1" in result.payload


def test_boto3_calls_the_same_function(app: Path) -> None:
    with (
        running_function("app.echo", task_root=app, function_name="orders") as function,
        closing(boto3_client(function.invoke_api)) as client,
    ):
        answer = client.invoke(FunctionName="orders", Payload=b'{"a": 1}')

        assert answer["StatusCode"] == 200
        assert answer["Payload"].read() == b'{"a": 1}'


def test_the_timeout_of_the_function_is_a_result(app: Path) -> None:
    with running_function("app.hang", task_root=app, timeout=0.3) as function:
        result = function.invoke()

        assert b"Task timed out after 0.30 seconds" in result.payload


def test_whoever_waits_may_give_up_and_the_function_goes_on(app: Path) -> None:
    with running_function("app.hang", task_root=app, timeout=0.5) as function:
        with pytest.raises(TimeoutError):
            function.invoke(timeout=0.01)

        assert function.invoke().function_error == "Unhandled"


def test_what_the_service_refuses_is_raised(app: Path) -> None:
    with (
        running_function("app.echo", task_root=app) as function,
        pytest.raises(ServiceError, match="Function not found") as refusal,
    ):
        function.invoke(qualifier="nowhere")

    assert refusal.value.code == "ResourceNotFoundException"


def test_an_event_is_run_before_a_call_that_comes_later(app: Path) -> None:
    source = "def handler(event, context):\n    seen.append(event)\n    return seen\nseen = []\n"
    (app / "order.py").write_text(source)
    with running_function("order.handler", task_root=app) as function:
        event = function.invoke(1, invocation_type="Event")
        dry_run = function.invoke(2, invocation_type="DryRun")

        assert (event.payload, dry_run.payload) == (b"", b"")
        assert function.invoke(3).json() == [1, 3]


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"timeout": 0}, "timeout"),
        ({"memory_size": 64}, "memory_size"),
        ({"log_format": "XML"}, "log_format"),
        ({"function_name": "a b"}, "function_name"),
    ],
)
def test_a_setting_that_cannot_be_used_is_raised_here(
    settings: dict[str, object], option: str
) -> None:
    with pytest.raises(SettingsError) as error, running_function("app.echo", **settings):
        pass

    assert error.value.option == option


def test_an_address_in_use_is_raised_here_and_leaves_nothing_behind(app: Path) -> None:
    with running_function("app.echo", task_root=app) as function:
        before = set(threading.enumerate())
        host, port = function.invoke_api.removeprefix("http://").split(":")

        with (
            pytest.raises(SettingsError, match="address already in use"),
            running_function("app.echo", task_root=app, listen=(host, int(port))),
        ):
            pass

        assert set(threading.enumerate()) <= before


def test_the_end_leaves_no_process_and_no_thread(app: Path) -> None:
    before = set(threading.enumerate())
    with running_function("app.describe", task_root=app, environment=MARKED) as function:
        assert function.invoke().json()["marker"] == MARKED["MARKER"]  # type: ignore[index]
        assert list(members(MARK))

    assert not list(members(MARK))
    assert set(threading.enumerate()) <= before


def test_the_end_leaves_no_open_file(app: Path) -> None:
    with running_function("app.echo", task_root=app) as function:
        function.invoke()
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - numbers, not paths

    with running_function("app.echo", task_root=app) as function:
        function.invoke()

    assert len(os.listdir("/proc/self/fd")) <= len(before)  # noqa: PTH208


def test_an_exception_in_the_context_ends_the_function_and_goes_through(app: Path) -> None:
    def fail() -> None:
        with running_function("app.describe", task_root=app, environment=MARKED) as function:
            function.invoke()
            assert list(members(MARK))
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        fail()

    assert not list(members(MARK))


def test_a_caller_in_another_thread_is_answered_when_the_function_ends(
    app: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as pool, ExitStack() as life:
        function = life.enter_context(
            running_function("app.hang", task_root=app, timeout=60, log_dir=tmp_path / "logs")
        )
        call = pool.submit(function.invoke)
        wait_until(lambda: "running" in logged(tmp_path), "the call")

        life.close()

        with pytest.raises(ServiceError, match="shutting down"):
            call.result(LIMIT)


def logged(folder: Path) -> str:
    return "".join(each.read_text() for each in folder.rglob("*.log"))


def test_a_function_whose_context_was_left_says_so(app: Path) -> None:
    with running_function("app.echo", task_root=app) as function:
        pass

    with pytest.raises(RuntimeError, match="its context was left"):
        function.invoke()


def test_two_functions_run_at_once(app: Path) -> None:
    with (
        running_function("app.describe", task_root=app, function_name="one") as one,
        running_function("app.describe", task_root=app, function_name="two") as two,
    ):
        answers = [function.invoke().json() for function in (one, two)]

        assert one.invoke_api != two.invoke_api
        assert [told["name"] for told in answers if isinstance(told, dict)] == ["one", "two"]


def test_calls_of_many_threads_each_have_their_own_answer(app: Path) -> None:
    with (
        running_function("app.echo", task_root=app, environments=2) as function,
        ThreadPoolExecutor(8) as pool,
    ):
        results = list(pool.map(function.invoke, range(1, 41)))

        assert [result.json() for result in results] == list(range(1, 41))
