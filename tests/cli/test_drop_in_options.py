"""`aws-lambda-rie` reads what the official emulator reads, and has its defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from rie.commands.drop_in import OPTIONS, drop_in_settings
from rie.commands.run import OPTIONS as RUN_OPTIONS
from rie.options import UsageError
from rie.settings import Settings, SettingsError

TASK = Path("/var/task")


def drop_in(*argv: str, environ: dict[str, str] | None = None, cwd: Path = TASK) -> Settings:
    return drop_in_settings(argv, environ or {}, cwd)


def test_the_defaults_are_the_official_ones() -> None:
    settings = drop_in()

    assert (settings.timeout, settings.memory_size) == (300.0, 3008)
    assert (settings.function_name, settings.function_version) == ("test_function", "$LATEST")
    assert (settings.region, settings.account_id) == ("us-east-1", "012345678912")
    assert settings.listen == ("0.0.0.0", 8080)  # noqa: S104 - it lives in containers
    assert settings.runtime_api == ("127.0.0.1", 9001)
    assert settings.log_group == "/aws/lambda/Functions"
    assert settings.drop_in


@pytest.mark.parametrize(
    ("flag", "value", "field", "meant"),
    [
        ("--log-level", "debug", "log_level", "debug"),
        ("--log-level", "WARN", "log_level", "warning"),
        ("--log-level", "trace", "log_level", "debug"),
        ("--log-level", "fatal", "log_level", "error"),
        ("--log-level", "panic", "log_level", "error"),
        ("--runtime-api-address", "127.0.0.1:9002", "runtime_api", ("127.0.0.1", 9002)),
        ("--runtime-interface-emulator-address", "0.0.0.0:80", "listen", ("0.0.0.0", 80)),  # noqa: S104
        ("--runtime-interface-emulator-address", ":80", "listen", ("0.0.0.0", 80)),  # noqa: S104
    ],
)
def test_the_official_flags_are_understood(
    flag: str, value: str, field: str, meant: object
) -> None:
    assert getattr(drop_in(flag, value), field) == meant
    assert getattr(drop_in(f"{flag}={value}"), field) == meant


def test_init_caching_is_accepted_and_said_to_have_no_effect() -> None:
    assert drop_in("--enable-init-caching").notices == ("--enable-init-caching has no effect yet",)
    assert drop_in().notices == ()


@pytest.mark.parametrize(
    ("variable", "value", "field", "meant"),
    [
        ("AWS_LAMBDA_FUNCTION_NAME", "orders", "function_name", "orders"),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "7", "timeout", 7.0),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "36000", "timeout", 36000.0),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "", "timeout", 300.0),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "64", "memory_size", 64),
        ("AWS_LAMBDA_FUNCTION_VERSION", "3", "function_version", "3"),
        ("AWS_LAMBDA_FUNCTION_HANDLER", "app.main", "handler", "app.main"),
        ("_HANDLER", "app.main", "handler", "app.main"),
        ("AWS_REGION", "eu-west-1", "region", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1", "region", "eu-west-1"),
        ("AWS_ACCOUNT_ID", "111122223333", "account_id", "111122223333"),
        ("AWS_LAMBDA_LOG_FORMAT", "json", "log_format", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", "debug", "application_log_level", "DEBUG"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/mine", "log_group", "/mine"),
        ("LOG_LEVEL", "error", "log_level", "error"),
        ("LAMBDA_TASK_ROOT", "/opt/app", "task_root", Path("/opt/app")),
    ],
)
def test_the_official_variables_are_understood(
    variable: str, value: str, field: str, meant: object
) -> None:
    assert getattr(drop_in(environ={variable: value}), field) == meant


def test_ours_win_over_the_official_variables_and_flags_over_both() -> None:
    official, ours = {"AWS_LAMBDA_FUNCTION_TIMEOUT": "7"}, {"RIE_TIMEOUT": "8"}

    assert drop_in(environ=official | ours).timeout == 8.0
    assert drop_in("--timeout=9", environ=official | ours).timeout == 9.0


def test_every_option_of_rie_run_is_there_but_those_that_choose_variables_code_and_layers() -> None:
    here = {option.name for option in OPTIONS}

    left_out = {"env", "env-file", "pass-env", "code", "layer"}
    assert {option.name for option in RUN_OPTIONS} - here == left_out
    assert here - {option.name for option in RUN_OPTIONS} == {"enable-init-caching"}


def test_the_command_is_positional_and_ends_the_options() -> None:
    settings = drop_in("--log-level=debug", "/entry", "--log-level", "x", "app.handler")

    assert settings.command == ("/entry", "--log-level", "x", "app.handler")
    assert settings.log_level == "debug"


@pytest.mark.parametrize(
    ("argv", "environ", "handler"),
    [
        (("/bootstrap", "app.main"), {}, "app.main"),
        (("/bootstrap", "app.main"), {"_HANDLER": "other"}, "app.main"),
        (("/bootstrap",), {"_HANDLER": "app.main"}, "app.main"),
        (("/bootstrap", "app.main"), {"AWS_LAMBDA_FUNCTION_HANDLER": "mine"}, "mine"),
        (("/bootstrap",), {}, None),
        ((), {}, None),
    ],
)
def test_the_handler_is_the_last_of_two_words_or_the_variable(
    argv: tuple[str, ...], environ: dict[str, str], handler: str | None
) -> None:
    assert drop_in(*argv, environ=environ).handler == handler


def test_without_a_command_it_is_left_to_the_search_for_bootstrap() -> None:
    assert drop_in().command == ()


def test_the_function_gets_the_whole_environment_except_ours() -> None:
    environ = {
        "A": "4=4",
        "HOME": "/home/me",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "7",
        "AWS_REGION": "x",
    }

    settings = drop_in(environ=environ | {"RIE_INIT": "lazy", "RIE_LISTEN": "127.0.0.1:0"})

    assert settings.environment == environ


def test_processes_start_in_the_current_folder_whatever_the_task_root_is() -> None:
    settings = drop_in(cwd=Path("/srv"), environ={"LAMBDA_TASK_ROOT": "/var/task"})

    assert (settings.working_directory, settings.task_root) == (Path("/srv"), TASK)


def test_the_task_root_is_the_current_folder_unless_said_otherwise() -> None:
    assert drop_in(cwd=Path("/srv")).task_root == Path("/srv")


def test_an_unknown_flag_is_refused_where_the_official_one_would_run_it() -> None:
    with pytest.raises(UsageError, match="unknown option '--log-leval'"):
        drop_in("--log-leval", "debug", "/bootstrap")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", "0", "must be more than 0 seconds"),
        ("AWS_LAMBDA_FUNCTION_NAME", "my function", "must be 1 to 64 letters"),
    ],
)
def test_an_error_in_an_official_variable_names_it(variable: str, value: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} '{value}' {why}"):
        drop_in(environ={variable: value})


def test_a_default_that_clashes_with_what_was_given_is_named_by_its_flag() -> None:
    with pytest.raises(SettingsError, match=r"^--runtime-api .* is the Invoke API's address"):
        drop_in("--runtime-interface-emulator-address=127.0.0.1:9001")
