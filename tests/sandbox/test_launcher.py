"""The launcher itself, as root: what it reports, whom it starts, and how all of it ends."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from rie.sandbox import launcher
from rie.sandbox.cgroup import Cgroup, Limits
from rie.sandbox.launcher import Launched, StepFailed
from tests.support.control_groups import (
    folders,
    made,
    needs,
    needs_v1_freezer,
    proc_without_v2,
)
from tests.support.emulator import is_running, wait_until
from tests.support.pipes import read_some
from tests.support.raw_http import LIMIT

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces: need root"),
    pytest.mark.skipif(not launcher.is_built(), reason="the launcher: is not built"),
]

SLEEP = ("/bin/sleep", "sleep", "1000")

# It, an orphan in a session of its own, and a child that cannot be asked to end: each says so.
FAMILY = """
import os, signal
def stay():
    os.write(1, b"1")
    while True:
        signal.pause()
if not os.fork():
    if not os.fork():
        os.setsid()
        stay()
    os._exit(0)
if not os.fork():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stay()
stay()
"""
FAMILY_SIZE = 3


class Ground(NamedTuple):
    """What the supervisor does first, and the descriptors that this names."""

    before: Sequence[str] = ()
    descriptors: Sequence[int] = ()


NOTHING = Ground()


@contextmanager
def process_namespace() -> Iterator[Ground]:
    """Have one, with a mount namespace around it: it mounts a /proc of its own."""
    namespaces = launcher.prepare(["mount-namespace"])
    try:
        held = namespaces["mnt"]
        yield Ground(("join", str(held), "process-namespace"), (held,))
    finally:
        for each in namespaces.values():
            os.close(each)


@pytest.fixture(params=["without a namespace", "in a process namespace"])
def ground(request: pytest.FixtureRequest) -> Iterator[Ground]:
    if request.param == "without a namespace":
        yield Ground()
    else:
        with process_namespace() as found:
            yield found


@contextmanager
def launched(
    *command: str,
    ground: Ground = NOTHING,
    after: Sequence[str] = (),
    descriptors: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    output: int = subprocess.DEVNULL,
) -> Iterator[Launched]:
    """Start a program (its file, and its arguments from its name on); end what is left of it."""
    found = launcher.start(
        ground.before,
        [*after, "exec", *command],
        environment=environment or {},
        output=output,
        descriptors=(*ground.descriptors, *descriptors),
    )
    try:
        yield found
    finally:
        found.control.close()
        found.supervisor.wait(LIMIT)


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "python", "-I", "-S", "-c", text)


class Output:
    """The standard output of all processes; it ends when all have gone."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read(self, size: int) -> bytes:
        """Read so much, or what has come when all have gone."""
        os.close(self.writer)
        found = b""
        while len(found) < size and (more := read_some(self.reader, size - len(found))):
            found += more
        return found

    def has_ended(self) -> bool:
        return read_some(self.reader) == b""


@contextmanager
def family(
    ground: Ground, after: Sequence[str] = (), descriptors: Sequence[int] = ()
) -> Iterator[tuple[Launched, Output]]:
    """Start several processes, and wait until they are there."""
    output = Output()
    with ExitStack() as stack:
        stack.callback(os.close, output.reader)
        found = stack.enter_context(
            launched(
                *script(FAMILY),
                ground=ground,
                after=after,
                descriptors=descriptors,
                output=output.writer,
            )
        )
        assert output.read(FAMILY_SIZE) == b"1" * FAMILY_SIZE
        yield found, output


def ending(launched: Launched) -> tuple[int, int]:
    """Wait for the runtime's end; return its exit code and the most that it had, in KiB."""
    kind, status, most_resident = launched.control.recv(64).split()
    assert kind == b"X"
    return os.waitstatus_to_exitcode(int(status)), int(most_resident)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


# What cannot be done


def failure_of(*words: str) -> tuple[str, int, str]:
    with pytest.raises(StepFailed) as caught:
        launcher.prepare(words)
    return caught.value.operation, caught.value.errno, caught.value.about


