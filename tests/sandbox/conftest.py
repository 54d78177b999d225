"""The bounds of an execution environment are tried out twice: as root, and as anybody else."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.running_function import PYTHON, Name, RunningFunction, Whom, whom


def _whom_or_skip(name: Name) -> Iterator[Whom]:
    if name == "root" and os.geteuid() != 0:
        pytest.skip("as root: the tests run as an ordinary user")
    if not PYTHON.exists():
        pytest.skip(f"no interpreter that everybody can reach: {PYTHON} does not exist")
    with whom(name) as found:
        yield found


@pytest.fixture(scope="session", params=["root", "user"])
def as_whom(request: pytest.FixtureRequest) -> Iterator[Whom]:
    yield from _whom_or_skip(request.param)


@pytest.fixture(scope="session")
def as_root() -> Iterator[Whom]:
    """For what an ordinary user cannot have enforced."""
    yield from _whom_or_skip("root")


@pytest.fixture(scope="session")
def as_user() -> Iterator[Whom]:
    """For what an ordinary user has in another way."""
    yield from _whom_or_skip("user")


@pytest.fixture(scope="session")
def function(as_whom: Whom) -> Iterator[RunningFunction]:
    """For tests that only look around: a function with 256 MB and the bounds of the defaults."""
    with as_whom.run("--memory-size=256") as running:
        yield running
