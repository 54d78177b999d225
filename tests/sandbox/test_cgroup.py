"""A control group of this machine's own, as root."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.cgroup_memory import MemoryNow
from rie.sandbox.cgroups import Cgroups
from tests.support.control_groups import (
    MIB,
    folders,
    inside,
    line,
    made,
    needs,
    needs_v1_freezer,
    proc_without_v2,
    rest,
    text_of,
)
from tests.support.emulator import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


# Memory


@needs("memory")
def test_a_process_that_takes_more_than_the_limit_is_killed_and_counted() -> None:
    with made(Limits(memory=128 * MIB)) as group:
        assert group.oom_kills() == 0
        with inside(group, "b = b'x' * (400 << 20); say(b'held')") as process:
            assert rest(process) == b""

            assert process.wait() == -signal.SIGKILL
        assert group.oom_kills() == 1


@needs("memory")
def test_the_peak_is_without_the_page_cache(tmp_path: Path) -> None:
    script = """
with open(sys.argv[2], "wb+", buffering=0) as file:
    for _ in range(100):
        file.write(bytes(1 << 20))
    file.seek(0)
    while file.read(1 << 20): pass
say(b"read"); wait()
"""
    with (
        made(Limits(memory=256 * MIB)) as group,
        inside(group, script, str(tmp_path / "file")) as process,
    ):
        assert line(process) == b"read"
        now = group.memory_now()
        if now.shared >= 100 * MIB:
            pytest.skip("the folder for temporary files is in memory")

        assert 0 < group.memory_peak() < 60 * MIB
        assert now.held < 60 * MIB


@needs("memory")
def test_the_peak_includes_a_grandchild_that_has_gone() -> None:
    script = """
pid = os.fork()
if not pid:
    b = b"x" * (60 << 20); os._exit(0)
os.waitpid(pid, 0)
say(b"gone"); wait()
"""
    with made(Limits(memory=256 * MIB)) as group, inside(group, script) as process:
        assert line(process) == b"gone"

        assert group.memory_now().held < 60 * MIB <= group.memory_peak() < 120 * MIB


@needs("memory")
def test_memory_held_and_memory_shared_are_told_apart() -> None:
    script = """
import mmap
b = b"x" * (40 << 20)
shared = mmap.mmap(-1, 20 << 20)
shared.write(b"x" * (20 << 20))
say(b"held"); wait()
"""
    with made(Limits(memory=256 * MIB)) as group, inside(group, script) as process:
        assert line(process) == b"held"
        now = group.memory_now()

        # The kernel brings its figures up to date with some delay.
        assert 18 * MIB <= now.shared <= 20 * MIB
        assert 38 * MIB <= now.held < 80 * MIB
        assert group.memory_peak() >= now.held + now.shared


@needs("memory")
def test_the_memory_limit_can_be_lowered_and_raised() -> None:
    with made(Limits(memory=64 * MIB)) as group:
        assert group.set_memory_limit(32 * MIB)
        assert group.set_memory_limit(300 * MIB)

        with inside(group, "b = b'x' * (200 << 20); say(b'held')") as process:
            assert line(process) == b"held"


@needs("memory")
def test_a_group_without_a_memory_limit_measures_memory() -> None:
    script = "b = b'x' * (50 << 20); say(b'held'); wait()"
    with made(Limits()) as group, inside(group, script) as process:
        assert line(process) == b"held"

        assert group.memory_peak() >= 50 * MIB
        assert group.oom_kills() == 0


# Processes and processors


@needs("processes")
def test_no_more_processes_than_the_limit_are_started() -> None:
    script = """
started = 0
try:
    while True:
        if not os.fork():
            wait(); os._exit(0)
        started += 1
except BlockingIOError:
    say(b"%d" % started)
"""
    with made(Limits(processes=4)) as group, inside(group, script) as process:
        assert line(process) == b"3"


@needs("cpu")
def test_the_share_of_the_processors_is_set() -> None:
    with made(Limits(cpus=0.5)) as group:
        if (folders(group)[-1] / "cpu.cfs_quota_us").exists():
            quota = text_of(group, "cpu.cfs_quota_us"), text_of(group, "cpu.cfs_period_us")
            assert quota == ("50000\n", "100000\n")
        else:
            assert text_of(group, "cpu.max") == "50000 100000\n"


@needs("processes", "cpu")
def test_what_is_not_limited_needs_no_group() -> None:
    with made(Limits(memory=MIB)) as few, made(Limits(memory=MIB, processes=9, cpus=1)) as all_:
        assert len(few.entries) == len(few.directories()) <= len(all_.directories())


# Freezing and killing


COUNT = """
count = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
say(b"begun")
number = 0
while True:
    number += 1
    os.pwrite(count, b"%d" % number, 0)
