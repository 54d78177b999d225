"""Files: nothing but /tmp can be written to, and the code is where it is on AWS."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.support.running_function import RunningFunction, Whom, open_folder, put_code

NEW = f"rie-bounds-{os.getpid()}"

# Lambda has no /dev/shm, so that semaphores of multiprocessing cannot be had.
DEVICES = ["fd", "full", "null", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]


@pytest.mark.parametrize("folder", ["/", "/var/task", "/opt", "/usr", "/var", "/dev"])
def test_nothing_can_be_written_outside_of_tmp(folder: str, function: RunningFunction) -> None:
    path = Path(folder, NEW)
    try:
        assert function.call("write_file", str(path), "x") == errno.EROFS
        assert not path.exists()
    finally:
        path.unlink(missing_ok=True)  # as a function without bounds would have written it


def test_not_even_where_everybody_may_write(as_whom: Whom) -> None:
    with open_folder(0o777) as home, open_folder(0o777) as code:
        put_code(code)
        before = sorted(code.rglob("*"))
        with as_whom.run(task_root=code) as function:
            for path in (home / "x", code / "x", "/var/task/x"):
                assert function.call("write_file", str(path), "x") == errno.EROFS

        assert list(home.iterdir()) == []
        assert sorted(code.rglob("*")) == before


def test_writable_lets_it_write_as_far_as_its_user_may(as_whom: Whom) -> None:
    with open_folder(0o777) as code:
        put_code(code)
        with as_whom.run("--writable", task_root=code) as function:
            assert function.call("write_file", "/var/task/new", "from inside") is None
            assert function.call("write_file", f"/{NEW}", "x") == errno.EACCES

        assert (code / "new").read_text() == "from inside"


def test_it_cannot_make_them_writable(function: RunningFunction) -> None:
    # In namespaces of its own it is root, but what it sees there was locked before.
    inside = "unshare --user --map-root-user --mount sh -c 'mount -o remount,bind,rw /'"

    assert function.call("remount", "/") == errno.EPERM
    assert function.call("shell", inside) != 0
    assert function.call("write_file", f"/{NEW}", "x") == errno.EROFS


def test_the_code_is_in_var_task(function: RunningFunction) -> None:
    facts = function.call("where_it_runs")

    assert (facts["cwd"], facts["task root"], facts["file"]) == (
        "/var/task",
        "/var/task",
        "/var/task/app.py",
    )


def test_tracebacks_name_files_as_on_aws(function: RunningFunction) -> None:
    answer = function.invoke("fail").fields()

    assert 'File "/var/task/app.py"' in str(answer["stackTrace"])


def test_the_devices_are_lambdas(function: RunningFunction) -> None:
    assert function.call("look_at_devices") == DEVICES
    assert function.call("use_devices") == {
        "null": 1,
        "zero": "00000000",
        "full": -errno.ENOSPC,
        "urandom": 4,
    }


def test_there_are_no_semaphores_as_on_aws(function: RunningFunction) -> None:
    # Which of the two the C library says has changed with its version 2.34.
    assert function.call("make_semaphore") in {errno.ENOSYS, errno.ENOENT}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_child_writes_to_a_stream_by_its_name_is_logged(
    stream: str, as_whom: Whom, function: RunningFunction
) -> None:
    text = f"to {stream} as {as_whom.name}"

    assert function.call("shell", f"echo {text} > /dev/{stream}") == 0
    function.log.wait_for(text)
