"""Tests with containers need an engine, and leave none of their images behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import containers


@pytest.fixture(scope="session", autouse=True)
def _engine() -> Iterator[None]:
    containers.engine()
    yield
    containers.remove_built()