def failure_of_start(*after: str, ground: Ground = NOTHING) -> tuple[str, int, str]:
    with (
        pytest.raises(StepFailed) as caught,
        launched("/bin/true", "true", ground=ground, after=after),
    ):
        pass
    return caught.value.operation, caught.value.errno, caught.value.about


def test_a_failure_names_operation_reason_and_argument() -> None:
    assert failure_of("directory", "/nowhere at all") == (
        "directory",
        errno.ENOENT,
        "/nowhere at all",
    )


def test_what_was_done_before_a_failure_does_not_matter() -> None:
    assert failure_of("mount-namespace", "tmpfs", "/mnt", "size=1m", "seal", "/nowhere") == (
        "seal",
        errno.ENOENT,
        "/nowhere",
    )
    assert not os.path.ismount("/mnt")


def test_an_unknown_operation_is_told() -> None:
    assert failure_of("fly") == ("fly", errno.ENOSYS, "")


def test_an_operation_without_all_of_its_arguments_is_refused() -> None:
    assert failure_of("user-namespace", "0") == ("user-namespace", errno.EINVAL, "")


def test_a_failure_of_the_runtimes_process_is_told(ground: Ground) -> None:
    assert failure_of_start("directory", "/nowhere", ground=ground) == (
        "directory",
        errno.ENOENT,
        "/nowhere",
    )


def test_a_program_that_is_not_executable_is_a_failure_of_exec(
    tmp_path: Path, ground: Ground
) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")

    with pytest.raises(StepFailed) as caught, launched(str(program), "program", ground=ground):
        pass
    assert caught.value.operation == "exec"
    assert caught.value.errno == errno.EACCES
    assert caught.value.about == str(program)


def test_an_environment_that_is_too_large_is_an_error_of_the_system() -> None:
    with (
        pytest.raises(OSError, match="Argument list too long") as caught,
        launched("/bin/true", "true", environment={"A": "x" * (1 << 20)}),
    ):
        pass
    assert caught.value.errno == errno.E2BIG


# Who is started


def test_the_number_is_the_runtimes_own_as_seen_from_outside(ground: Ground) -> None:
    with launched(*SLEEP, ground=ground) as found:
        command = Path(f"/proc/{found.pid}/cmdline")

        wait_until(lambda: command.read_bytes() == b"sleep\0001000\000", "the exec")
        assert found.pid != found.supervisor.pid


def test_a_process_namespace_has_an_init_and_then_the_runtime() -> None:
    with process_namespace() as ground, launched(*SLEEP, ground=ground) as found:
        assert status_of(found.pid)["NSpid"].split() == [str(found.pid), "2"]


def test_mask_and_signals_are_the_callers(ground: Ground) -> None:
    mask = os.umask(0o027)
    handler = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        with launched(*SLEEP, ground=ground) as found:
            status = status_of(found.pid)
    finally:
        signal.signal(signal.SIGUSR1, handler)
        os.umask(mask)

    assert status["Umask"] == "0027"
    assert int(status["SigIgn"], 16) >> signal.SIGUSR1 - 1 & 1
    assert not int(status["SigIgn"], 16) >> signal.SIGUSR2 - 1 & 1
    assert int(status["SigBlk"], 16) == 0


def test_only_inherited_descriptors_are_open(ground: Ground) -> None:
    with ExitStack() as stack:
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]
        for each in files:
            stack.callback(os.close, each)
        inherit = ("inherit", str(files[1]))
        found = stack.enter_context(
            launched(*SLEEP, ground=ground, after=inherit, descriptors=files)
        )
        folder = Path(f"/proc/{found.pid}/fd")

        wait_until(
            lambda: {int(path.name) for path in folder.iterdir()} == {0, 1, 2, files[1]},
            "the others to be closed by the exec",
        )


# How it ends


