"""The Python layer: the bootstrap package, started by whichever Python there is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.layers.built import LAYERS, ROOT, build, built
from tests.layers.starts import fail_to_start
from tests.real.emulator import Answer, Function, emulator

APP = """
import sys, os
print("loaded")
def handler(event, context):
    return {
        "event": event, "path": sys.path, "python": sys.executable,
        "wrapped": os.environ.get("WRAPPED"), "request_id": context.aws_request_id,
    }
"""


def run(
    folder: Path, *options: str, handler: str = "app.handler"
) -> AbstractContextManager[Function]:
    (folder / "app.py").write_text(APP)
    (folder / "log").mkdir()
    return emulator(
        [str(built("python") / "bootstrap")],
        task_root=folder,
        directory=folder / "log",
        options=(f"--handler={handler}", *options),
    )


def error_of(answer: Answer) -> tuple[object, object]:
    assert answer.error == "Unhandled", answer
    fields = answer.fields()
    return fields["errorType"], fields["errorMessage"]


def test_a_handler_is_served(tmp_path: Path) -> None:
    with run(tmp_path) as function:
        answer = function.invoke({"a": "ž"})

    fields = answer.fields()
    assert fields["event"] == {"a": "ž"}
    assert fields["request_id"] == answer.request_id


def test_the_task_root_is_first_on_the_path_and_the_layer_is_not_on_it(tmp_path: Path) -> None:
    with run(tmp_path) as function:
        path = function.invoke(None).fields()["path"]

    assert isinstance(path, list)
    assert path[0] == "/var/task"
    assert not [entry for entry in path if "rie-bootstrap" in entry]


def test_a_users_own_bootstrap_module_is_the_one_that_is_found(tmp_path: Path) -> None:
    (tmp_path / "bootstrap.py").write_text("def handler(event, context): return 'mine'\n")

    with run(tmp_path, handler="bootstrap.handler") as function:
        assert function.invoke(None).json() == "mine"


def test_a_handler_that_is_missing_is_told_by_the_bootstrap(tmp_path: Path) -> None:
    with run(tmp_path, handler="app.missing") as function:
        assert error_of(function.invoke(None)) == (
            "Runtime.HandlerNotFound",
            "Handler 'missing' missing on module 'app'",
        )


def test_a_wrapper_gets_the_interpreter_and_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "wrapper").write_text('#!/bin/sh\nexport WRAPPED="$*"\nexec "$@"\n')
    (tmp_path / "wrapper").chmod(0o755)

    with run(tmp_path, "--env=AWS_LAMBDA_EXEC_WRAPPER=/var/task/wrapper") as function:
        fields = function.invoke(None).fields()

    interpreter, folder = str(fields["wrapped"]).split()
    assert interpreter == fields["python"]
    assert folder == str(built("python") / "rie-bootstrap")


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_wrapper_that_cannot_be_run_is_an_init_error(
    tmp_path: Path, httpserver: HTTPServer, mode: int | None
) -> None:
    wrapper = tmp_path / "wrapper"
    if mode:
        wrapper.write_text("#!/bin/sh\n")
        wrapper.chmod(mode)

    failed = fail_to_start(
        httpserver, "python", tmp_path, "app.handler", AWS_LAMBDA_EXEC_WRAPPER=str(wrapper)
    )

    assert failed.kind == "Runtime.InvalidExecWrapper"
    assert failed.status == (126 if mode else 127)
    assert "AWS_LAMBDA_EXEC_WRAPPER names" in failed.message


def test_the_python_can_be_chosen(tmp_path: Path) -> None:
    chosen = tmp_path / "my-python"
    chosen.write_text(f'#!/bin/sh\nexport WRAPPED=chosen\nexec {sys.executable} "$@"\n')
    chosen.chmod(0o755)

    # In its own place, which an ordinary user might not be able to read.
    with run(tmp_path, f"--env=RIE_PYTHON={chosen}", "--no-sandbox") as function:
        assert function.invoke(None).fields()["wrapped"] == "chosen"


def test_a_python_that_is_none_is_an_init_error(tmp_path: Path, httpserver: HTTPServer) -> None:
    failed = fail_to_start(httpserver, "python", tmp_path, "app.handler", RIE_PYTHON="/no/python")

    assert (failed.kind, failed.status) == ("Runtime.PythonNotFound", 127)
    assert failed.message == "RIE_PYTHON names no program that can be run"


def start(address: str, *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *before, built("python") / "rie-bootstrap"],
        env={"AWS_LAMBDA_RUNTIME_API": address, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_that_is_too_old_is_an_init_error(httpserver: HTTPServer) -> None:
    expected = httpserver.expect_request("/2018-06-01/runtime/init/error", method="POST")
    expected.respond_with_data(status=202)
    # There is none here: this one says that it is.
    pretend = "import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_path(sys.argv[1])"

    ended = start(f"{httpserver.host}:{httpserver.port}", "-c", pretend)

    request = httpserver.log[0][0]
    assert ended.returncode == 1
    error = json.loads(request.get_data())
    assert error["errorType"] == "Runtime.PythonTooOld"
    assert "is Python 3.9.2; the bootstrap needs 3.10 or newer" in error["errorMessage"]
    assert error["errorMessage"] in ended.stderr


def test_bytecode_is_for_the_pythons_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIE_LAYER_PYTHONS", "")
    build("python", tmp_path / "none")
    monkeypatch.setenv("RIE_LAYER_PYTHONS", sys.executable)
    build("python", tmp_path / "one")

    assert not list((tmp_path / "none").rglob("*.pyc"))
    names = {path.name for path in (tmp_path / "one").rglob("*.pyc")}
    assert f"loop.{sys.implementation.cache_tag}.pyc" in names


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("RIE_LAYER_PYTHONS", "python3.99", "there is no python3.99"),
        ("RIE_BOOTSTRAP_FOLDER", "/no/such", "no bootstrap package in /no/such"),
    ],
)
def test_a_build_that_cannot_be_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)

    ended = subprocess.run(
        [LAYERS / "python/build", tmp_path / "out", "x86_64"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    assert says in ended.stderr


@pytest.mark.parametrize("layers", ["checkout/layers", "site-packages/rie/data/layers"])
def test_the_package_is_found_in_a_checkout_and_where_both_are_installed(
    tmp_path: Path, layers: str
) -> None:
    folder = tmp_path / layers / "python"
    shutil.copytree(LAYERS / "python", folder)
    package = tmp_path / Path(layers).parts[0] / "bootstrap"
    package.mkdir()
    (package / "__main__.py").write_text("MINE = 1\n")

    subprocess.run([folder / "build", tmp_path / "out", "x86_64"], check=True)

    copy = tmp_path / "out/rie-bootstrap/bootstrap/__main__.py"
    assert copy.read_text() == "MINE = 1\n"


def test_the_package_is_found_where_a_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIE_BOOTSTRAP_FOLDER", str(ROOT / "bootstrap"))

    build("python", tmp_path)

    copy = (tmp_path / "rie-bootstrap/bootstrap/loop.py").read_bytes()
    assert copy == (ROOT / "bootstrap/loop.py").read_bytes()
