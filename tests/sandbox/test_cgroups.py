"""On this machine's own control groups, as root: what others left, and what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rie.sandbox.cgroup import Limits
from rie.sandbox.cgroups import Cgroups
from tests.support.control_groups import (
    FEATURES,
    GONE,
    MIB,
    folders,
    line,
    made,
    needs,
    needs_v1_freezer,
    proc_without_v2,
    rest,
)
from tests.support.emulator import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")


EMULATOR = """
import os, subprocess, sys
from rie.sandbox.cgroup import Limits
from rie.sandbox.cgroups import Cgroups
group = Cgroups.find(root_of_proc=sys.argv[1]).make(Limits(memory=64 << 20, processes=10))
left = '''
import os, signal, sys
for entry in sys.argv[1:]:
    os.write(int(entry), b"0")
signal.alarm(100)
print("in", flush=True)
signal.pause()
'''
entries = [str(entry) for entry in group.entries]
subprocess.Popen((sys.executable, "-c", left, *entries), pass_fds=group.entries)
print(*(os.readlink(f"/proc/self/fd/{p}") + "/" + n for p, n in group.directories()), flush=True)
os.read(0, 1)
"""


@contextmanager
def another_emulator(
    proc: Path = Path("/proc"),
) -> Iterator[tuple[subprocess.Popen[bytes], list[Path]]]:
    """Start one that makes a group, with a process in it that outlives it."""
    with subprocess.Popen(
        (sys.executable, "-c", EMULATOR, str(proc)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        lines = {line(process), line(process)}
        (told,) = lines - {b"in"}
        try:
            yield process, [Path(word) for word in told.decode().split()]
        finally:
            process.kill()
            process.wait()
            remove_stale(proc)


def remove_stale(proc: Path = Path("/proc")) -> None:
    found = Cgroups.find(root_of_proc=proc)
    found.remove_stale()
    found.close()


def all_removed(paths: list[Path], proc: Path = Path("/proc")) -> bool:
    """Whether the directories are gone; on a busy machine the killed may have taken their time."""
    if any(path.exists() for path in paths):
        remove_stale(proc)
    return not any(path.exists() for path in paths)


def check_that_all_is_removed(
    process: subprocess.Popen[bytes], paths: list[Path], proc: Path = Path("/proc")
) -> None:
    remove_stale(proc)

    assert rest(process) == b""
    wait_until(lambda: all_removed(paths, proc), "the directories to go")


# What others left


@needs("memory", "processes", "kill")
def test_groups_of_the_dead_are_removed_and_who_was_left_in_them_is_killed() -> None:
    with another_emulator() as (process, paths):
        assert all(path.is_dir() for path in paths)
        process.kill()
        process.wait()

        check_that_all_is_removed(process, paths)


@needs("memory", "processes", "kill")
def test_so_are_those_of_the_dead_whom_nobody_has_waited_for() -> None:
    with another_emulator() as (process, paths):
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        check_that_all_is_removed(process, paths)


@needs_v1_freezer
def test_so_they_are_without_cgroup_kill(tmp_path: Path) -> None:
    proc = proc_without_v2(tmp_path)
    with another_emulator(proc) as (process, paths):
        assert (paths[-1] / "freezer.state").exists()
        process.kill()
        process.wait()

        check_that_all_is_removed(process, paths, proc)


@needs("memory", "processes", "kill")
def test_groups_of_the_living_are_left() -> None:
    with another_emulator() as (process, paths):
        remove_stale()

        assert process.poll() is None
        assert all((path / "cgroup.procs").read_text() for path in paths)


@needs("memory")
def test_a_number_that_another_process_has_got_since_does_not_keep_a_group() -> None:
    with made(Limits()) as group:
        folder, name = folders(group)[0].parent, group.directories()[0][1]
        rie, pid, _, namespace, _ = name.split("-")
        other_start = folder / f"{rie}-{pid}-1-{namespace}-0"
        other_start.mkdir()
        remove_stale()

        assert not other_start.exists()
        assert folders(group)[0].exists()


@needs("memory")
def test_groups_from_another_pid_namespace_are_left() -> None:
    with made(Limits()) as group:
        elsewhere = folders(group)[0].parent / f"rie-{GONE}-{os.getpid()}-1-0"
        elsewhere.mkdir()
        try:
            remove_stale()

            assert elsewhere.exists()
        finally:
            elsewhere.rmdir()


# What is missing, and why


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_an_ordinary_user_is_told_what_to_permit() -> None:
    script = """
from rie.sandbox.cgroup import Limits
from rie.sandbox.cgroups import Cgroups
found = Cgroups.find()
for feature in ("memory", "freeze"):
    print(found.why_not(feature))
print(found.make(Limits(memory=1)).entries)
"""
    user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    told = subprocess.run((*user, sys.executable, "-c", script), capture_output=True, check=True)

    memory, freeze, entries = told.stdout.decode().splitlines()
    for reason in (memory, freeze):
        assert "is not writable for uid 65534. Run rie as root, or have" in reason
    assert entries == "()"


def test_a_system_without_proc_has_no_mechanism(tmp_path: Path) -> None:
    found = Cgroups.find(root_of_proc=tmp_path)
    group = found.make(Limits(memory=MIB, processes=1, cpus=1))
    group.remove()
    found.close()

    assert {found.mechanism(feature) for feature in FEATURES} == {None}
    assert all("no mounted control groups" in found.why_not(feature) for feature in FEATURES)
