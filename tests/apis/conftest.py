"""One function with one scripted runtime: what most of these tests start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.emulator import scripted_function

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import ScriptedFunction
    from tests.support.scripted_runtime import ScriptedRuntime


@pytest.fixture
def function() -> Iterator[ScriptedFunction]:
    with scripted_function(timeout=60, init_timeout=60) as function:
        yield function


@pytest.fixture
def runtime(function: ScriptedFunction) -> ScriptedRuntime:
    return function.runtime()
