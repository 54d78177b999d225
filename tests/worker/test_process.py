"""Real processes: how they end, and that nothing of them stays.

Most runtimes here are shell scripts. They print the numbers of what they start, so that a
test waits for a line and then looks at /proc.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from rie.core.exit_status import ExitStatus
from rie.sandbox.machine import Machine
from rie.sandbox.wanted import Wanted
from rie.worker import process_table
from rie.worker.bare_process import BareProcess
from rie.worker.entrypoint import LaunchError
from rie.worker.process import Launch, RuntimeProcess, start_process

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]

LIMIT = 30.0  # seconds; reached only when something is wrong
MIB = 1024 * 1024


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"use_uvloop": True}


# A runtime with a supervisor of its own, and one as it is where there is no launcher.
KINDS: dict[str, Callable[[Launch, int, tuple[int, ...]], RuntimeProcess]] = {
    "supervised": start_process,
    "bare": BareProcess.start,
}


class Started:
    """A runtime, and the end of the pipe that it writes to."""

    def __init__(self, kind: str, *command: str) -> None:
        self.marker = f"MARK={uuid.uuid4()}".encode()
        self.output, write = os.pipe()
        self.launch = make_launch(command, self.marker)
        try:
            self.process = KINDS[kind](self.launch, write, ())
        finally:
            os.close(write)
        self._read = b""
        self.exits: list[ExitStatus] = []
        self._exited = anyio.Event()

    def watch(self) -> None:
        self.process.watch(asyncio.get_running_loop(), self._note)

    def _note(self, status: ExitStatus) -> None:
        self.exits.append(status)
        self._exited.set()

    async def exit_status(self) -> ExitStatus:
        with anyio.fail_after(LIMIT):
            await self._exited.wait()
        return self.exits[0]

    def numbers(self, count: int) -> list[int]:
        """Read as many lines, each a process's number."""
        until = time.monotonic() + LIMIT
        while self._read.count(b"\n") < count:
            ready, _, _ = select.select([self.output], [], [], until - time.monotonic())
            data = os.read(self.output, 65536) if ready else b""
            assert data, f"only {self._read!r} was written"
            self._read += data
        return [int(line) for line in self._read.split(b"\n")[:count]]

    async def kill(self) -> int:
        with anyio.fail_after(LIMIT):
            return await self.process.kill()

    def output_is_closed(self) -> bool:
        """Whether nobody is left who could write."""
        while select.select([self.output], [], [], 0)[0]:
            if not os.read(self.output, 65536):
                return True
        return False


def make_launch(command: tuple[str, ...], marker: bytes) -> Launch:
    name, _, value = marker.decode().partition("=")
    path = os.environ["PATH"]
    return Launch(
        command=command,
        environment={name: value, "PATH": path},
        folder=Path("/"),
        search_path=path,
        marker=marker,
        sandbox=machine().open(),
    )


@cache
def machine() -> Machine:
    """What is held for all environments, from the first on."""
    made = Machine(Wanted(memory_size=128, task_root=Path("/"), bounded=False))
    made.open().close()
    return made


Start = Callable[..., Started]


@pytest.fixture(params=KINDS)
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Start runtimes; whatever a failed test left of them is killed."""
    yield from starting(request.param)


@pytest.fixture
def start_bare() -> Iterator[Start]:
    yield from starting("bare")


@pytest.fixture
def start_supervised() -> Iterator[Start]:
    yield from starting("supervised")


def starting(kind: str) -> Iterator[Start]:
    every: list[Started] = []

    def start_one(*command: str) -> Started:
        every.append(Started(kind, *command))
        return every[-1]

    yield start_one
    for started in every:
        started.process.kill_now()
        started.launch.sandbox.close()
        os.close(started.output)


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", script)


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(LIMIT):
        while not true():  # noqa: ASYNC110 - /proc calls nobody
            await anyio.sleep(0.001)


def open_files() -> list[str]:
    return os.listdir("/proc/self/fd")  # noqa: PTH208 - names, not paths


def is_listed(pid: int) -> bool:
    """Whether a process has an entry in the process table, be it a zombie's."""
    return Path(f"/proc/{pid}").exists()


# How it ends


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", ExitStatus(0)),
        ("exit 42", ExitStatus(42)),
        ("exit 255", ExitStatus(255)),
        ("kill -KILL $$", ExitStatus(-signal.SIGKILL)),
        ("kill -TERM $$", ExitStatus(-signal.SIGTERM)),
    ],
)
async def test_an_exit_is_told_with_its_code_or_signal(
    start: Start, script: str, status: ExitStatus
) -> None:
    started = start(*shell(script))
    started.watch()

    assert await started.exit_status() == status
    await started.kill()


