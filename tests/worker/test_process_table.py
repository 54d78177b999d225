from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rie.worker import process_table
from rie.worker.process_table import PeakMemory
from tests.support.emulator import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")

MIB = 1024 * 1024
GONE = 2**22 + 1  # above the kernel's largest process number

HOLD = """
import os, sys
def say(text): os.write(1, text + b"\\n")
def wait(): os.read(0, 1)
"""


@contextmanager
def running(
    *command: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that a test talks to by pipes; at the end of its input it goes."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            yield process
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.kill()


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", HOLD + script)


def line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[bytes], text: bytes = b"x") -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


# Who is there


def test_descendants_are_children_and_their_children_in_whatever_session() -> None:
    script = "sh -c 'echo $$; setsid sh -c \"echo \\$\\$; read x; :\" <&3; :' 3<&0; :"
    with running("sh", "-c", script) as process:
        child, grandchild = int(line(process)), int(line(process))

        assert {child, grandchild} <= set(process_table.descendants(process.pid))
        assert grandchild in set(process_table.descendants(child))


def test_a_child_that_another_thread_started_is_a_descendant() -> None:
    script = """
import threading, time
def start():
    pid = os.fork()
    if not pid:
        wait(); os._exit(0)
    say(b"%d" % pid)
    os.waitpid(pid, 0)
threading.Thread(target=start).start()
"""
    with running(*python(script)) as process:
        child = int(line(process))

        assert list(process_table.descendants(process.pid)) == [child]


def test_a_process_without_children_has_no_descendants() -> None:
    with running("cat") as process:
        assert list(process_table.descendants(process.pid)) == []
    assert list(process_table.descendants(GONE)) == []


def test_members_are_all_that_were_started_with_the_mark() -> None:
    mark = uuid.uuid4().hex
    environment = {"PATH": os.environ["PATH"], "MARK": mark}
    with running(
        "sh", "-c", "exec 3<&0; cat <&3 & echo $!; wait", environment=environment
    ) as process:
        child = int(line(process))
        go_on(process, b"x\n")  # what comes back has been through cat, and cat through its exec
        assert line(process) == b"x"
        with running("cat", environment={"PATH": os.environ["PATH"], "MARK": f"{mark}0"}):
            assert set(process_table.members(f"MARK={mark}".encode())) == {process.pid, child}
            assert not set(process_table.members(f"ARK={mark}".encode()))


def test_a_zombie_is_not_running() -> None:
    process = subprocess.Popen(("true",))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not process_table.is_running(process.pid)
    assert Path(f"/proc/{process.pid}").exists()
    process.wait()


def test_a_process_is_running_whatever_its_name(tmp_path: Path) -> None:
    odd = tmp_path / "a) Z (b"
    odd.symlink_to("/bin/cat")
    with running(str(odd)) as process:
        assert process_table.is_running(process.pid)


def test_who_is_gone_is_not_running_and_holds_nothing() -> None:
    assert not process_table.is_running(GONE)
    assert process_table.resident(GONE) == 0


# Memory


def test_the_peak_is_kept_after_the_memory_was_given_back() -> None:
    script = "b = b'x' * (50 << 20); del b; say(b'done'); wait()"
    with running(*python(script)) as process:
        line(process)
        peak = PeakMemory(process.pid)

        assert (
            process_table.resident(process.pid)
            < 50 * MIB
            <= peak.read(time.monotonic())
            < 150 * MIB
        )
        peak.close()


def test_the_memory_of_a_child_counts() -> None:
    script = """
pid = os.fork()
if not pid:
    b = b"x" * (50 << 20); say(b"held"); wait(); os._exit(0)
os.waitpid(pid, 0)
"""
    with running(*python(script)) as process:
        line(process)
        peak = PeakMemory(process.pid)

        together = 50 * MIB + process_table.proportional(process.pid)
        assert peak.read(time.monotonic()) >= together
        peak.close()


def test_of_many_processes_the_largest_are_looked_at() -> None:
    script = """
for number in range(20):
    if not os.fork():
        b = b"x" * ((20 << 20) if number > 15 else 1)
        say(b"held"); wait(); os._exit(0)
os.wait()
"""
    with running(*python(script)) as process:
        for _ in range(20):
            line(process)
        peak = PeakMemory(process.pid)

        assert 80 * MIB <= peak.read(time.monotonic()) < 200 * MIB
        peak.close()


def test_memory_that_processes_share_counts_once() -> None:
    script = """
b = b"x" * (50 << 20)
pid = os.fork()
if not pid:
    say(b"shared"); wait(); os._exit(0)
os.waitpid(pid, 0)
"""
    with running(*python(script)) as process:
        line(process)
        peak = PeakMemory(process.pid)

        assert 50 * MIB <= peak.read(time.monotonic()) < 90 * MIB
        peak.close()


def test_the_memory_of_a_child_is_kept_when_it_was_seen() -> None:
    script = """
pid = os.fork()
if not pid:
    b = b"x" * (50 << 20); say(b"held"); wait(); os._exit(0)
os.waitpid(pid, 0)
say(b"gone"); wait()
"""
    with running(*python(script)) as process:
        peak = PeakMemory(process.pid)
        line(process)
        peak.sample()
        go_on(process)
        assert line(process) == b"gone"

        assert peak.read(time.monotonic()) >= 50 * MIB
        peak.close()


def test_a_peak_never_falls() -> None:
    with running(*python("say(b'up'); wait()")) as process:
        line(process)
        peak = PeakMemory(process.pid)
        before = peak.read(time.monotonic())
        process.kill()
        process.wait()

        assert peak.read(time.monotonic()) == before > 0
        peak.close()


def test_what_the_kernel_says_at_the_end_counts_when_it_is_more_than_ours() -> None:
    with running("cat") as process:
        peak = PeakMemory(process.pid)
        seen = peak.read(time.monotonic())

        assert peak.exited(most_resident=1) == seen
        assert peak.exited(most_resident=2**50) == 2**50
        peak.close()


def test_the_memory_of_nobody_is_nothing() -> None:
    peak = PeakMemory(GONE)
    peak.sample()

    assert peak.read(time.monotonic()) == 0
    peak.close()


def test_closing_leaves_no_file_open() -> None:
    before = open_files()
    with running("cat") as process:
        during = open_files()
        peak = PeakMemory(process.pid)
        peak.close()
        peak.close()
        assert open_files() == during
    assert open_files() == before


def test_a_process_whose_first_thread_has_ended_is_running() -> None:
    script = """
import ctypes, threading
def go_on():
    say(b"begun")
    wait()
    os._exit(0)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"""
    with running(*python(script)) as process:
        assert line(process) == b"begun"
        state = Path(f"/proc/{process.pid}/stat")
        wait_until(
            lambda: state.read_text().rpartition(")")[2].split()[0] == "Z",
            "the end of the first thread",
        )

        assert process_table.is_running(process.pid)