def test_the_exit_status_and_the_most_memory_are_told(ground: Ground) -> None:
    with launched(*script("b = b'x' * (60 << 20); raise SystemExit(3)"), ground=ground) as found:
        code, most_resident = ending(found)

        assert code == 3
        assert 60 * 1024 <= most_resident < 200 * 1024


def test_a_runtime_that_is_killed_is_told(ground: Ground) -> None:
    with launched(*SLEEP, ground=ground) as found:
        os.kill(found.pid, signal.SIGKILL)

        assert ending(found)[0] == -signal.SIGKILL


def test_others_go_on_when_the_runtime_has_ended(ground: Ground) -> None:
    with family(ground) as (found, output):
        os.kill(found.pid, signal.SIGKILL)
        ending(found)

        assert found.supervisor.poll() is None
        found.control.close()
        assert output.has_ended()


def test_closing_the_socket_kills_everybody(ground: Ground) -> None:
    with family(ground) as (found, output):
        found.control.close()

        assert output.has_ended()
        assert found.supervisor.wait(LIMIT) == 0


@contextmanager
def to_be_removed(folder: Path) -> Iterator[Ground]:
    (folder / "group").mkdir()
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Ground(("remove", str(descriptor), "group"), (descriptor,))
    finally:
        os.close(descriptor)


def test_when_the_socket_is_closed_the_folders_are_removed(tmp_path: Path) -> None:
    with to_be_removed(tmp_path) as ground, launched(*SLEEP, ground=ground) as found:
        found.control.close()
        found.supervisor.wait(LIMIT)

        assert not (tmp_path / "group").exists()


def test_a_killed_supervisor_takes_the_runtime_with_it(ground: Ground) -> None:
    with launched(*SLEEP, ground=ground) as found:
        found.supervisor.kill()

        wait_until(lambda: not is_running(found.pid), "the runtime's end")


def test_a_killed_supervisor_takes_a_process_namespace_with_it() -> None:
    with process_namespace() as ground, family(ground) as (found, output):
        found.supervisor.kill()

        assert output.has_ended()


def entering(group: Cgroup) -> list[str]:
    return [word for each in group.entries for word in ("enter", str(each))]


def leaving(group: Cgroup) -> list[str]:
    return [word for parent, name in group.directories() for word in ("remove", str(parent), name)]


@needs("freeze", "kill")
def test_who_is_frozen_dies_when_the_socket_is_closed(ground: Ground) -> None:
    with made(Limits()) as group:
        if group.freeze_words != (b"1", b"0") or group.kill_descriptor is None:
            pytest.skip("cgroup v2 cannot be written here")
        kill = group.kill_descriptor
        parents = [parent for parent, _ in group.directories()]
        grouped = Ground(
            ("kill-group", str(kill), *leaving(group), *ground.before),
            (kill, *parents, *ground.descriptors),
        )
        with family(grouped, entering(group), group.entries) as (found, output):
            wait_until(group.freeze, "all to stand still")
            found.control.close()

            assert output.has_ended()
            assert found.supervisor.wait(LIMIT) == 0
            assert not any(folder.exists() for folder in folders(group))


@needs_v1_freezer
def test_so_does_who_is_frozen_by_cgroup_v1(tmp_path: Path, ground: Ground) -> None:
    with made(Limits(), proc_without_v2(tmp_path)) as group:
        state, members = group.freeze_descriptor, group.procs_of_freezer
        assert state is not None
        assert members is not None
        parents = [parent for parent, _ in group.directories()]
        grouped = Ground(
            (
                "freezer",
                str(state),
                str(members),
                "FROZEN",
                "THAWED",
                *leaving(group),
                *ground.before,
            ),
            (state, members, *parents, *ground.descriptors),
        )
        with family(grouped, entering(group), group.entries) as (found, output):
            wait_until(group.freeze, "all to stand still")
            found.control.close()

            assert output.has_ended()
            assert found.supervisor.wait(LIMIT) == 0
            assert not any(folder.exists() for folder in folders(group))
