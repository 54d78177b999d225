"""The tables of the pages agree with those of the code."""

from __future__ import annotations

import dataclasses
import re

import pytest

from rie.commands import drop_in
from rie.core import errors, limits
from rie.core.errors import RuntimeApiError, ServiceError
from rie.http.limits import Limits
from rie.sandbox.wanted import FEATURES
from rie.settings import Settings
from tests.docs.pages import ROOT


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


SERVICE_ERRORS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, ServiceError) and each is not ServiceError
]
RUNTIME_API_ERRORS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, RuntimeApiError) and each is not RuntimeApiError
]


@pytest.mark.parametrize("error", SERVICE_ERRORS)
def test_the_page_of_the_invoke_api_has_every_refusal(error: type[ServiceError]) -> None:
    assert f"| {error.status} | `{error.code}`" in page("docs/invoke.md")


@pytest.mark.parametrize("error", RUNTIME_API_ERRORS)
def test_the_page_of_the_runtime_api_has_every_refusal(error: type[RuntimeApiError]) -> None:
    assert f"| {error.status} | `{error.error_type}` |" in page("docs/runtime-api.md")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("docs/invoke.md", limits.MAX_REQUEST_PAYLOAD),
        ("docs/invoke.md", limits.MAX_EVENT_PAYLOAD),
        ("docs/invoke.md", limits.MAX_RESPONSE_PAYLOAD),
        ("docs/invoke.md", limits.MAX_CLIENT_CONTEXT),
        ("docs/runtime-api.md", limits.MAX_RESPONSE_PAYLOAD),
    ],
)
def test_the_pages_have_the_limits(name: str, number: int) -> None:
    assert f"{number:,} bytes" in page(name) or f"{number:,} for" in page(name)


def test_the_page_of_the_runtime_api_has_the_limits_of_connections() -> None:
    defaults = Limits()
    text = page("docs/runtime-api.md")

    assert f"| head of a request | {defaults.head_bytes // limits.MIB} MiB" in text
    assert f"from its first byte | {defaults.head_timeout:.0f} s;" in text
    assert f"| a body that stalls | {defaults.stall_timeout:.0f} s |" in text


def test_the_page_of_the_drop_in_has_the_official_flags_variables_and_defaults() -> None:
    rows = re.findall(r"^\| (`--.+?) \| (.*?) \| (.+) \|$", page("docs/drop-in.md"), re.MULTILINE)
    told = {name[2:]: row for row in rows for name in re.findall(r"--[\w-]+", row[0])}
    options = {option.name: option for option in drop_in.OPTIONS}

    for name in drop_in.OFFICIAL:
        option = options[name]
        assert set(option.aliases) <= set(told)
        flags, variables, default = told[name]
        assert [each for each in option.variables if f"`{each}`" not in variables] == []
        if "default" in drop_in.OFFICIAL[name]:
            assert option.default in default, flags


def test_the_page_of_the_library_tells_of_settings_that_there_are() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)}
    section = page("docs/library.md").partition("## Settings")[2].partition("\n## ")[0]

    named = set(re.findall(r"`([a-z_]+)`", section))
    assert named <= fields


def test_the_page_of_the_bounds_has_each_of_them_in_the_order_of_doctor() -> None:
    table = page("docs/sandbox.md").partition("## What holds, and by what")[2].partition("\n## ")[0]

    assert re.findall(r"^\| (\w+) \|", table, re.MULTILINE)[1:] == list(FEATURES)
