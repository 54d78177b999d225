"""The custom runtimes in examples/runtimes, run as their READMEs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.emulator import emulator
from tests.real.runtimes import BASH, CACHE, EXAMPLES, JAVA, require

if TYPE_CHECKING:
    from pathlib import Path


def test_the_bash_example_greets(tmp_path: Path) -> None:
    require(*BASH.tools)

    with emulator(
        ["./bootstrap", "hello.greet"], task_root=EXAMPLES / "bash", directory=tmp_path
    ) as function:
        assert function.invoke({"name": "Ada"}).json() == {"greeting": "Hello, Ada!"}
        assert function.invoke({}).fields()["errorType"] == "NoName"


@pytest.mark.usefixtures("java_classes")
def test_the_java_example_greets(tmp_path: Path) -> None:
    require(*JAVA.tools)

    with emulator(
        ["java", "-cp", str(CACHE / "java"), "Runtime", "Hello.greet"],
        task_root=EXAMPLES / "java",
        directory=tmp_path,
    ) as function:
        assert function.invoke({"name": "Ada"}).json() == {"greeting": "Hello, Ada!"}
        assert function.invoke({}).fields()["errorType"] == "IllegalArgumentException"
