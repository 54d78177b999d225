"""Nothing of an environment outlives it: no process, group, mount, disk, namespace, descriptor.

A real emulator, as root and as an ordinary user; what is left is looked for from outside.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.emulator import wait_until
from tests.support.raw_http import LIMIT
from tests.support.rie_process import (
    Home,
    RieProcess,
    Who,
    as_,
    as_everybody,
    begun,
    everybody,
    home,
    needs_python,
    needs_root,
    rie_run,
    variables,
    words_of_run,
)
from tests.support.traces import Watch, children_of, descriptors_of, is_supervisor, is_there

MANY = 200
PATIENT = "--timeout=60"
MARKER = "TRACE=none"  # of what has no function

pytestmark = needs_python


def assert_root_has_traces(rie: RieProcess, who: Who) -> None:
    """See that there is something to be left behind: else a test of it is worth nothing."""
    rie.watch.look()
    assert rie.watch.namespaces
    if who == "root":
        assert rie.watch.cgroups()
        assert rie.watch.loop_devices()


@as_everybody
def test_an_emulators_end_leaves_nothing_of_what_there_was(who: Who) -> None:
    with rie_run(who, PATIENT) as rie:
        rie.ask("write", size=1 << 20)
        assert_root_has_traces(rie, who)

        assert rie.end() == 0

        rie.watch.assert_nothing_left()


@as_everybody
def test_an_emulators_sudden_end_leaves_nothing_of_what_there_was(who: Who) -> None:
    with rie_run(who, PATIENT) as rie:
        rie.ask("write", size=1 << 20)
        assert_root_has_traces(rie, who)

        assert rie.end(signal.SIGKILL) == -signal.SIGKILL

        rie.watch.assert_nothing_left()


@as_everybody
def test_what_its_supervisors_could_not_remove_the_next_emulator_does(who: Who) -> None:
    with home(who) as place:
        with rie_run(who, PATIENT, at=place) as rie:
            rie.ask("scatter")
            assert_root_has_traces(rie, who)

            kill_with_supervisors(rie)

            rie.process.wait(LIMIT)
            wait_until(lambda: set(rie.watch.left()) <= {"control groups"}, "the end of all else")

        with rie_run(who, PATIENT, at=place) as following:
            assert rie.watch.cgroups() == []
            assert following.ask("ping") == "pong"


def kill_with_supervisors(rie: RieProcess) -> None:
    """Kill them at once: stopped first, so that none sees the other's end, or removes a group."""
    rie.watch.look()
    supervisors = [pid for pid in children_of(rie.pid) if is_supervisor(pid)]
    assert supervisors
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in (rie.pid, *supervisors):
            os.kill(pid, number)


@as_everybody
@pytest.mark.parametrize("options", [(), ("--no-sandbox",)], ids=["bounds", "no-sandbox"])
def test_resets_leave_the_emulator_with_what_it_had_open(
    who: Who, options: tuple[str, ...]
) -> None:
    with rie_run(who, PATIENT, *options) as rie:
        rie.fail("crash")
        rie.ask("scatter")
        before = len(descriptors_of(rie.pid))

        for _ in range(20):
            rie.fail("scatter and crash")
            assert rie.ask("ping") == "pong"

        wait_until_it_has(rie, before)
        assert len(rie.watch.function_processes()) == 1


@as_everybody
def test_environments_that_were_retired_leave_the_emulator_with_what_it_had_open(who: Who) -> None:
    with rie_run(who, PATIENT, "--environments=4", "--idle-timeout=0.5") as rie:
        retire_four(rie)
        before = len(descriptors_of(rie.pid))

        for _ in range(2):
            retire_four(rie)

        wait_until_it_has(rie, before)


def retire_four(rie: RieProcess) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: rie.ask("hold", seconds=0.5), range(4)))
    assert rie.watch.function_processes()
    wait_until(lambda: not rie.watch.look(), "the end of the environments")
    wait_until(lambda: not rie.watch.cgroups(), "the end of their groups")
    wait_until(lambda: not rie.watch.loop_devices(), "the end of their disks")


@as_everybody
def test_environments_of_a_certain_age_are_replaced_without_a_trace(who: Who) -> None:
    with rie_run(who, PATIENT, "--max-lifetime=0.3") as rie:
        seen: set[str] = set()
        for _ in range(10):
            assert rie.ask("hold", seconds=0.3)
            rie.watch.look()
            seen |= rie.watch.namespaces

        assert len(rie.watch.cgroups()) <= 2 * 3  # of one that goes and one that comes
        assert rie.end() == 0
        rie.watch.assert_nothing_left()


