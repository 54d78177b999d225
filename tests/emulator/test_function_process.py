"""What the function's process finds when it starts, as a real process tells it.

Source: developer guide, "Defined runtime environment variables"; recorded from AWS.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tests.support.emulator import scripted_function

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_gets_the_documented_variables_and_no_others(tmp_path: Path) -> None:
    # SV-64
    with scripted_function(
        task_root=tmp_path, handler="app.handler", memory_size=512, region="eu-west-1"
    ) as function:
        environment = function.runtime().environment

    stream = environment.pop("AWS_LAMBDA_LOG_STREAM_NAME")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", environment.pop("AWS_LAMBDA_RUNTIME_API"))
    assert environment.pop("_LAMBDA_TELEMETRY_LOG_FD").isdigit()
    environment.pop("LC_CTYPE", None)  # Python's own, where the locale is not there
    assert environment == {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "my-function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/my-function",
        "AWS_REGION": "eu-west-1",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
        "/var/task:/var/task/lib:/opt/lib",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "PWD": "/var/task",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    }


def test_the_user_s_variables_reach_it_whatever_is_in_them() -> None:
    user = {"FOUR": "4=4", "EMPTY": "", "SPACES": " a b ", "ACCENT": "é中😀", "TZ": "Europe/Berlin"}
    with scripted_function(environment=user) as function:
        environment = function.runtime().environment

    assert {name: environment[name] for name in user} == user


def test_reserved_variables_are_not_the_user_s_to_set() -> None:
    # SV-64
    user = {
        "AWS_REGION": "mars",
        "AWS_LAMBDA_RUNTIME_API": "nowhere:1",
        "AWS_LAMBDA_FUNCTION_NAME": "other",
        "_HANDLER": "evil",
        "_MINE": "1",
        "LAMBDA_TASK_ROOT": "/",
    }
    with scripted_function(environment=user, handler="app.handler") as function:
        environment = function.runtime().environment

    assert not [name for name, value in user.items() if environment.get(name) == value]
    assert environment["_HANDLER"] == "app.handler"


def test_credentials_are_passed_on() -> None:
    user = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    with scripted_function(environment=user) as function:
        environment = function.runtime().environment

    assert {name: environment[name] for name in user} == user


def test_nothing_leaks_in_from_the_emulator_s_own_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EMULATORS_OWN", "1")

    with scripted_function() as function:
        assert "EMULATORS_OWN" not in function.runtime().environment


def test_without_a_handler_there_is_no_variable_of_it() -> None:
    with scripted_function() as function:
        assert "_HANDLER" not in function.runtime().environment


def test_the_log_level_is_told_in_json_only() -> None:
    with scripted_function(log_format="JSON", application_log_level="WARN") as function:
        environment = function.runtime().environment

    assert environment["AWS_LAMBDA_LOG_FORMAT"] == "JSON"
    assert environment["AWS_LAMBDA_LOG_LEVEL"] == "WARN"


def test_it_starts_in_its_task_root_in_a_session_of_its_own(tmp_path: Path) -> None:
    with scripted_function(task_root=tmp_path) as function:
        about = function.runtime().about

    assert about["cwd"] == "/var/task"
    assert about["session"] == about["pid"]
    assert about["stdin"] == "/dev/null"


def test_it_inherits_no_descriptor_but_its_output_and_its_telemetry() -> None:
    with scripted_function() as function:
        runtime = function.runtime()

    telemetry = int(runtime.environment["_LAMBDA_TELEMETRY_LOG_FD"])
    inherited = [number for number in runtime.about["descriptors"] if number != telemetry]
    assert inherited[:3] == [0, 1, 2]
    assert len(inherited) == 4  # and its own socket to the test


def test_a_program_is_found_on_the_caller_s_path_not_on_lambda_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_function(init="lazy") as function:
        python, *arguments = function.script.command
        program = tmp_path / "my-runtime"
        program.write_text(f'#!/bin/sh\nexec {python} "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        script = function.script
        with scripted_function(command=("my-runtime", *arguments)) as other:
            runtime = script.runtime()

            assert runtime.environment["PATH"].startswith("/var/lang/bin:")
            call = other.call()
            other.serve(runtime)
            assert call.read_response().status == 200
