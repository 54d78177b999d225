"""The pytest plugin: a user's tests run their handler as Lambda would.

    def test_greets(lambda_function):
        function = lambda_function("app.handler", task_root="src", timeout=5)

        assert function.invoke({"name": "you"}).json() == {"greeting": "hello you"}

Registered for every pytest run wherever rie is installed: so it imports nothing until asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from rie.background import BackgroundFunction


class LambdaFunction(Protocol):
    """What the fixture gives: start a function, or another one; all end with the test."""

    def __call__(self, handler: str | None = None, /, **settings: object) -> BackgroundFunction:
        """Start a function.

        `handler` is run by our bootstrap; `command=(...)` starts another runtime. The rest are
        fields of rie.Settings. Raises SettingsError.
        """


@pytest.fixture
def lambda_function() -> Iterator[LambdaFunction]:
    """Start Lambda functions that live as long as the test."""
    from rie.background import running_function  # noqa: PLC0415 - see the top

    with ExitStack() as stack:

        def start(handler: str | None = None, /, **settings: object) -> BackgroundFunction:
            return stack.enter_context(running_function(handler, **settings))

        yield start
