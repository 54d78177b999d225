"""The examples in the layers' own pages do what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.layers import events
from tests.layers.built import LAYERS, built
from tests.real.emulator import Function, emulator
from tests.real.runtimes import require

ADA = {"name": "Ada"}


def example(layer: str, language: str) -> str:
    """Find the first block of code in this language on the layer's page."""
    page = (LAYERS / layer / "README.md").read_text()
    found = re.search(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found, page
    return found[1]


# layer, language of the block, its file, the handler, variables, what it needs
EXAMPLES: list[tuple[str, str, str, str, tuple[str, ...], str]] = [
    ("python", "python", "app.py", "app.handler", (), "python3"),
    ("shell", "bash", "hello.sh", "hello.greet", (), "bash"),
    ("exec", "perl", "hello.pl", "hello.pl", (), "perl"),
    ("exec", "python", "hello.py", "hello.py", ("RIE_EXEC_MODE=lines",), "python3"),
    ("http", "js", "server.js", "node server.js",
     ("RIE_HTTP_PORT=0", "RIE_HTTP_READY_PROTOCOL=http"), "node"),
]  # fmt: skip


def answer_of(layer: str, function: Function) -> object:
    if layer == "http":
        return function.invoke(events.http_api(path="/hello")).fields()["body"]
    fields = function.invoke(ADA).fields()
    fields.pop("request", None)
    return fields


ANSWERS = {"python": {"hello": "Ada"}, "http": "You asked for /hello\n"}


@pytest.mark.parametrize("case", EXAMPLES, ids=[f"{case[0]} {case[1]}" for case in EXAMPLES])
def test_the_example_of_a_page_answers(
    tmp_path: Path, case: tuple[str, str, str, str, tuple[str, ...], str]
) -> None:
    layer, language, name, handler, variables, tool = case
    require(tool)
    (tmp_path / "log").mkdir()
    (tmp_path / name).write_text(example(layer, language))
    (tmp_path / name).chmod(0o755)

    with emulator(
        [str(built(layer) / "bootstrap")],
        task_root=tmp_path,
        directory=tmp_path / "log",
        options=(f"--handler={handler}", *(f"--env={each}" for each in variables)),
    ) as function:
        answer = answer_of(layer, function)

    assert answer == ANSWERS.get(layer, {"greeting": "Hello, Ada!"})
