"""Commands about layers, packages and images that are ended leave nothing half-done behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rie.worker.process_table import members
from tests.support.emulator import wait_until

LIMIT = 60.0


@pytest.mark.parametrize(
    ("prefix", "numbers", "status"),
    [
        ((), (signal.SIGTERM,), 143),
        ((), (signal.SIGHUP,), 129),
        ((), (signal.SIGINT,), 130),
        (("nohup",), (signal.SIGHUP, signal.SIGTERM), 143),
    ],
)
def test_a_package_that_is_ended_while_pip_works_leaves_nothing(
    tmp_path: Path, prefix: tuple[str, ...], numbers: tuple[signal.Signals, ...], status: int
) -> None:
    code, temporary = tmp_path / "code", tmp_path / "tmp"
    code.mkdir()
    temporary.mkdir()
    (code / "app.py").write_text("x = 1\n")
    (tmp_path / "requirements.txt").write_text("any\n")
    mark = f"ENDED_TEST={tmp_path}"
    with socket.create_server(("127.0.0.1", 0)) as index:  # which never answers
        index.settimeout(LIMIT)
        variables = {
            **os.environ,
            "PIP_INDEX_URL": f"http://127.0.0.1:{index.getsockname()[1]}/simple",
            "PIP_NO_CACHE_DIR": "1",
            "TMPDIR": str(temporary),
            "ENDED_TEST": str(tmp_path),
        }
        command = [sys.executable, "-m", "rie", "package", "code", "-o", "function.zip"]
        with subprocess.Popen(
            [*prefix, *command, "-r", "requirements.txt"],
            cwd=tmp_path,
            env=variables,
            stderr=subprocess.PIPE,
        ) as process:
            connection, _ = index.accept()
            with connection:
                for number in numbers:
                    process.send_signal(number)
                _, said = process.communicate(timeout=LIMIT)

    assert process.returncode == status
    assert b"Traceback" not in said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["code", "requirements.txt", "tmp"]
    wait_until(lambda: not list(members(mark.encode())), "pip's end")
    assert not [each for each in temporary.iterdir() if each.name.startswith("rie")]


GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.22; exit; fi
mkdir "$TMPDIR/go-build1"
touch "$REACHED"
sleep 600 &
wait
"""


def test_a_layer_that_is_ended_while_it_is_built_leaves_nothing(tmp_path: Path) -> None:
    programs, temporary, reached = (tmp_path / name for name in ("bin", "tmp", "reached"))
    programs.mkdir()
    temporary.mkdir()
    (programs / "go").write_text(GO)
    (programs / "go").chmod(0o755)
    variables = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "REACHED": str(reached),
    }
    command = [sys.executable, "-m", "rie", "layer", "build", "exec", "-o", "exec.zip"]
    with subprocess.Popen(command, cwd=tmp_path, env=variables) as process:
        wait_until(reached.exists, "the build")
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT)

    assert process.returncode == 143
    mark = f"REACHED={reached}".encode()
    wait_until(lambda: not list(members(mark)), "the build's end")
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "exec.zip").exists()