async def test_a_core_dump_is_told_where_the_system_made_one(start: Start, tmp_path: Path) -> None:
    script = f"ulimit -c unlimited; cd {tmp_path}; kill -QUIT $$"
    started = start(*shell(script))
    started.watch()

    status = await started.exit_status()
    await started.kill()

    assert status == ExitStatus(-signal.SIGQUIT, core_dumped=dumps_core(script))


def dumps_core(script: str) -> bool:
    with subprocess.Popen(shell(script)) as process:
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return os.WCOREDUMP(status)


async def test_an_exit_before_anybody_watched_is_told(start: Start) -> None:
    started = start(*shell("exit 7"))
    await until(lambda: not process_table.is_running(started.process.pid))

    started.watch()

    assert await started.exit_status() == ExitStatus(7)
    await started.kill()


async def test_an_exit_is_told_once(start: Start) -> None:
    started = start(*shell("exit 7"))
    started.watch()
    await started.exit_status()
    await started.kill()

    await anyio.lowlevel.checkpoint()

    assert started.exits == [ExitStatus(7)]


async def test_an_exit_that_a_child_outlives_is_told_at_once(start: Start) -> None:
    started = start(*shell("sleep 600 & exit 7"))
    started.watch()

    assert await started.exit_status() == ExitStatus(7)
    await started.kill()
    await until(started.output_is_closed)


async def test_what_was_killed_is_not_told_as_an_exit(start: Start) -> None:
    started = start("sleep", "600")
    started.watch()

    await started.kill()
    await anyio.lowlevel.checkpoint()

    assert started.exits == []


