"""Settings: AWS's defaults, and one line for each value that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rie.core.errors import RieError
from rie.settings import Settings, SettingsError, function_name_from


def make_settings(**changes: Any) -> Settings:  # noqa: ANN401 - whatever the field takes
    return replace(Settings(task_root=Path("/srv/my app")), **changes)


def test_the_defaults_are_those_of_a_new_function_on_aws() -> None:
    settings = Settings()

    assert (settings.timeout, settings.memory_size) == (3.0, 128)
    assert (settings.function_version, settings.region) == ("$LATEST", "us-east-1")
    assert (settings.init, settings.init_timeout, settings.environments) == ("eager", 10.0, 1)
    assert (settings.log_format, settings.system_log_level) == ("Text", "INFO")


def test_calls_are_taken_on_this_machine_only_unless_asked_otherwise() -> None:
    assert Settings().listen == ("127.0.0.1", 8080)
    assert Settings().runtime_api is None


def test_the_function_is_named_after_its_folder() -> None:
    settings = make_settings()

    assert settings.function_name == "my-app"
    assert settings.log_group == "/aws/lambda/my-app"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/srv/orders", "orders"),
        ("/srv/Orders_v2", "Orders_v2"),
        ("/srv/my.app (2)", "my-app--2"),
        ("/srv/" + "x" * 100, "x" * 64),
        ("/srv/übung", "bung"),
        ("/srv/...", "function"),
        ("/", "function"),
    ],
)
def test_every_folder_makes_a_name_that_lambda_would_take(folder: str, name: str) -> None:
    assert function_name_from(Path(folder)) == name


BAD: list[tuple[str, object, str]] = [
    ("command", ("",), "must name a program"),
    ("function_name", "my function", "must be 1 to 64 letters"),
    ("function_name", "x" * 65, "must be 1 to 64 letters"),
    ("function_name", "função", "must be 1 to 64 letters"),
    ("function_version", "1.0", "must be $LATEST"),
    ("timeout", 0.0, "must be more than 0 seconds"),
    ("timeout", -1.0, "must be more than 0 seconds"),
    ("timeout", float("nan"), "must be more than 0 seconds"),
    ("timeout", float("inf"), "must be more than 0 seconds"),
    ("timeout", 900.5, "must be at most 900 seconds"),
    ("memory_size", 127, "must be from 128 to 10240 MB"),
    ("memory_size", 10241, "must be from 128 to 10240 MB"),
    ("memory_size", 0, "must be more than 0 MB"),
    ("region", "US East", "must be like us-east-1"),
    ("region", "", "must be like us-east-1"),
    ("account_id", "12345", "must be 12 digits"),
    ("account_id", "12345678901x", "must be 12 digits"),
    ("log_group", "a b", "must be 1 to 512 letters"),
    ("environments", 0, "must be at least 1"),
    ("init_timeout", 0.0, "must be more than 0 seconds"),
    ("idle_timeout", 0.0, "must be more than 0 seconds"),
    ("max_lifetime", -5.0, "must be more than 0 seconds"),
    ("listen", ("", 8080), "must be a host and a port from 0 to 65535"),
    ("listen", ("127.0.0.1", 65536), "must be a host and a port from 0 to 65535"),
    ("runtime_api", ("127.0.0.1", -1), "must be a host and a port from 0 to 65535"),
    ("runtime_api", ("127.0.0.1", 8080), "is the Invoke API's address"),
    ("init", "later", "must be eager or lazy"),
    ("on_busy", "fail", "must be wait or throttle"),
    ("log_format", "json", "must be Text or JSON"),
    ("application_log_level", "LOUD", "must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL"),
    ("system_log_level", "ERROR", "must be DEBUG, INFO or WARN"),
    ("log_level", "loud", "must be debug, info, warning or error"),
    ("diary_format", "xml", "must be auto, console or json"),
]


@pytest.mark.parametrize(("name", "value", "why"), BAD)
def test_a_value_that_cannot_be_used_is_named_with_its_reason(
    name: str, value: object, why: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        make_settings(**{name: value})

    assert caught.value.option == name
    assert caught.value.why.startswith(why)
    assert str(caught.value).startswith(f"{name} {value!r} {why}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout": 0.05},
        {"timeout": 900.0},
        {"memory_size": 10240},
        {"function_version": "42"},
        {"function_version": "prod"},
        {"idle_timeout": None},
        {"listen": ("127.0.0.1", 0), "runtime_api": ("127.0.0.1", 0)},
    ],
)
def test_the_edges_of_what_aws_takes_are_taken(changes: dict[str, Any]) -> None:
    settings = make_settings(**changes)

    assert {name: getattr(settings, name) for name in changes} == changes


def test_the_drop_in_has_no_upper_bounds_because_the_official_emulator_has_none() -> None:
    settings = make_settings(drop_in=True, timeout=36000.0, memory_size=64)

    assert (settings.timeout, settings.memory_size) == (36000.0, 64)
    with pytest.raises(SettingsError, match="more than 0 seconds"):
        make_settings(drop_in=True, timeout=0.0)


def test_a_settings_error_is_one_of_ours() -> None:
    assert issubclass(SettingsError, RieError)


@pytest.mark.parametrize(
    "module", ["asyncio", "argparse", "structlog", "orjson", "httpx", "uvloop"]
)
def test_reading_options_imports_nothing_heavy(module: str) -> None:
    program = f"import rie.cli, rie.commands.run, sys; sys.exit({module!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
