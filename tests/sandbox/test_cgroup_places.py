"""Where groups are made, by cgroup v2's rules: on a fake kernel."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.cgroups import Cgroups
from tests.support.control_groups import (
    GONE,
    MIB,
    folders,
)
from tests.support.fake_kernel import ALL, FakeKernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    return FakeKernel(tmp_path, monkeypatch)


def place_of(group: Cgroup, kernel: FakeKernel) -> str:
    (folder,) = folders(group)
    return str(folder.parent.relative_to(kernel.mount))


def test_a_group_with_other_processes_is_passed_over_for_one_above_it(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    kernel.group("user", gives="memory pids", has=ALL)
    kernel.group("user/shell", GONE, os.getpid(), has="memory pids")
    found = kernel.find("/user/shell")
    group = found.make(Limits(memory=MIB, processes=9))

    assert place_of(group, kernel) == "user"
    # It is above our own: the processor's share can be handed on there, as nobody is in it.
    assert kernel.written[0] == "user/cgroup.subtree_control: +cpu"
    group.remove()
    found.close()


def test_a_group_of_our_own_is_left_for_one_below_it_and_gone_back_to(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    own = kernel.group("scope", os.getpid(), has=ALL)
    (kernel.mount / "cgroup.procs").unlink()  # what is above it is not ours
    found = kernel.find("/scope")
    group = found.make(Limits(memory=MIB))

    assert place_of(group, kernel) == "scope"
    assert (own / "cgroup.procs").read_text() == ""
    (aside,) = own.glob("rie-*-self")
    assert (aside / "cgroup.procs").read_text() == f"{os.getpid()}\n"
    assert set((own / "cgroup.subtree_control").read_text().split()) == set(ALL.split())
    group.remove()
    found.close()
    assert (own / "cgroup.procs").read_text() == f"{os.getpid()}\n"
    assert not aside.exists()


def test_looking_changes_nothing(kernel: FakeKernel) -> None:
    kernel.group("", 1, has=ALL)
    kernel.find("/").close()

    assert kernel.written == []


def test_a_scope_shared_with_others_tells_to_start_in_one_of_its_own(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    own = kernel.group("session", GONE, os.getpid(), has=ALL)
    (kernel.mount / "cgroup.procs").unlink()
    found = kernel.find("/session")

    assert found.mechanism("memory") is None
    assert found.why_not("memory") == (
        f"{own} cannot hand memory on while it has processes besides rie. "
        "Start rie in a group of its own (systemd-run --user --scope -p Delegate=yes)"
    )
    assert found.mechanism("freeze") == found.mechanism("kill") == "cgroup v2"
    found.close()


def test_a_controller_that_is_not_delegated_is_the_only_one_missing(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives="memory pids", has="memory pids")
    found = kernel.find("/")

    assert found.mechanism("memory") == found.mechanism("processes") == "cgroup v2"
    assert found.mechanism("cpu") is None
    assert "does not have the cpu controller" in found.why_not("cpu")
    found.close()


def test_a_limit_that_cannot_be_set_is_remembered_and_the_others_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = FakeKernel(tmp_path, monkeypatch, "cpu.max")
    kernel.group("", gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits(memory=MIB, cpus=1))

    assert found.mechanism("cpu") is None
    assert found.why_not("cpu").startswith(
        f"cpu cannot be set in {kernel.mount}: No such file or directory. Run rie as root"
    )
    assert found.why_not("memory") == ""
    assert (folders(group)[0] / "memory.max").read_text() == f"{MIB}\n"
    group.remove()
    found.close()


def test_a_process_that_comes_between_takes_the_controllers_away(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    own = kernel.group("scope", os.getpid(), has=ALL)
    (kernel.mount / "cgroup.procs").unlink()
    found = kernel.find("/scope")
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n{GONE}\n")
    group = found.make(Limits(memory=MIB))

    assert found.mechanism("memory") is None
    assert found.why_not("memory").startswith(f"{own} does not hand memory on: Device or resource")
    assert group.freeze()
    group.remove()
    found.close()
    assert set((own / "cgroup.procs").read_text().split()) == {str(os.getpid()), str(GONE)}


def test_a_group_that_cannot_be_left_hands_nothing_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = FakeKernel(tmp_path, monkeypatch)
    own = kernel.group("scope", os.getpid(), has=ALL)
    found = kernel.find("/scope")
    kernel.absent = ("cgroup.procs",)
    monkeypatch.setattr(kernel, "group", lambda *_, **__: None)
    group = found.make(Limits(memory=MIB))

    assert found.why_not("memory").startswith(f"{own} cannot be left for a group below it")
    group.remove()
    found.close()
    assert (own / "cgroup.procs").read_text() == f"{os.getpid()}\n"


def test_controllers_that_another_hands_out_are_not_ours_to_hand_on(kernel: FakeKernel) -> None:
    own = kernel.group("scope", os.getpid(), has=ALL)
    (own / "cgroup.subtree_control").unlink()
    found = kernel.find("/scope")

    assert "does not hand memory on, and is not ours to change" in found.why_not("memory")
    found.close()


def test_a_place_that_goes_away_costs_its_features_and_nothing_else(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    kernel.group("own", gives=ALL, has=ALL)
    found = kernel.find("/own")
    shutil.rmtree(kernel.mount / "own")
    group = found.make(Limits(memory=MIB))

    assert group.entries == ()
    assert "no group can be made" in found.why_not("memory")
    found.close()


def test_a_mount_that_is_not_there_is_told(kernel: FakeKernel) -> None:
    found = kernel.find("/")

    assert found.why_not("freeze").startswith(f"{kernel.mount} is not there")
    found.close()


@pytest.mark.parametrize(
    ("own", "root", "place"),
    [
        ("/docker/xyz", "/docker/xyz", "."),
        ("/docker/xyz/inner", "/docker/xyz", "inner"),
        ("/docker/xyzzy", "/docker/xyz", "."),  # beside the mount: what is mounted must do
        ("/../elsewhere", "/", "."),
        ("/inner", "/", "inner"),
    ],
)
def test_our_own_group_is_found_in_what_a_container_has_mounted(
    kernel: FakeKernel, own: str, root: str, place: str
) -> None:
    kernel.group("", gives=ALL, has=ALL)
    kernel.group("inner", gives=ALL, has=ALL)
    found = kernel.find(own, root)
    group = found.make(Limits())

    assert place_of(group, kernel) == place
    group.remove()
    found.close()


def test_blanks_in_a_mount_point_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel(tmp_path / "a b", monkeypatch)
    kernel.group("", gives=ALL, has=ALL)
    kernel.find("/").close()
    mountinfo = kernel.proc / "self/mountinfo"
    mountinfo.write_text(mountinfo.read_text().replace("a b", "a\\040b"))
    found = Cgroups.find(root_of_proc=kernel.proc)

    assert found.mechanism("memory") == "cgroup v2"
    found.close()


def test_we_never_kill_the_group_that_we_are_in(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - what the names are made of
    ours = kernel.group(f"rie-{GONE}-1-{namespace}-0", os.getpid(), GONE)
    found = kernel.find(f"/{ours.name}")
    found.remove_stale()

    assert ours.exists()
    assert (ours / "cgroup.kill").read_text() == ""
    found.close()


def test_whom_a_dead_emulator_started_beside_its_groups_lives_on(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
    home = kernel.group(f"rie-{GONE}-1-{namespace}-self", GONE)
    empty = kernel.group(f"rie-{GONE}-2-{namespace}-self")
    found = kernel.find("/")
    found.remove_stale()

    assert home.exists()
    assert (home / "cgroup.kill").read_text() == ""
    assert not empty.exists()
    found.close()
