"""Whatever a function has started ends with its environment, however that ends.

A real emulator, as root and as an ordinary user, within bounds and without: then only the
supervisor is there, to whom orphans come.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.emulator import wait_until
from tests.support.rie_process import (
    POWERLESS,
    POWERLESS_INIT,
    RieProcess,
    Who,
    as_everybody,
    home,
    needs_capsh,
    needs_python,
    needs_root,
    rie_run,
)
from tests.support.traces import Process, command_of, is_supervisor, is_there, variables_of

# Of restless.py: a session of its own, an orphan, one deaf to signals, one without variables.
KINDS = 4
# In which no test makes an invocation end by itself.
PATIENT = "--timeout=60"
CROWD = 500  # processes, of the 1,024 that there may be

pytestmark = needs_python

within_bounds_and_without = pytest.mark.parametrize(
    "options", [(PATIENT,), (PATIENT, "--no-sandbox")], ids=["bounds", "no-sandbox"]
)


def scattered(rie: RieProcess) -> frozenset[Process]:
    """Have the function start one of each kind; return all processes but the emulator."""
    assert rie.ask("scatter") == KINDS
    return seen(rie)


def seen(rie: RieProcess) -> frozenset[Process]:
    """Return all processes but the emulator, the runtime and one of each kind among them."""
    found = rie.watch.look()
    names = [command_of(each.pid) for each in found]
    assert sum(not is_supervisor(each.pid) for each in found) == 1 + KINDS, names
    assert sum(b"TRACE=" not in variables_of(each.pid) for each in found) == 1, names
    return found


def wait_until_gone(processes: frozenset[Process]) -> None:
    wait_until(
        lambda: not any(map(is_there, processes)),
        f"the end of {[(each, command_of(each.pid)) for each in processes if is_there(each)]}",
    )


@as_everybody
@within_bounds_and_without
def test_a_reset_ends_whatever_the_function_has_started(who: Who, options: tuple[str, ...]) -> None:
    with rie_run(who, *options) as rie:
        before = scattered(rie)

        assert rie.fail("crash")["errorType"] == "Runtime.ExitError"

        wait_until_gone(before)
        assert rie.ask("ping") == "pong"
        assert rie.end() == 0
        rie.watch.assert_nothing_left()


@as_everybody
@pytest.mark.parametrize("options", [(), ("--no-sandbox",)], ids=["bounds", "no-sandbox"])
def test_a_timeout_ends_whatever_the_function_has_started(
    who: Who, options: tuple[str, ...]
) -> None:
    with rie_run(who, "--timeout=2", *options) as rie:
        with rie.begin("scatter and hang") as caller:
            rie.log.wait_for(f"hanging {KINDS}")
            rie.send(signal.SIGSTOP)  # it keeps no time while we look, which may take ours
            before = seen(rie)
            rie.send(signal.SIGCONT)
            error = caller.read_response().fields()

        assert "timed out" in str(error["errorMessage"]), error
        wait_until_gone(before)
        assert rie.ask("ping") == "pong"


@as_everybody
@within_bounds_and_without
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_emulators_end_ends_whatever_the_function_has_started(
    number: signal.Signals, who: Who, options: tuple[str, ...]
) -> None:
    with rie_run(who, *options) as rie:
        scattered(rie)

        assert rie.end(number) == (0 if number is signal.SIGTERM else -signal.SIGKILL)

        rie.watch.assert_nothing_left()


@as_everybody
@within_bounds_and_without
def test_a_second_signal_ends_whatever_the_function_has_started(
    who: Who, options: tuple[str, ...]
) -> None:
    with rie_run(who, *options) as rie:
        scattered(rie)
        os.kill(rie.pid, signal.SIGSTOP)  # so that both are there when it looks

        rie.send(signal.SIGTERM)
        rie.send(signal.SIGINT)
        rie.send(signal.SIGCONT)

        assert rie.process.wait(30) in {0, 130, 128 + signal.SIGTERM, 128 + signal.SIGINT}
        rie.watch.assert_nothing_left()


@as_everybody
@within_bounds_and_without
def test_the_emulators_sudden_end_ends_an_invocation_under_way(
    who: Who, options: tuple[str, ...]
) -> None:
    with rie_run(who, *options) as rie, rie.begin("scatter and hang"):
        rie.log.wait_for(f"hanging {KINDS}")
        seen(rie)

        rie.end(signal.SIGKILL)

        rie.watch.assert_nothing_left()


@as_everybody
def test_a_fork_bomb_ends_with_the_timeout(who: Who) -> None:
    with rie_run(who, "--timeout=2", "--memory-size=3008") as rie:
        with rie.begin("bomb") as caller:
            wait_until(lambda: rie.watch.count() > CROWD, "a crowd")
            error = caller.read_response().fields()

        assert "timed out" in str(error["errorMessage"]), error
        assert rie.ask("ping") == "pong"
        wait_until(lambda: len(rie.watch.function_processes()) == 1, "the end of the crowd")
        assert rie.end() == 0
        rie.watch.assert_nothing_left()


@as_everybody
def test_a_fork_bomb_ends_with_the_emulators_sudden_end(who: Who) -> None:
    with rie_run(who, PATIENT, "--memory-size=3008") as rie, rie.begin("bomb"):
        wait_until(lambda: rie.watch.count() > CROWD, "a crowd")

        rie.end(signal.SIGKILL)

        rie.watch.assert_nothing_left()


@needs_root
@needs_capsh
@pytest.mark.parametrize("before", [POWERLESS, POWERLESS_INIT], ids=["child", "init"])
@within_bounds_and_without
def test_root_without_capabilities_answers_and_leaves_nothing_after_a_reset(
    before: tuple[str, ...], options: tuple[str, ...]
) -> None:
    with rie_run("root", *options, before=before) as rie:
        assert inner_pid(rie) == (1 if before is POWERLESS_INIT else rie.pid)
        processes = scattered(rie)

        assert rie.fail("crash")["errorType"] == "Runtime.ExitError"

        wait_until_gone(processes)
        assert rie.ask("ping") == "pong"
        rie.end()
        rie.watch.assert_nothing_left()


@needs_root
@needs_capsh
@pytest.mark.parametrize("before", [POWERLESS, POWERLESS_INIT], ids=["child", "init"])
def test_root_without_capabilities_leaves_nothing_when_told_to_end(before: tuple[str, ...]) -> None:
    with rie_run("root", PATIENT, before=before) as rie:
        scattered(rie)

        rie.end(signal.SIGTERM)

        rie.watch.assert_nothing_left()


@needs_root
@needs_capsh
def test_root_without_capabilities_leaves_a_folder_that_the_next_emulator_removes() -> None:
    # Without mounts /tmp is a folder, which nobody but an emulator can remove.
    with home("root") as place:
        with rie_run("root", PATIENT, before=POWERLESS, at=place) as rie:
            scattered(rie)

            rie.end(signal.SIGKILL)

            wait_until(lambda: set(rie.watch.left()) <= {"files"}, "the end of all but the folder")

        with rie_run("root", PATIENT, before=POWERLESS, at=place):
            left = [path for path in rie.watch.files() if f"/rie-{rie.pid}-" in path]
            assert left == []


@needs_root
@needs_capsh
def test_the_sudden_end_of_an_emulator_that_is_an_init_leaves_no_process() -> None:
    # Its supervisor dies with it: the groups go with the container, for whose end this stands.
    with rie_run("root", PATIENT, before=POWERLESS_INIT) as rie:
        processes = scattered(rie)
        groups = rie.watch.cgroups()

        rie.end(signal.SIGKILL)

        wait_until_gone(processes)
        wait_until(lambda: not any(map(has_processes, groups)), "empty groups")
        assert set(rie.watch.left()) <= {"files", "control groups"}
        for group in filter(Path.exists, groups):
            group.rmdir()


def has_processes(group: Path) -> bool:
    try:
        return (group / "cgroup.procs").read_text() != ""
    except OSError:  # its supervisor has removed it
        return group.exists()


def inner_pid(rie: RieProcess) -> int:
    """Return the emulator's number as it knows it itself."""
    return int(rie.watch.family.split("-")[1])
