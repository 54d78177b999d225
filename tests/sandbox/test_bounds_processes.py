"""Descriptors, processes and threads, the function's user, and its share of the processors.

Sources: Lambda developer guide, "Lambda quotas" (1,024 descriptors, 1,024 processes and threads)
and "Configure Lambda function memory" (1,769 MB are one vCPU).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rie.worker.process_table import members
from tests.support.emulator import wait_until
from tests.support.probes import burn_least
from tests.support.running_function import RunningFunction, Whom

NO_CAPABILITIES = "0" * 16
LEAST = 1_000  # of 1,024: the runtime and what watches over it are processes too


def test_descriptors_run_out_below_1024(function: RunningFunction) -> None:
    opened, error = function.call("open_descriptors", 2_000)

    assert LEAST <= opened < 1_024
    assert error == errno.EMFILE


def test_a_fork_bomb_ends_at_1024_processes_and_leaves_the_emulator_alone(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=3008") as function:
        forked, error = function.call("fork_without_end", 2_000)

        assert LEAST <= forked < 1_024
        assert error == errno.EAGAIN
        assert function.is_alive()
        assert function.call("touch_memory", 1) == 1


def test_nothing_is_left_of_a_fork_bomb_after_a_reset(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=3008") as function:
        function.call("touch_memory", 1)
        before = count(function)
        function.call("fork_without_end", 50)
        assert count(function) == before + 50

        function.error("exit_at_once", 3)

        assert function.call("look_at_processes")["all"] == [1, 2]
        wait_until(lambda: count(function) == before, "the end of the children")


def count(function: RunningFunction) -> int:
    return len(list(members(function.mark)))


def test_threads_count_as_processes_do(function: RunningFunction) -> None:
    assert LEAST <= function.call("start_threads", 1_100) < 1_024


def test_the_function_sees_no_processes_but_its_own(function: RunningFunction) -> None:
    found = function.call("look_at_processes")

    assert found["own"] in found["all"]
    assert max(found["all"]) < 10
    assert not [each for each in found["commands"] if "rie" in each or "pytest" in each]


@pytest.fixture
def shared_memory() -> Iterator[int]:
    """The key of a segment that anybody on this machine may use."""
    libc = ctypes.CDLL(None, use_errno=True)
    key = int.from_bytes(os.urandom(3), "big")
    segment = libc.shmget(key, 4096, 0o1666)  # IPC_CREAT
    assert segment >= 0
    yield key
    libc.shmctl(segment, 0, None)  # IPC_RMID


def test_the_function_shares_no_memory_with_anybody(
    as_whom: Whom, function: RunningFunction, shared_memory: int
) -> None:
    assert function.call("find_shared_memory", shared_memory) == errno.ENOENT
    with as_whom.run("--no-sandbox") as unbound:
        assert unbound.call("find_shared_memory", shared_memory) == 0


@pytest.mark.parametrize("user", ["993:990", "0:0"])
def test_neither_its_user_nor_root_gets_a_user_namespace_or_the_machines_settings(
    as_whom: Whom, user: str
) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    with as_whom.run(f"--user={user}") as function:
        assert function.call("make_user_namespace") == errno.EPERM
        assert function.call("write_file", "/proc/sys/kernel/core_pattern", pattern) in {
            errno.EROFS,
            errno.EACCES,
        }


def test_the_kernel_would_rather_kill_it_than_the_emulator(function: RunningFunction) -> None:
    assert function.call("out_of_memory_score") == 1000


def test_its_user_is_lambdas_without_any_privilege(function: RunningFunction) -> None:
    assert function.call("who_it_is") == {
        "ids": [993, 993, 993, 990, 990, 990],
        "name": "sbx_user1051",
        "CapEff": NO_CAPABILITIES,
        "CapPrm": NO_CAPABILITIES,
        "CapAmb": NO_CAPABILITIES,
        "NoNewPrivs": "1",
    }


def test_it_runs_as_whom_was_asked_for(as_whom: Whom) -> None:
    with as_whom.run("--user=1234:4321") as function:
        facts = function.call("who_it_is")

    assert facts["ids"] == [1234, 1234, 1234, 4321, 4321, 4321]
    assert facts["CapEff"] == NO_CAPABILITIES


def test_as_root_it_still_cannot_write_nor_remount(as_whom: Whom) -> None:
    new = as_whom.task_root / "new"
    with as_whom.run("--user=0:0") as function:
        assert function.call("who_it_is")["ids"] == [0] * 6
        assert function.call("write_file", str(new), "x") == errno.EROFS
        assert function.call("remount", "/") == errno.EPERM
        assert function.call("write_file", str(new), "x") == errno.EROFS


def test_a_processors_time_is_scaled_to_the_memory(as_root: Whom) -> None:
    with as_root.run("--memory-size=128", "--cpu-scaling") as function:
        assert function.call("burn", 0.1) > 4  # it has 128 / 1769 of one: 13.8


def test_without_scaling_a_processors_time_is_the_functions(as_whom: Whom) -> None:
    ours = burn_least(0.02, 20)  # others are at work on this machine, for both of us
    with as_whom.run("--memory-size=128") as function:
        assert function.call("burn_least", 0.02, 20) < 2 * ours + 2