"""


def check_that_it_freezes(group: Cgroup, count: Path, *, state: tuple[str, str]) -> None:
    with inside(group, COUNT, str(count)) as process:
        assert line(process) == b"begun"
        wait_until(group.freeze, "it to stand still")
        assert state[1] in text_of(group, state[0])
        frozen_at = count.read_text()
        assert {count.read_text() for _ in range(1000)} == {frozen_at}

        group.thaw()
        wait_until(lambda: int(count.read_text() or 0) > int(frozen_at or 0), "it to count on")


def check_that_all_are_killed(group: Cgroup) -> None:
    script = """
if not os.fork():
    os.setsid()
    say(b"begun")
wait()
"""
    with inside(group, script) as process:
        assert line(process) == b"begun"
        group.kill()

        assert rest(process) == b""
        assert process.wait() == -signal.SIGKILL


@needs("freeze")
def test_a_frozen_group_stands_still_and_goes_on_when_thawed(tmp_path: Path) -> None:
    with made(Limits()) as group:
        if group.freeze_words != (b"1", b"0"):
            pytest.skip("cgroup v2 cannot be written here")
        check_that_it_freezes(group, tmp_path / "count", state=("cgroup.events", "frozen 1"))


@needs_v1_freezer
def test_so_does_one_of_cgroup_v1(tmp_path: Path) -> None:
    with made(Limits(), proc_without_v2(tmp_path)) as group:
        assert group.freeze_words == (b"FROZEN", b"THAWED")
        check_that_it_freezes(group, tmp_path / "count", state=("freezer.state", "FROZEN"))


@needs("freeze")
def test_a_group_that_nobody_is_in_freezes() -> None:
    with made(Limits()) as group:
        assert group.freeze()


@needs("kill")
def test_whoever_is_in_a_group_is_killed_in_whatever_session() -> None:
    with made(Limits()) as group:
        check_that_all_are_killed(group)


@needs_v1_freezer
def test_so_it_is_without_cgroup_kill(tmp_path: Path) -> None:
    with made(Limits(), proc_without_v2(tmp_path)) as group:
        assert group.kill_descriptor is None
        check_that_all_are_killed(group)


@needs("kill")
def test_a_frozen_group_can_be_killed() -> None:
    with made(Limits()) as group, inside(group, "say(b'begun'); wait()") as process:
        assert line(process) == b"begun"
        wait_until(group.freeze, "it to stand still")
        group.kill()

        assert process.wait() == -signal.SIGKILL


@needs_v1_freezer
def test_another_process_can_kill_a_group_of_cgroup_v1_by_its_descriptors(tmp_path: Path) -> None:
    with (
        made(Limits(), proc_without_v2(tmp_path)) as group,
        inside(group, "say(b'begun'); wait()") as process,
    ):
        assert line(process) == b"begun"
        freeze, thaw = group.freeze_words
        assert group.freeze_descriptor is not None
        assert group.procs_of_freezer is not None
        os.write(group.freeze_descriptor, freeze)
        assert os.pread(group.procs_of_freezer, 4096, 0).split() == [b"%d" % process.pid]
        process.kill()
        os.write(group.freeze_descriptor, thaw)

        assert process.wait() == -signal.SIGKILL


# Removing


@needs("memory", "processes", "kill")
def test_removing_leaves_no_directory_and_no_file_open() -> None:
    before = open_files()
    found = Cgroups.find()
    during = open_files()
    group = found.make(Limits(memory=64 * MIB, processes=10))
    paths = folders(group)
    assert all(path.is_dir() for path in paths)
    with inside(group, "b = b'x' * (40 << 20); say(b'begun'); wait()") as process:
        assert line(process) == b"begun"
        group.kill()
        process.wait()

    group.remove()
    group.remove()
    assert not any(path.exists() for path in paths)
    assert open_files() == during
    found.close()
    found.close()
    assert open_files() == before


@needs("memory")
def test_a_removed_group_has_nothing_and_does_nothing() -> None:
    with made(Limits(memory=64 * MIB)) as group:
        group.remove()

        assert (group.memory_peak(), group.memory_now()) == (0, MemoryNow(0, 0))
        assert (group.entries, group.directories(), group.oom_kills()) == ((), (), 0)
        assert not group.freeze()
        assert not group.set_memory_limit(MIB)
        group.kill()
        group.thaw()