async def test_without_pidfds_an_exit_is_told_too(
    start_bare: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    started = start_bare(*shell("exit 7"))
    started.watch()

    assert await started.exit_status() == ExitStatus(7)
    await started.kill()


async def test_without_pidfds_what_was_killed_is_not_told_either(
    start_bare: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    started = start_bare("sleep", "600")
    started.watch()

    await started.kill()
    await until(lambda: not watching_threads(started.process.pid))
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()

    assert started.exits == []


def watching_threads(pid: int) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == f"wait-{pid}"]


# What it leaves behind


async def test_a_killed_runtime_leaves_neither_zombie_nor_open_file(start: Start) -> None:
    machine()
    before = len(open_files())
    started = start("sleep", "600")
    started.watch()

    await started.kill()
    started.launch.sandbox.close()

    assert not is_listed(started.process.pid)
    assert len(open_files()) == before + 1  # the test's own end of the pipe
    await until(started.output_is_closed)


async def test_a_runtime_that_ended_by_itself_leaves_nothing_either(start: Start) -> None:
    machine()
    before = len(open_files())
    started = start("true")
    started.watch()
    await started.exit_status()

    await started.kill()
    started.launch.sandbox.close()

    assert not is_listed(started.process.pid)
    assert len(open_files()) == before + 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_program_that_cannot_be_started_leaves_no_open_file(kind: str) -> None:
    machine()
    before = len(open_files())
    launch = make_launch(("/no/such/program",), b"MARK=none")

    with (
        Path(os.devnull).open("wb") as output,  # noqa: ASYNC230 - no file
        pytest.raises(LaunchError),
    ):
        KINDS[kind](launch, output.fileno(), ())

    launch.sandbox.close()
    assert len(open_files()) == before


@pytest.mark.parametrize(
    "script",
    [
        "sleep 600 & echo $!; wait",
        "setsid sleep 600 & echo $!; wait",
        "(setsid sh -c 'echo $$; exec sleep 600' &); sleep 600",
        "(nohup setsid sh -c 'trap \"\" HUP TERM INT; echo $$; sleep 600; :' &); sleep 600",
        "(setsid sh -c 'echo $$; kill -STOP $$' &); sleep 600",
        # Its parent is gone and so is the runtime: only the variable tells whose it is.
        "(setsid sh -c 'echo $$; exec sleep 600' &)",
        # Without the variable, but found from its parent.
        "setsid env -i /bin/sh -c 'echo $$; exec /bin/sleep 600' & wait",
    ],
    ids=[
        "a child",
        "in a session of its own",
        "forked twice",
        "deaf to signals",
        "stopped",
        "of a runtime that is gone",
        "that cleared its environment",
    ],
)
async def test_whatever_the_runtime_started_dies_with_it(start: Start, script: str) -> None:
    started = start(*shell(script))
    (child,) = started.numbers(1)

    await started.kill()

    await until(lambda: not process_table.is_running(child))
    await until(started.output_is_closed)


async def test_a_runtime_that_ignores_signals_dies(start: Start) -> None:
    started = start(*shell("trap '' TERM INT HUP; echo $$; while :; do sleep 600; done"))
    started.numbers(1)

    await started.kill()

    assert not is_listed(started.process.pid)
    await until(started.output_is_closed)


async def test_children_started_while_they_are_being_killed_die_too(start: Start) -> None:
    script = """
import os, time
for number in range(150):
    if not os.fork():
        os.setsid()
        os.write(1, b"%d\\n" % os.getpid())
        if not os.fork():
            os.setsid()
        time.sleep(600)
"""
    started = start(*python(script))
    started.numbers(20)

    await started.kill()

    assert not list(process_table.members(started.marker))
    await until(started.output_is_closed)


async def test_only_what_bears_the_mark_is_killed(start: Start) -> None:
    mine, other = start("sleep", "600"), start("sleep", "600")

    await mine.kill()

    assert process_table.is_running(other.process.pid)
    await other.kill()


async def test_to_kill_now_does_not_wait(start: Start) -> None:
    started = start(*shell("(setsid sh -c 'echo $$; exec sleep 600' &); sleep 600"))
    (child,) = started.numbers(1)

    started.process.kill_now()

    await until(lambda: not process_table.is_running(child))
    await started.kill()


LEFT_ALL = "(setsid env -i /bin/sh -c 'echo $$; exec /bin/sleep 600' &); echo 0"


async def test_who_left_parent_session_and_environment_behind_comes_to_the_supervisor(
    start_supervised: Start,
) -> None:
    started = start_supervised(*shell(LEFT_ALL))
    stray = max(started.numbers(2))
    await until(lambda: not process_table.is_running(started.process.pid))

    await started.kill()

    assert not process_table.is_running(stray)


async def test_who_left_parent_session_and_environment_behind_is_not_found_without_one(
    start_bare: Start,
) -> None:
    """The limit of it: the kernel has kept nothing that would tell whose it was."""
    started = start_bare(*shell(LEFT_ALL))
    stray = max(started.numbers(2))
    try:
        await until(lambda: not process_table.is_running(started.process.pid))
        await started.kill()

        assert process_table.is_running(stray)
    finally:
        os.kill(stray, signal.SIGKILL)


ADOPTION = f"""
import asyncio, os
from pathlib import Path
from rie.sandbox.machine import Machine
from rie.sandbox.wanted import Wanted
from rie.worker import bare_process, process, process_table

bare_process.adopt_orphans()
read, write = os.pipe()
script = "(setsid env -i /bin/sh -c 'echo $$; exec /bin/sleep 600' &); sleep 600"
launch = process.Launch(
    command=("/bin/sh", "-c", script), environment={{"MARK": "adopted"}}, folder=Path("/"),
    search_path=None, marker=b"MARK=adopted",
    sandbox=Machine(Wanted(memory_size=128, task_root=Path("/"), bounded=False)).open(),
)
runtime = bare_process.BareProcess.start(launch, write)
stray = int(os.read(read, 100))
asyncio.run(asyncio.wait_for(runtime.kill(), {LIMIT}))
print(process_table.is_running(stray))
"""


def test_who_adopts_orphans_finds_even_them() -> None:
    # In a process of its own: it takes every child that it does not know for a function's.
    done = subprocess.run(
        [sys.executable, "-c", ADOPTION],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("False\n", "")


# What it uses


async def test_the_peak_of_what_still_runs_is_read_before_it_is_killed(start: Start) -> None:
    # However much memory the emulator itself has had: rusage would tell that as well.
    ours = b"x" * (100 * MIB)
    started = start(
        *python(
            "import os, time; b = b'x' * (60 << 20); del b; os.write(1, b'1\\n'); time.sleep(600)"
        )
    )
    started.numbers(1)
    del ours

    assert 60 * MIB <= await started.kill() < 90 * MIB


async def test_the_peak_that_was_seen_outlives_the_process(start: Start) -> None:
    script = "import os, time; b = b'x' * (60 << 20); os.write(1, b'1\\n'); time.sleep(600)"
    started = start(*python(script))
    started.numbers(1)
    started.process.sample_memory()
    os.kill(started.process.pid, signal.SIGKILL)
    started.watch()
    await started.exit_status()

    assert await started.kill() >= 60 * MIB


@pytest.mark.parametrize("kind", KINDS)
async def test_descriptors_that_are_named_are_inherited_and_no_others(kind: str) -> None:
    read, write = os.pipe()
    launch = make_launch(shell("ls /proc/self/fd | tr '\\n' ' '"), b"MARK=inherit")
    null = os.open(os.devnull, os.O_RDONLY)

    process = KINDS[kind](launch, write, (null,))
    os.close(write)
    with open(read, "rb") as output:  # noqa: PTH123, ASYNC230 - a pipe
        listed = set(output.read().split())
    await process.kill()
    launch.sandbox.close()
    os.close(null)

    # ls itself opens the folder that it lists, at the lowest number that is free.
    assert {b"0", b"1", b"2", str(null).encode()} <= listed
    assert len(listed) == 5
