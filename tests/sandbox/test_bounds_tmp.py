"""The environment's own disk, /tmp: full at its size, kept over a reset, gone with it.

Source: Lambda developer guide, "Lambda quotas" and "Configure ephemeral storage".
"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.support.emulator import wait_until
from tests.support.running_function import ROOT, RunningFunction, Whom, open_folder

TMP = Path("/tmp")


def shown() -> list[str]:
    """Say what a fresh /tmp has in it: this checkout, where it is below /tmp."""
    return [ROOT.parts[2]] if ROOT.is_relative_to(TMP) else []


def test_a_full_tmp_is_an_error_and_not_a_matter_of_memory(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=256") as function:
        written, error = function.call("fill_tmp", 700)

        assert 512 <= written <= 530
        assert error == errno.ENOSPC
        assert function.report().max_memory_used < 100
        assert function.call("touch_memory", 150) == 150


@pytest.mark.parametrize(("size", "error"), [(1000, None), (1100, errno.ENOSPC)])
def test_tmp_is_as_large_as_was_asked_for(size: int, error: int | None, as_root: Whom) -> None:
    with as_root.run("--memory-size=256", "--tmp-size=1024") as function:
        assert function.call("reserve_tmp", size) == error
        assert function.report().max_memory_used < 100


def test_a_fresh_tmp_is_empty_and_for_everybody(as_whom: Whom) -> None:
    with as_whom.run() as function:
        facts = function.call("look_at_tmp")

    assert facts["names"] == shown()
    assert facts["mode"] == 0o1777


def test_neither_tmp_is_seen_from_the_other(as_whom: Whom, function: RunningFunction) -> None:
    with open_folder(parent=str(TMP)) as ours:
        (ours / "marker").touch()
        theirs = TMP / f"{ours.name}-of-{as_whom.name}"

        assert function.call("write_file", str(theirs), "x") is None
        assert not theirs.exists()
        assert function.call("read_file", str(ours / "marker")) is None
        assert ours.name not in function.call("look_at_tmp")["names"]


def test_temporary_files_go_there(function: RunningFunction) -> None:
    assert function.call("temporary_folder") == str(TMP)


def test_tmp_is_kept_over_a_reset(as_whom: Whom) -> None:
    with as_whom.run() as function:
        function.call("write_file", f"{TMP}/kept", "as it was")

        assert function.error("exit_at_once", 3)[0] == "Runtime.ExitError"
        assert function.call("read_file", f"{TMP}/kept") == "as it was"


def test_tmp_ends_with_the_environment(as_whom: Whom) -> None:
    with as_whom.run() as function:
        assert function.call("write_file", f"{TMP}/lost", "x") is None

    with as_whom.run() as function:
        assert function.call("look_at_tmp")["names"] == shown()


def test_no_loop_device_is_left_of_roots_tmp(as_root: Whom) -> None:
    with as_root.run() as function:
        device = Path("/sys/dev/block", function.call("look_at_tmp")["device"])
        image = backing_file(device)
        assert image, f"{device} is not a loop device"

    wait_until(lambda: backing_file(device) != image, "the end of the loop device")


def backing_file(device: Path) -> str | None:
    try:
        return (device / "loop/backing_file").read_text()
    except OSError:
        return None
