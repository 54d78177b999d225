"""The shipped layers where they belong, in /opt, laid there by the emulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers import events
from tests.layers.built import FUNCTIONS, built
from tests.real.emulator import emulator

HTTP = ("--env=RIE_HTTP_PORT=0", "--env=RIE_HTTP_READY_PROTOCOL=tcp")


@pytest.mark.parametrize(
    ("layer", "handler", "options"),
    [("exec", "once.py", ()), ("shell", "shell.echo_event", ()), ("http", "server.py", HTTP)],
)
def test_a_layer_is_the_runtime(
    tmp_path: Path, layer: str, handler: str, options: tuple[str, ...]
) -> None:
    event = events.http_api()

    with emulator(
        (),
        task_root=FUNCTIONS,
        directory=tmp_path,
        options=(f"--layer={built(layer)}", f"--handler={handler}", *options),
    ) as function:
        answer = function.invoke(event).fields()

    assert answer == event or answer["statusCode"] == 200


APP = """
import sys, one, two
def handler(event, context): return [one.NAME, two.NAME, sys.path[:3]]
"""
MINORS = range(10, 20)  # whichever Python of the machine the function finds


def test_python_finds_what_layers_have(tmp_path: Path) -> None:
    folders = [f"lib/python3.{minor}/site-packages" for minor in MINORS]
    for name, folder in (("one", ""), *(("two", folder) for folder in folders)):
        (tmp_path / "layer/python" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "layer/python" / folder / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (tmp_path / "task").mkdir()
    (tmp_path / "task/app.py").write_text(APP)
    (tmp_path / "log").mkdir()

    with emulator(
        (),
        task_root=tmp_path / "task",
        directory=tmp_path / "log",
        options=(
            f"--layer={built('python')}",
            f"--layer={tmp_path / 'layer'}",
            "--handler=app.handler",
        ),
    ) as function:
        answer = function.invoke(None).json()

    paths = [["/var/task", f"/opt/python/{folder}", "/opt/python"] for folder in folders]
    assert answer in [["one", "two", path] for path in paths]
