"""The command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap.__main__ as main_module
from bootstrap.__main__ import USAGE, main
from tests.bootstrap.scripted import (
    ACCEPTED,
    REPOSITORY,
    Event,
    ScriptedApi,
    run_bootstrap,
    status,
)

END = status(500)
APP = "import sys\ndef handler(event, context): return sys.path[0]\n"


def run_command(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "bootstrap", *arguments],
        env={**variables, "PYTHONPATH": str(REPOSITORY), **env},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_help_needs_no_runtime_api(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])

    assert end.value.code == 0
    assert capsys.readouterr().out == USAGE


def test_help_is_shown() -> None:
    for option in ("-h", "--help"):
        shown = run_command(option)
        assert (shown.returncode, shown.stdout.partition(":")[0]) == (0, "usage")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["app.handler"], "AWS_LAMBDA_RUNTIME_API is not set"),
        ([], "AWS_LAMBDA_RUNTIME_API is not set"),
        (["a.b", "c.d"], "one handler, and no options: a.b c.d"),
        (["--fast"], "one handler, and no options: --fast"),
    ],
)
def test_a_command_line_that_cannot_work_says_why(arguments: list[str], why: str) -> None:
    ended = run_command(*arguments)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"bootstrap: {why}")


def test_an_address_that_is_none_says_so() -> None:
    ended = run_command("app.handler", AWS_LAMBDA_RUNTIME_API="nowhere")

    assert ended.returncode == 2
    assert "must be host:port, not 'nowhere'" in ended.stderr


def test_the_handler_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        run_bootstrap(api, tmp_path, env={"_HANDLER": "app.handler"})

    assert json.loads(api.posts()[0].body) == str(tmp_path)


def test_without_a_task_root_the_current_folder_is_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    with ScriptedApi(Event(), ACCEPTED, END) as api:
        run_bootstrap(api, tmp_path, "app.handler", env={"LAMBDA_TASK_ROOT": ""})

    assert json.loads(api.posts()[0].body) == str(tmp_path)


def test_a_task_root_that_is_on_the_path_is_not_put_there_twice(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import sys\ndef handler(event, context): return sys.path.count(event)\n"
    )

    with ScriptedApi(Event(json.dumps(str(tmp_path)).encode()), ACCEPTED, END) as api:
        env = {"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
        run_bootstrap(api, tmp_path, "app.handler", env=env)

    assert api.posts()[0].body == b"1"


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have layers in a folder of the test's own, and a path of one entry, the task root."""
    folder = tmp_path / "opt/python"
    monkeypatch.setattr(main_module, "LAYERS", str(folder))
    monkeypatch.setattr(sys, "path", ["/var/task", "/usr/lib/python"])
    return folder


def version_folder(layers: Path) -> Path:
    return layers / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def test_layers_come_behind_the_task_root_those_of_this_version_first(layers: Path) -> None:
    version_folder(layers).mkdir(parents=True)

    main_module.add_layers()

    assert sys.path == ["/var/task", str(version_folder(layers)), str(layers), "/usr/lib/python"]


def test_a_folder_of_layers_that_is_not_there_is_not_on_the_path(layers: Path) -> None:
    layers.mkdir(parents=True)

    main_module.add_layers()

    assert sys.path == ["/var/task", str(layers), "/usr/lib/python"]


def test_a_folder_of_layers_that_the_path_has_keeps_its_place(layers: Path) -> None:
    layers.mkdir(parents=True)
    sys.path.append(str(layers))

    main_module.add_layers()

    assert sys.path == ["/var/task", "/usr/lib/python", str(layers)]


def test_no_handler_at_all_is_an_init_error(tmp_path: Path) -> None:
    with ScriptedApi(ACCEPTED) as api:
        finished = run_bootstrap(api, tmp_path)

    assert api.posts()[0].json()["errorType"] == "Runtime.MalformedHandlerName"
    assert finished.code == 1