def wait_until_it_has(rie: RieProcess, most: int) -> None:
    """Wait until the emulator has no more open; connections may end a little late."""
    wait_until(
        lambda: len(descriptors_of(rie.pid)) <= most, f"no more than {most} files to be open"
    )


@as_everybody
def test_hundreds_of_environments_leave_nothing(who: Who) -> None:
    with home(who) as place, making_environments(who, place) as (process, watch):
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        process.stdin.flush()
        facts = json.loads(process.stdout.readline())

        assert facts["after"] == facts["before"], facts
        assert facts["lacking"].keys() <= {"loop device"}, facts
        assert who == "user" or not facts["lacking"]
        assert watch.look() == frozenset()
        assert watch.cgroups() == []
        wait_until(lambda: not watch.loop_devices(), "the end of the disks")
        assert watch.files() == []
        process.stdin.close()
        assert process.wait(LIMIT) == 0
        watch.assert_nothing_left()


@contextmanager
def making_environments(who: Who, place: Home) -> Iterator[tuple[subprocess.Popen[bytes], Watch]]:
    words = (sys.executable, "-m", "tests.support.many_environments", str(MANY), str(place.task))
    with subprocess.Popen(
        (*as_(who), *words),
        cwd=place.own,
        env=variables(TMPDIR=str(place.temporary)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout
            pid = json.loads(process.stdout.readline())["pid"]
            yield process, Watch(pid, MARKER, place.temporary)
        finally:
            process.kill()


@as_everybody
def test_a_runtime_that_cannot_be_started_leaves_nothing(who: Who) -> None:
    with rie_run(who, PATIENT, command=("/nowhere/bootstrap",)) as rie:
        assert rie.fail("ping")["errorType"] == "Runtime.InvalidEntrypoint"
        wait_until(lambda: not rie.watch.look(), "the end of whoever was to start it")

        assert rie.end() == 0
        rie.watch.assert_nothing_left()


@as_everybody
def test_a_runtime_that_ends_at_once_leaves_nothing(who: Who) -> None:
    with rie_run(who, PATIENT, command=("/bin/sh", "-c", "setsid sleep 1000 & exit 3")) as rie:
        assert rie.fail("ping")["errorType"] == "Runtime.ExitError"
        wait_until(lambda: not rie.watch.function_processes(), "the end of what it had started")

        assert rie.end() == 0
        rie.watch.assert_nothing_left()


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@as_everybody
@pytest.mark.parametrize(
    "option",
    [
        "--listen=127.0.0.1:{taken}",
        "--runtime-api=127.0.0.1:{taken}",
        "--ready-file=none/ready",
    ],
    ids=["listen", "runtime-api", "ready-file"],
)
def test_an_emulator_that_cannot_start_leaves_nothing(option: str, who: Who, taken: int) -> None:
    # The last is found out when the first environment is there already.
    with home(who) as place:
        words = words_of_run(place, option.format(taken=taken))
        status, watch = run_watched(who, words, place)

        assert status == 2
        watch.assert_nothing_left()


@as_everybody
def test_an_emulator_that_is_killed_while_it_starts_leaves_nothing(who: Who) -> None:
    with home(who) as place, begun(who, words_of_run(place), place) as process:
        watch = watch_from_the_start(process, place)
        wait_until(watch.look, "its first child")

        process.kill()

        process.wait(LIMIT)
        wait_until(lambda: set(watch.left()) <= {"control groups"}, "the end of all else")
        with rie_run(who, at=place):
            assert watch.cgroups() == []


def run_watched(who: Who, words: Sequence[str], place: Home) -> tuple[int, Watch]:
    """Run a program to its end, having looked at it as long as it was there."""
    with begun(who, words, place) as process:
        watch = watch_from_the_start(process, place)
        while process.poll() is None:
            watch.look()
        return process.returncode, watch


def watch_from_the_start(process: subprocess.Popen[bytes], place: Home) -> Watch:
    wait_until(lambda: b"rie" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "its exec")
    return Watch(process.pid, MARKER, place.temporary)


@needs_root
def test_emulators_side_by_side_are_told_apart() -> None:
    # What all tests here stand on.
    assert set(everybody()) == {"root", "user"}
    with rie_run("root", PATIENT) as one, rie_run("root", PATIENT) as other:
        one.watch.look()
        other.watch.look()
        assert one.watch.cgroups()
        assert not set(one.watch.cgroups()) & set(other.watch.cgroups())
        assert not set(one.watch.loop_devices()) & set(other.watch.loop_devices())
        assert not one.watch.namespaces & other.watch.namespaces
        processes = other.watch.look()

        one.end(signal.SIGKILL)

        one.watch.assert_nothing_left()
        assert all(map(is_there, processes))
        assert other.ask("ping") == "pong"
