"""Emulators that several tests share, one runtime after the other: a start costs up to a second."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.real.emulator import Function, emulator
from tests.real.runtimes import CACHE, EXAMPLES, FUNCTIONS, JAVA, RUNTIMES, Runtime, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    assert isinstance(request.param, Runtime)
    require(*request.param.tools)
    if request.param is JAVA:
        request.getfixturevalue("java_classes")
    return request.param


@pytest.fixture(scope="session")
def java_classes() -> Path:
    """Compile the Java runtime and all its functions."""
    require("javac")
    classes = CACHE / "java"
    sources = [*EXAMPLES.glob("java/*.java"), *FUNCTIONS.glob("java/*.java")]
    subprocess.run(["javac", "-d", classes, *sources], check=True)
    return classes


@pytest.fixture(scope="session")
def function(runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Function]:
    """Run the kit in one execution environment, with time for everything."""
    with emulator(
        [*runtime.command, runtime.kit],
        task_root=runtime.task_root,
        directory=tmp_path_factory.mktemp(runtime.name),
    ) as running:
        yield running
