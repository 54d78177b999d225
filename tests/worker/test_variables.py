"""Variables as recorded from AWS; source of the rules: developer guide, "Defined runtime
environment variables"."""

from __future__ import annotations

from pathlib import Path

import pytest

from rie.core.arn import FunctionName
from rie.core.function import FunctionConfiguration
from rie.worker.variables import RESERVED, UNRESERVED, reserved_in, runtime_environment


def make_environment(
    user: dict[str, str] | None = None, *, handler: str = "app.handler", log_format: str = "Text"
) -> dict[str, str]:
    function = FunctionConfiguration(
        name=FunctionName("billing", "eu-west-1"), handler=handler, memory_size=256, version="7"
    )
    return runtime_environment(
        function,
        user or {},
        runtime_api="127.0.0.1:9001",
        task_root=Path("/srv/billing"),
        log_group="/aws/lambda/billing",
        log_stream="2026/11/20/[7]abc",
        log_format=log_format,
        log_level="INFO",
        telemetry_log=62,
    )


def test_a_runtime_finds_exactly_these_variables() -> None:
    assert make_environment() == {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "billing",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/billing",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/20/[7]abc",
        "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001",
        "AWS_REGION": "eu-west-1",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": "/srv/billing",
        "LANG": "en_US.UTF-8",
        "LD_LIBRARY_PATH": (
            "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"
            "/var/task:/var/task/lib:/opt/lib"
        ),
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "PWD": "/srv/billing",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
        "_LAMBDA_TELEMETRY_LOG_FD": "62",
    }


def test_without_a_handler_there_is_no_handler_variable() -> None:
    assert "_HANDLER" not in make_environment(handler="")


def test_the_log_level_is_told_with_the_json_format_only() -> None:
    assert make_environment(log_format="JSON")["AWS_LAMBDA_LOG_LEVEL"] == "INFO"
    assert "AWS_LAMBDA_LOG_LEVEL" not in make_environment(log_format="Text")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_user_cannot_set_what_lambda_sets_itself(name: str) -> None:
    assert make_environment({name: "mine"}).get(name) == make_environment().get(name)


@pytest.mark.parametrize("name", ["_HANDLER", "_X_AMZN_TRACE_ID", "_LAMBDA_TELEMETRY_LOG_FD", "_A"])
def test_a_user_s_variables_with_an_underscore_in_front_do_not_pass(name: str) -> None:
    assert make_environment({name: "mine"}).get(name) == make_environment().get(name)


@pytest.mark.parametrize("name", sorted(UNRESERVED))
def test_a_user_may_set_what_is_unreserved(name: str) -> None:
    assert make_environment({name: "mine"})[name] == "mine"


def test_a_user_s_own_variables_and_credentials_pass_as_they_are() -> None:
    user = {
        "STAGE": "test",
        "FORMULA": "4=4",
        "EMPTY": "",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
    }

    assert make_environment(user) == {**make_environment(), **user}


def test_what_was_refused_can_be_named() -> None:
    user = {"_HANDLER": "x", "AWS_REGION": "x", "STAGE": "x", "AWS_ACCESS_KEY_ID": "x"}

    assert reserved_in(user) == ["AWS_REGION", "_HANDLER"]
