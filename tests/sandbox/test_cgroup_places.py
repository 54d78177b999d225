"""Where groups are made, by cgroup v2's rules: on a fake kernel."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.cgroups import Cgroups
from tests.support.control_groups import FEATURES, GONE, MIB, folders, left_by_the_dead
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


def test_a_group_that_hands_on_already_is_rather_used_than_one_that_must_be_left(
    kernel: FakeKernel,
) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    kernel.group("slice", gives=ALL, has=ALL)
    kernel.group("slice/scope", os.getpid(), has=ALL)
    found = kernel.find("/slice/scope")
    group = found.make(Limits(memory=MIB, processes=9, cpus=1))

    assert place_of(group, kernel) == "slice"
    assert not any("subtree_control" in each for each in kernel.written)
    assert not any("self" in each for each in kernel.written)
    group.remove()
    found.close()


def test_it_is_not_where_it_gives_less(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    (kernel.mount / "cgroup.procs").unlink()
    kernel.group("a.slice", gives="memory pids", has=ALL)
    kernel.group("a.slice/scope", os.getpid(), has=ALL)
    kernel.start_systemd()
    kernel.delegate("a.slice/scope")
    found = kernel.find("/a.slice/scope")
    group = found.make(Limits(memory=MIB))

    assert place_of(group, kernel) == "a.slice/scope"
    assert found.mechanism("cpu") == "cgroup v2"
    group.remove()
    found.close()


# Whose the groups are


def services(kernel: FakeKernel, *, gives: str = "memory pids") -> None:
    """Have what systemd makes of a machine, with us in a service; only its slice is above it."""
    kernel.group("", 1, gives=ALL, has=ALL)
    (kernel.mount / "cgroup.procs").unlink()
    kernel.group("system.slice", gives=gives, has=ALL)
    kernel.group("system.slice/rie.service", os.getpid(), has=gives)
    kernel.start_systemd()


def test_what_systemd_would_take_back_is_not_handed_on(kernel: FakeKernel) -> None:
    services(kernel)
    found = kernel.find("/system.slice/rie.service")
    group = found.make(Limits(memory=MIB, processes=9, cpus=1))

    assert place_of(group, kernel) == "system.slice"
    assert found.mechanism("memory") == found.mechanism("processes") == "cgroup v2"
    assert found.why_not("cpu") == (
        f"{kernel.mount}/system.slice does not hand cpu on, and is systemd's, which would take "
        "it back. Start rie in a group of its own (systemd-run --user --scope -p Delegate=yes; "
        "as root without --user), or put Delegate=yes into its unit"
    )
    assert not any("subtree_control" in each for each in kernel.written)
    group.remove()
    found.close()


def test_what_systemd_has_not_brought_down_to_a_slice_is_had_by_delegation(
    kernel: FakeKernel,
) -> None:
    services(kernel)
    (kernel.mount / "system.slice/cgroup.controllers").write_text("memory pids")
    found = kernel.find("/system.slice/rie.service")

    assert found.why_not("cpu").startswith(
        f"{kernel.mount}/system.slice does not have the cpu controller. Start rie in a group"
    )
    found.close()


def test_a_service_that_systemd_manages_is_not_left(kernel: FakeKernel) -> None:
    services(kernel, gives="memory pids")
    (kernel.mount / "system.slice/cgroup.procs").unlink()  # and what is above it is not ours
    found = kernel.find("/system.slice/rie.service")
    group = found.make(Limits(memory=MIB, processes=9))

    assert {found.mechanism(feature) for feature in FEATURES} == {None, "cgroup v2"}
    assert "is systemd's, which would take it back" in found.why_not("memory")
    assert place_of(group, kernel) == "system.slice/rie.service"  # to freeze and to kill
    assert not any("cgroup." in each for each in kernel.written)
    group.remove()
    found.close()


@pytest.mark.parametrize("own", ["rie.service", "rie.service/inner"])
def test_a_service_that_has_been_delegated_is(kernel: FakeKernel, own: str) -> None:
    services(kernel)
    (kernel.mount / "system.slice/cgroup.procs").unlink()
    kernel.group("system.slice/rie.service", has="memory pids")
    (kernel.mount / "system.slice/rie.service/cgroup.procs").unlink()
    kernel.group(f"system.slice/{own}", os.getpid(), has="memory pids")
    kernel.delegate("system.slice/rie.service")
    found = kernel.find(f"/system.slice/{own}")
    group = found.make(Limits(memory=MIB, processes=9))

    assert place_of(group, kernel) == f"system.slice/{own}"
    assert found.mechanism("memory") == found.mechanism("processes") == "cgroup v2"
    group.remove()
    found.close()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a folder away")
def test_so_is_a_scope_that_a_user_owns_but_no_slice(kernel: FakeKernel) -> None:
    kernel.uid = 1234
    kernel.start_systemd()
    for path, *processes in (("app.slice",), ("app.slice/rie.scope", os.getpid())):
        os.chown(kernel.group(str(path), *map(int, processes), has=ALL), kernel.uid, 0)
    found = kernel.find("/app.slice/rie.scope")
    group = found.make(Limits(memory=MIB))

    assert place_of(group, kernel) == "app.slice/rie.scope"
    assert found.mechanism("memory") == "cgroup v2"
    group.remove()
    found.close()
    os.chown(kernel.mount / "app.slice/rie.scope", 0, 0)
    found = kernel.find("/app.slice/rie.scope")
    assert "is systemd's" in found.why_not("memory")
    found.close()


def test_a_containers_own_group_is_its_own_wherever_systemd_is(kernel: FakeKernel) -> None:
    own = kernel.group("", os.getpid(), has=ALL)
    (own / "cgroup.type").write_text("domain\n")
    kernel.start_systemd()
    found = kernel.find("/")

    assert found.mechanism("memory") == found.mechanism("cpu") == "cgroup v2"
    found.close()


def test_the_machines_own_root_is_systemds(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives="memory pids", has=ALL)
    kernel.start_systemd()
    found = kernel.find("/")

    assert "is systemd's" in found.why_not("cpu")
    found.close()


def test_groups_of_another_namespace_are_no_place_for_ours(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    found = kernel.find("/", "/..")

    assert {found.mechanism(feature) for feature in FEATURES} == {None}
    assert found.why_not("memory").startswith(
        f"{kernel.mount} shows control groups outside our own namespace"
    )
    assert found.make(Limits(memory=MIB)).entries == ()
    found.close()


# Several in one process


def alone(kernel: FakeKernel) -> Path:
    """Have us alone in a group that must be left; what is above it is not ours."""
    own = kernel.group("scope", os.getpid(), has=ALL)
    (kernel.group("", 1, gives=ALL, has=ALL) / "cgroup.procs").unlink()
    return own


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first come first go", "last come"])
@pytest.mark.parametrize("beforehand", [True, False], ids=["found before", "found after"])
def test_all_in_a_process_share_its_home_until_the_last_goes(
    kernel: FakeKernel,
    order: tuple[int, int],
    beforehand: bool,  # noqa: FBT001
) -> None:
    own = alone(kernel)
    first = kernel.find("/scope")
    second = kernel.find("/scope") if beforehand else None
    groups = [first.make(Limits(memory=MIB))]
    (home,) = own.glob("rie-*-self")
    both = (first, second or kernel.find(f"/scope/{home.name}"))
    groups.append(both[1].make(Limits(memory=MIB)))

    assert [place_of(group, kernel) for group in groups] == ["scope", "scope"]
    assert [each.name for each in own.rglob("rie-*-self")] == [home.name]
    both[order[0]].close()
    assert (home / "cgroup.procs").read_text() == f"{os.getpid()}\n"
    assert "memory" in (own / "cgroup.subtree_control").read_text()
    for group in groups:
        group.remove()
    both[order[1]].close()
    assert (own / "cgroup.procs").read_text() == f"{os.getpid()}\n"
    assert (own / "cgroup.subtree_control").read_text() == ""
    assert not home.exists()


def test_a_home_is_no_place_even_if_nothing_could_be_handed_on(kernel: FakeKernel) -> None:
    own = alone(kernel)
    first = kernel.find("/scope")
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n{GONE}\n")  # it has come meanwhile
    first.make(Limits(memory=MIB)).remove()
    (home,) = own.glob("rie-*-self")
    second = kernel.find(f"/scope/{home.name}")
    group = second.make(Limits())

    assert place_of(group, kernel) == "scope"
    group.remove()
    second.close()
    first.close()
    assert not home.exists()


def test_what_the_dead_left_is_found_from_our_home_too(kernel: FakeKernel) -> None:
    own = alone(kernel)
    first = kernel.find("/scope")
    first.make(Limits(memory=MIB)).remove()
    (home,) = own.glob("rie-*-self")
    left = kernel.group(f"scope/{left_by_the_dead('0')}")
    second = kernel.find(f"/scope/{home.name}")
    second.remove_stale()

    assert not left.exists()
    assert home.exists()
    second.close()
    first.close()


@pytest.mark.parametrize("path", ["slice/scope", "slice", "."])
def test_the_empty_home_of_a_dead_emulator_is_removed_wherever_the_place_is(
    kernel: FakeKernel, path: str
) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    kernel.group("slice", gives=ALL, has=ALL)
    kernel.group("slice/scope", os.getpid(), has=ALL)
    empty = kernel.group(f"{path}/{left_by_the_dead('self')}")
    inhabited = kernel.group(f"{path}/{left_by_the_dead('self', started=2)}", GONE)
    found = kernel.find("/slice/scope")
    found.remove_stale()

    assert not empty.exists()
    assert inhabited.exists()
    found.close()


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
    ours = kernel.group(left_by_the_dead("0"), os.getpid(), GONE)
    found = kernel.find(f"/{ours.name}")
    found.remove_stale()

    assert ours.exists()
    assert (ours / "cgroup.kill").read_text() == ""
    found.close()


def test_whom_a_dead_emulator_started_beside_its_groups_lives_on(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    home = kernel.group(left_by_the_dead("self"), GONE)
    empty = kernel.group(left_by_the_dead("self", started=2))
    found = kernel.find("/")
    found.remove_stale()

    assert home.exists()
    assert (home / "cgroup.kill").read_text() == ""
    assert not empty.exists()
    found.close()
