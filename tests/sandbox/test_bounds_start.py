"""What a function needs of this machine is there inside; and how to have no bounds at all."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from tests.support.running_function import PYTHON, Whom, open_folder, put_code

TMP = "/tmp"


def virtual_environment(folder: Path) -> Path:
    """Make one; return its interpreter, a link to everybody's."""
    subprocess.run((PYTHON, "-m", "venv", "--without-pip", folder), check=True)
    return folder / "bin" / "python"


def test_code_and_program_below_this_machines_tmp_are_shown_inside(as_whom: Whom) -> None:
    with open_folder(parent=TMP) as top:
        code, home = top / "code", top / "venv"
        code.mkdir()
        put_code(code)
        command = (str(virtual_environment(home)), "-m", "bootstrap", "app.handler")

        with as_whom.run(task_root=code, command=command) as function:
            facts = function.call("where_it_runs")
            assert facts["prefix"] == str(home)
            assert facts["file"] == "/var/task/app.py"
            names = function.call("look_at_tmp")["names"]

    assert top.name in names
    assert set(names) < {*os.listdir(TMP), top.name}  # noqa: PTH208 - names


def test_what_is_shown_of_tmp_cannot_be_written_to(as_whom: Whom) -> None:
    with open_folder(parent=TMP) as top, open_folder(0o777, str(top)) as code:
        put_code(code)
        with as_whom.run(task_root=code) as function:
            assert function.call("write_file", str(code / "new"), "x") == errno.EROFS
            assert function.call("write_file", f"{TMP}/new", "x") is None

        assert not (code / "new").exists()


def test_without_a_sandbox_it_is_a_process_like_any_other(as_whom: Whom) -> None:
    with open_folder(parent=TMP) as ours, as_whom.run("--no-sandbox") as function:
        (ours / "marker").write_text("of this machine")

        assert function.call("read_file", str(ours / "marker")) == "of this machine"
        assert function.call("who_it_is")["ids"][0] == as_whom.identity[0]
        assert function.call("where_it_runs")["cwd"] == str(as_whom.task_root)
        assert function.process.pid in function.call("look_at_processes")["all"]


def test_without_a_sandbox_memory_is_only_watched(as_whom: Whom) -> None:
    with as_whom.run("--no-sandbox", "--memory-size=128") as function:
        assert function.call("touch_memory", 400) == 400
        assert function.report().max_memory_used >= 400
