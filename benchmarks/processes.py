"""Starts programs on chosen cores, and ends them with all that they started.

A contender may put its runtimes into groups or sessions of their own, so a process group is not
enough: the harness is the reaper of everything below it and ends what is left by its place in the
tree.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.005

_libc = ctypes.CDLL(None, use_errno=True)

Cores = frozenset[int]


class NotReadyError(Exception):
    """A program ended, or did not listen in time."""


class EndedError(NotReadyError):
    """A program ended before it listened."""


def all_cores() -> Cores:
    """Return the cores that this process may use."""
    return frozenset(os.sched_getaffinity(0))


def two_cores() -> Cores:
    """Return the last two of them, or the one that there is."""
    return frozenset(sorted(all_cores())[-2:])


def one_core() -> Cores:
    """Return the last of them: the first has the most of the machine's own work."""
    return frozenset({max(all_cores())})


def become_reaper() -> None:
    """Make orphans below this process its children, so that `sweep` finds them."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def free_port() -> int:
    """Return a port that the kernel has free now, for programs that cannot ask it themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    command: Sequence[str], *, cores: Cores, env: Mapping[str, str], cwd: Path
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; it dies with this process."""

    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=env,
        cwd=cwd,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - the harness has one thread
    )


@contextlib.contextmanager
def running(
    command: Sequence[str], *, cores: Cores, env: Mapping[str, str], cwd: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the block lasts."""
    process = start(command, cores=cores, env=env, cwd=cwd)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with everything below it, and reap it."""
    tree = descendants(process.pid)
    kill(process.pid)
    process.wait()
    for pid in tree:
        kill(pid)
        reap(pid)


def sweep() -> None:
    """Kill every child that this process has: orphans of programs that have ended."""
    for pid in descendants(os.getpid()):
        kill(pid)
        reap(pid)


def pin(pid: int, cores: Cores) -> None:
    """Move every thread of a process to `cores`."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def kill(pid: int) -> None:
    """Kill one process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reap(pid: int) -> None:
    """Wait for an orphan that has become a child of this process; others are not ours to reap."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def descendants(pid: int) -> list[int]:
    """Return all processes below `pid`, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(parent(entry), []).append(int(entry.name))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for each in level for child in children.get(each, ())]
        found.extend(level)
    return found


def parent(entry: Path) -> int:
    """Return the parent of a process by its folder in /proc; 0 when it has just ended."""
    try:
        text = (entry / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(text.rpartition(")")[2].split()[1])


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, seconds: float) -> None:
    """Wait until `port` accepts."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise EndedError(f"it ended with status {process.returncode} before it listened")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(POLL_SECONDS)
    raise NotReadyError(f"it did not listen within {seconds:g} s")


def last_words(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> str:
    """Run a program that has ended at once again, for the last line of what it says."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=5
        )
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""
    return ""


def cpu_us(pid: int) -> float:
    """Return the processor time that a process's threads have used; in microseconds."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e3


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Return a process's resident memory, or with VmHWM its peak, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise NotReadyError(f"process {pid} has no {field}")
