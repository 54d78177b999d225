"""--freeze: between invocations nothing of a function runs, as on AWS.

A real emulator, as root (the kernel's freezer) and as an ordinary user (SIGSTOP, where no
control group may be made). What stands still is asked of the kernel.

The first fixture freezes environments that the last test finds in place a minute later; all
others run meanwhile.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import cast

import pytest

from tests.support.emulator import wait_until
from tests.support.rie_process import (
    RieProcess,
    Who,
    as_everybody,
    everybody,
    needs_python,
    rie_run,
)
from tests.support.traces import Process, is_frozen, is_there, state_of

FREEZE = ("--freeze", "--timeout=60")
A_MINUTE = 60.0  # seconds
# Environments of one emulator that are idle side by side.
SEVERAL = 3
# A thread, a child, one in a session of its own, an orphan: each counts, every ms at most.
COUNTERS = 4

pytestmark = needs_python


def frozen(rie: RieProcess) -> bool:
    """Whether every process of the function stands still, and there are some."""
    processes, groups = rie.watch.function_processes(), rie.watch.cgroups()
    return bool(processes) and all(is_frozen(each, groups) for each in processes)


def wait_until_frozen(rie: RieProcess) -> frozenset[Process]:
    wait_until(lambda: frozen(rie), "a frozen environment")
    return rie.watch.function_processes()


def counts(rie: RieProcess, do: str = "read", **more: object) -> list[int]:
    found = cast("list[int]", rie.ask(do, **more))
    assert len(found) == COUNTERS
    return found


def hold_several(rie: RieProcess) -> None:
    """Have as many environments: while one has an invocation, the next needs another."""
    with ThreadPoolExecutor(SEVERAL) as pool:
        for each in [pool.submit(rie.ask, "hold", seconds=1) for _ in range(SEVERAL)]:
            each.result()


@pytest.fixture(scope="module", autouse=True)
def frozen_since() -> Iterator[tuple[float, list[RieProcess]]]:
    """Freeze several environments of everybody; say since when they have been frozen."""
    with ExitStack() as stack:
        rest = (f"--environments={SEVERAL}", *FREEZE)
        emulators = [stack.enter_context(rie_run(who, *rest)) for who in everybody()]
        for rie in emulators:
            hold_several(rie)
            wait_until_frozen(rie)
            assert len(rie.watch.function_processes()) == SEVERAL
        yield time.monotonic(), emulators


@as_everybody
def test_nothing_runs_between_invocations_that_would_run_without(who: Who) -> None:
    with rie_run(who, *FREEZE) as rie, rie_run(who, "--timeout=60") as other:
        before, others_before = counts(rie, "begin counting"), counts(other, "begin counting")
        wait_until_frozen(rie)

        wait_until(lambda: min(gained(others_before, counts(other))) > 1000, "the other's counting")

        stood = gained(before, counts(rie))
        ran = gained(others_before, counts(other))
        assert max(stood) < min(ran) / 10, (stood, ran)


def gained(before: list[int], after: list[int]) -> list[int]:
    return [b - a for a, b in zip(before, after, strict=True)]


@as_everybody
def test_what_was_frozen_runs_on_in_the_next_invocation(who: Who) -> None:
    with rie_run(who, *FREEZE) as rie:
        before = counts(rie, "begin counting")
        wait_until_frozen(rie)

        after = counts(rie, "hold", seconds=0.5)

        assert min(gained(before, after)) > 50


@as_everybody
def test_nothing_is_frozen_during_an_invocation(who: Who) -> None:
    with rie_run(who, *FREEZE) as rie:
        counts(rie, "begin counting")
        wait_until_frozen(rie)
        for number in (1, 2):
            with rie.begin("hold", seconds=0.5) as caller:
                rie.log.wait_for("holding", number)
                processes, groups = rie.watch.function_processes(), rie.watch.cgroups()
                still = [each for each in processes if is_frozen(each, groups)]

                assert still == []
                assert caller.read_response().status == 200
            assert len(wait_until_frozen(rie)) == COUNTERS


@as_everybody
def test_it_is_frozen_after_init_and_before_any_invocation(who: Who) -> None:
    with rie_run(who, *FREEZE) as rie:
        wait_until_frozen(rie)
        assert not any("START RequestId" in line for line in rie.log.lines)

        assert rie.ask("ping") == "pong"


@as_everybody
def test_without_the_option_nothing_is_frozen(who: Who) -> None:
    with rie_run(who, "--timeout=60") as rie:
        counts(rie, "begin counting")
        first = counts(rie)
        for _ in range(20):
            processes, groups = rie.watch.function_processes(), rie.watch.cgroups()
            assert len(processes) == COUNTERS
            assert not any(is_frozen(each, groups) for each in processes)

        wait_until(lambda: min(gained(first, counts(rie))) > 50, "the counting")


@as_everybody
def test_a_frozen_tree_is_reset_by_a_crash_after_its_thaw(who: Who) -> None:
    with rie_run(who, *FREEZE) as rie:
        rie.ask("scatter")
        before = wait_until_frozen(rie)

        assert rie.fail("crash")["errorType"] == "Runtime.ExitError"

        wait_until(lambda: not any(map(is_there, before)), "the end of those before")
        assert rie.ask("ping") == "pong"
        wait_until_frozen(rie)


@as_everybody
def test_a_timeout_is_kept_after_a_thaw(who: Who) -> None:
    with rie_run(who, "--freeze", "--timeout=1") as rie:
        rie.ask("scatter")
        before = wait_until_frozen(rie)

        error = rie.fail("scatter and hang")

        assert "timed out after 1.00 seconds" in str(error["errorMessage"])
        wait_until(lambda: not any(map(is_there, before)), "the end of those before")
        assert rie.ask("ping") == "pong"


@as_everybody
def test_a_frozen_environment_that_is_retired_leaves_nothing(who: Who) -> None:
    with rie_run(who, "--idle-timeout=1", *FREEZE) as rie:
        rie.ask("scatter")
        before = wait_until_frozen(rie)

        wait_until(lambda: not rie.watch.look(), "the end of the environment")

        assert not any(map(is_there, before))
        wait_until(lambda: not rie.watch.cgroups(), "the end of its groups")
        wait_until(lambda: not rie.watch.loop_devices(), "the end of its disk")
        assert rie.ask("ping") == "pong"


@as_everybody
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_emulators_end_while_all_is_frozen_leaves_nothing(
    number: signal.Signals, who: Who
) -> None:
    with rie_run(who, *FREEZE) as rie:
        rie.ask("scatter")
        wait_until_frozen(rie)

        rie.end(number)

        rie.watch.assert_nothing_left()


@as_everybody
def test_a_process_that_the_function_stopped_itself_does_not_keep_it_from_its_end(
    who: Who,
) -> None:
    with rie_run(who, *FREEZE) as rie:
        rie.ask("stop a child")
        wait_until(
            lambda: any(state_of(each.pid) == "T" for each in rie.watch.function_processes()),
            "a stopped child",
        )
        wait_until_frozen(rie)

        assert rie.ask("ping") == "pong"
        assert rie.end() == 0
        rie.watch.assert_nothing_left()


def test_a_minute_in_the_freezer_does_no_harm(
    frozen_since: tuple[float, list[RieProcess]],
) -> None:
    since, emulators = frozen_since
    before = [rie.watch.function_processes() for rie in emulators]
    while time.monotonic() < since + A_MINUTE:  # the minute itself is what is tried
        for rie in emulators:
            assert frozen(rie)
        time.sleep(0.1)

    for rie, processes in zip(emulators, before, strict=True):
        assert rie.watch.function_processes() == processes
        hold_several(rie)  # each has kept its poll
        assert wait_until_frozen(rie) == processes
        assert not any("error" in line for line in rie.diary.lines), rie.diary.lines
