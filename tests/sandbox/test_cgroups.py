"""On this machine's own control groups, as root; cgroup v2's rules on a fake kernel besides."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

from rie.sandbox import cgroups
from rie.sandbox.cgroups import Cgroup, Cgroups, Feature, Limits, MemoryNow
from tests.support.emulator import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")

MIB = 1024 * 1024
GONE = 2**22 + 1  # above the kernel's largest process number
FEATURES: tuple[Feature, ...] = get_args(Feature)

INSIDE = """
import os, sys
for entry in sys.argv[1].split(","):
    os.write(int(entry), b"0")
def say(text): os.write(1, text + b"\\n")
def wait(): os.read(0, 1)
"""


def needs(*features: Feature) -> pytest.MarkDecorator:
    found = Cgroups.find()
    reasons = [found.why_not(feature) for feature in features]
    found.close()
    return pytest.mark.skipif(any(reasons), reason="; ".join(filter(None, reasons)))


@contextmanager
def made(limits: Limits, proc: Path = Path("/proc")) -> Iterator[Cgroup]:
    """Make a group; whoever is left in it at the end is killed."""
    found = Cgroups.find(root_of_proc=proc)
    group = found.make(limits)
    try:
        yield group
    finally:
        group.kill()
        group.remove()
        found.close()


@contextmanager
def inside(group: Cgroup, script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python that enters the group before it runs a script."""
    entries = ",".join(map(str, group.entries))
    with subprocess.Popen(
        (sys.executable, "-S", "-E", "-c", INSIDE + script, entries, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=group.entries,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: subprocess.Popen[bytes]) -> bytes:
    """Read until all who hold the pipe have gone."""
    assert process.stdout is not None
    return process.stdout.read()


def folders(group: Cgroup) -> list[Path]:
    return [
        Path(f"/proc/self/fd/{parent}").resolve() / name for parent, name in group.directories()
    ]


def text_of(group: Cgroup, file: str) -> str:
    return next(path.read_text() for folder in folders(group) if (path := folder / file).exists())


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def proc_without_v2(folder: Path) -> Path:
    """Make a /proc that knows of cgroup v1 only."""
    (folder / "self").mkdir()
    for name in ("cgroup", "mountinfo"):
        lines = Path("/proc/self", name).read_text().splitlines(keepends=True)
        kept = (line for line in lines if not line.startswith("0::") and "- cgroup2" not in line)
        (folder / "self" / name).write_text("".join(kept))
    return folder


def has_v1_freezer() -> bool:
    return "- cgroup cgroup rw,freezer" in Path("/proc/self/mountinfo").read_text()


needs_v1_freezer = pytest.mark.skipif(
    os.getuid() != 0 or not has_v1_freezer(), reason="needs root and cgroup v1's freezer"
)


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


EMULATOR = """
import os, subprocess, sys
from rie.sandbox.cgroups import Cgroups, Limits
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
from rie.sandbox.cgroups import Cgroups, Limits
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


# The rules of cgroup v2, which this machine may have no controllers for

FILES = {
    "": (
        ("cgroup.procs", ""),
        ("cgroup.type", "domain\n"),
        ("cgroup.subtree_control", ""),
        ("cgroup.events", "populated 0\nfrozen 1\n"),
        ("cgroup.freeze", "0\n"),
        ("cgroup.kill", ""),
    ),
    "memory": (
        ("memory.max", "max\n"),
        ("memory.swap.max", "max\n"),
        ("memory.current", "0\n"),
        ("memory.peak", "0\n"),
        ("memory.stat", "anon 0\nfile 0\nshmem 0\n"),
        ("memory.events", "low 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
    ),
    "pids": (("pids.max", "max\n"),),
    "cpu": (("cpu.max", "max 100000\n"),),
}


class FakeKernel:
    """cgroup v2 with all controllers in a folder of plain files, where they obey its rules.

    `absent` are files that this kernel does not know.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *absent: str) -> None:
        self.mount = folder / "cgroup"
        self.proc = folder / "proc"
        self.absent = absent
        self.written: list[str] = []
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        (self.proc / "self").mkdir(parents=True)
        patch.setattr(cgroups, "_write", self.write)
        patch.setattr(os, "mkdir", self.mkdir)
        patch.setattr(os, "rmdir", self.rmdir)

    def group(self, path: str, *processes: int, gives: str = "", has: str = "") -> Path:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for controller in ("", *has.split()):
            for name, text in FILES[controller]:
                if name not in self.absent:
                    (folder / name).write_text(text)
        (folder / "cgroup.controllers").write_text(has)
        (folder / "cgroup.subtree_control").write_text(gives)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in processes))
        if not path:
            (folder / "cgroup.type").unlink()
        return folder

    def find(self, own: str, root: str = "/") -> Cgroups:
        (self.proc / "self/cgroup").write_text(f"0::{own}\n")
        (self.proc / "self/mountinfo").write_text(
            f"22 1 0:5 / /proc rw - proc proc rw\n"
            f"31 23 0:28 {root} {self.mount} rw,relatime shared:9 - cgroup2 cgroup rw,nsdelegate\n"
        )
        return Cgroups.find(root_of_proc=self.proc)

    def write(self, path: str, words: object, folder: int) -> None:
        file = self._at(folder) / path
        self.written.append(f"{file.relative_to(self.mount)}: {words}")
        if not file.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        match file.name:
            case "cgroup.subtree_control":
                self._hand_on(file, str(words))
            case "cgroup.procs":
                self._move(file)
            case _:
                file.write_text(f"{words}\n")

    def mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self._mkdir(path, mode, dir_fd=dir_fd)
        if dir_fd is not None:
            parent = self._at(dir_fd)
            self.group(
                str((parent / path).relative_to(self.mount)),
                has=(parent / "cgroup.subtree_control").read_text(),
            )

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None:
            for file in (self._at(dir_fd) / path).iterdir():
                file.unlink()
        self._rmdir(path, dir_fd=dir_fd)

    def _hand_on(self, file: Path, words: str) -> None:
        if file.with_name("cgroup.type").exists() and file.with_name("cgroup.procs").read_text():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        given = set(file.read_text().split())
        given = given | {words[1:]} if words[0] == "+" else given - {words[1:]}
        file.write_text(" ".join(sorted(given)))

    def _move(self, file: Path) -> None:
        if file.with_name("cgroup.subtree_control").read_text():
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        for other in self.mount.rglob("cgroup.procs"):
            left = set(other.read_text().split()) - {str(os.getpid())}
            other.write_text("".join(f"{pid}\n" for pid in sorted(left)))
        file.write_text(f"{file.read_text()}{os.getpid()}\n")

    @staticmethod
    def _at(descriptor: int) -> Path:
        return Path(f"/proc/self/fd/{descriptor}").resolve()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    return FakeKernel(tmp_path, monkeypatch)


ALL = "cpu memory pids"


def place_of(group: Cgroup, kernel: FakeKernel) -> str:
    (folder,) = folders(group)
    return str(folder.parent.relative_to(kernel.mount))


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
