"""The official emulator's filter, row by row; what real clients send in the last rows."""

from __future__ import annotations

import pytest

from rie.core.error_type import filtered


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (None, "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
        ("Runtime.ExitError", "Runtime.ExitError"),
        ("Function.MyError", "Function.MyError"),
        ("Function.Ab", "Function.Ab"),
        ("Function.E", "Function.Unknown"),
        ("Function.lower", "Function.Unknown"),
        ("Function.", "Function.Unknown"),
        ("Runtime.E", "Runtime.Unknown"),
        ("MyError", "Runtime.Unknown"),
        # The pattern is not anchored.
        ("my Runtime.BadThing here", "my Runtime.BadThing here"),
        ("Function<ArgumentError>", "Runtime.Unknown"),  # Ruby's client
        ("unhandled", "Runtime.Unknown"),  # Rust's
    ],
)
def test_an_error_type_is_kept_when_it_looks_like_one(header: str | None, shown: str) -> None:
    assert filtered(header) == shown
