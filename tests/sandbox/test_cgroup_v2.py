"""One group of cgroup v2, on a fake kernel: this machine may have no controllers for it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.cgroup_memory import MemoryNow
from rie.sandbox.cgroups import Cgroups
from rie.telemetry.diary import get_diary
from tests.support.control_groups import (
    FEATURES,
    MIB,
    folders,
)
from tests.support.fake_kernel import ALL, FakeKernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    return FakeKernel(tmp_path, monkeypatch)


def test_all_limits_are_set_in_one_directory_of_cgroup_v2(kernel: FakeKernel) -> None:
    kernel.group("", 1, gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits(memory=64 * MIB, processes=9, cpus=0.25))
    name = group.directories()[0][1]

    assert {found.mechanism(feature) for feature in FEATURES} == {"cgroup v2"}
    assert kernel.written == [
        f"{name}/memory.swap.max: 0",
        f"{name}/memory.max: {64 * MIB}",
        f"{name}/pids.max: 9",
        f"{name}/cpu.max: 25000 100000",
    ]
    group.remove()
    assert not (kernel.mount / name).exists()
    found.close()


def test_the_measures_of_cgroup_v2_leave_the_page_cache_out(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits())
    (folder,) = folders(group)
    (folder / "memory.peak").write_text("1000\n")
    (folder / "memory.current").write_text("900\n")
    (folder / "memory.stat").write_text("anon 1\nfile 300\nfile_mapped 5\nshmem 100\n")
    (folder / "memory.events").write_text("low 0\noom_kill 2\noom_group_kill 7\n")

    assert group.memory_peak() == 1000 - (300 - 100)
    assert group.memory_now() == MemoryNow(held=900 - 300, shared=100)
    assert group.oom_kills() == 2
    group.remove()
    found.close()


def test_page_cache_that_has_come_since_the_peak_does_not_lower_it(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits())
    (folder,) = folders(group)
    (folder / "memory.peak").write_text("1000\n")
    assert group.memory_peak() == 1000
    (folder / "memory.peak").write_text("1100\n")
    (folder / "memory.stat").write_text("anon 1\nfile 1050\nshmem 0\n")

    assert group.memory_peak() == 1000
    group.remove()
    found.close()


def test_without_a_mark_of_the_kernels_the_highest_seen_is_the_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = FakeKernel(tmp_path, monkeypatch, "memory.peak")
    kernel.group("", gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits())
    peaks = []
    for current in (500, 900, 200):
        (folders(group)[0] / "memory.current").write_text(f"{current}\n")
        peaks.append(group.memory_peak())

    assert peaks == [500, 900, 900]
    group.remove()
    found.close()


def test_a_kernel_without_cgroup_kill_has_the_processes_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = FakeKernel(tmp_path, monkeypatch, "cgroup.kill", "memory.swap.max")
    kernel.group("", gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits(memory=MIB))

    assert group.kill_descriptor is None
    assert group.procs_of_freezer is not None
    assert found.mechanism("memory") == found.mechanism("kill") == "cgroup v2"
    group.remove()
    found.close()


def test_a_group_that_another_has_removed_keeps_its_peak(kernel: FakeKernel) -> None:
    kernel.group("", gives=ALL, has=ALL)
    found = kernel.find("/")
    group = found.make(Limits())
    (folder,) = folders(group)
    (folder / "memory.peak").write_text("1000\n")
    assert group.memory_peak() == 1000
    (folder / "memory.peak").write_text("")

    assert group.memory_peak() == 1000
    group.remove()
    found.close()


# What another takes away from a group in use


@pytest.fixture
def diary() -> Iterator[io.StringIO]:
    said = io.StringIO()
    get_diary().configure(format="json", stream=said)
    yield said
    get_diary().configure()


def make_in_slice(kernel: FakeKernel) -> tuple[Cgroups, Cgroup]:
    kernel.group("", 1, gives=ALL, has=ALL)
    kernel.group("slice", gives=ALL, has=ALL)
    found = kernel.find("/slice")
    return found, found.make(Limits(memory=64 * MIB, processes=9))


@pytest.mark.parametrize("look", [Cgroup.memory_peak, Cgroup.memory_now])
def test_a_controller_that_is_taken_back_is_noticed_when_memory_is_looked_at(
    kernel: FakeKernel, diary: io.StringIO, look: Callable[[Cgroup], object]
) -> None:
    found, group = make_in_slice(kernel)
    (folders(group)[0] / "memory.peak").write_text("1000\n")
    assert group.memory_peak() == 1000
    for controller in ("memory", "pids"):
        kernel.take_back("slice", controller)
    for _ in range(3):
        look(group)

    assert found.mechanism("memory") is found.mechanism("processes") is None
    assert found.mechanism("cpu") == "cgroup v2"
    assert found.why_not("memory").startswith(
        f"{kernel.mount}/slice handed memory, pids on, and another has taken that back. Start rie"
    )
    assert group.memory_peak() == 1000
    (line,) = diary.getvalue().splitlines()
    assert '"level":"warning"' in line.replace(": ", ":")
    assert "have been taken off" in line
    group.remove()
    found.close()


def test_two_groups_of_one_place_tell_once(kernel: FakeKernel, diary: io.StringIO) -> None:
    found, group = make_in_slice(kernel)
    other = found.make(Limits(memory=MIB))
    kernel.take_back("slice", "memory")
    group.memory_peak()
    other.memory_peak()

    assert len(diary.getvalue().splitlines()) == 1
    assert found.mechanism("processes") == "cgroup v2"
    group.remove()
    other.remove()
    found.close()


def test_a_controller_that_has_come_back_has_not_brought_the_limit(
    kernel: FakeKernel, diary: io.StringIO
) -> None:
    found, group = make_in_slice(kernel)
    (folder,) = folders(group)
    (folder / "memory.peak").write_text("")
    (folder / "memory.max").write_text("max\n")
    group.memory_peak()

    assert found.mechanism("memory") is None
    assert diary.getvalue()
    group.remove()
    found.close()


def test_a_group_that_has_been_removed_has_lost_nothing(
    kernel: FakeKernel, diary: io.StringIO
) -> None:
    found, group = make_in_slice(kernel)
    group.memory_peak()
    (folder,) = folders(group)
    (folder / "memory.peak").write_text("")
    (folder / "cgroup.procs").write_text("")
    os.rmdir(folder.name, dir_fd=group.directories()[0][0])
    group.memory_peak()
    group.memory_now()

    assert found.mechanism("memory") == "cgroup v2"
    assert diary.getvalue() == ""
    group.remove()
    found.close()


def test_who_was_killed_before_is_still_counted(kernel: FakeKernel) -> None:
    found, group = make_in_slice(kernel)
    (folders(group)[0] / "memory.events").write_text("low 0\noom_kill 2\n")
    assert group.oom_kills() == 2
    kernel.take_back("slice", "memory")

    assert group.counts_memory
    assert group.oom_kills() == 2
    group.remove()
    found.close()
