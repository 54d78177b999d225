"""What an environment stands on, where the system has no more of it."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rie import groundwork as groundwork_module
from rie.groundwork import Groundwork, GroundworkError, function_of
from rie.settings import Settings
from rie.worker.entrypoint import LaunchError

if TYPE_CHECKING:
    from collections.abc import Iterator


def make_groundwork(*, sandbox: bool = True) -> Groundwork:
    settings = Settings(command=("true",), listen=("127.0.0.1", 0), sandbox=sandbox)
    return Groundwork(settings, function_of(settings), log_to=1)


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open `count` more descriptors and no others."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    taken: list[int] = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths


def complaint(left: int, *, sandbox: bool = True) -> str | None:
    """Say what an environment complains of with so few descriptors left; None: it can be made."""
    groundwork = make_groundwork(sandbox=sandbox)
    try:
        with descriptors_left(left):
            groundwork.environment(None).abandon()
    except GroundworkError as error:
        return str(error)
    finally:
        groundwork.close()
    return None


def test_what_there_is_none_left_of_is_named_and_no_address_that_nobody_asked_for() -> None:
    assert complaint(128) is None  # imports what it needs

    complaints = [complaint(left) for left in range(40)]
    unbound = [complaint(left, sandbox=False) for left in range(40)]

    assert complaints[-1] is unbound[-1] is None
    assert {*complaints, *unbound} - {None} == {
        "an environment's bounds cannot be set up: too many open files",
        "no port or descriptor is left for the Runtime API: too many open files",
        "an environment's output and log cannot be set up: too many open files",
    }


def test_an_environment_that_cannot_be_had_leaves_no_descriptor_open() -> None:
    complaint(128)
    before = open_descriptors()

    for left in range(40):
        complaint(left)

    assert open_descriptors() == before


def test_of_starts_at_once_the_first_puts_back_how_long_threads_wait_for_one_another() -> None:
    usual = sys.getswitchinterval()
    groundwork = make_groundwork()
    ground = groundwork.environment(None)
    try:
        sys.setswitchinterval(groundwork_module._SWITCH_INTERVAL)  # another start is under way
        ground.start_runtime()
        sys.setswitchinterval(usual)  # and has ended
        runtime = ground.runtime
        assert runtime is not None
        assert not isinstance(runtime, LaunchError)
        asyncio.run(runtime.kill())

        assert sys.getswitchinterval() == usual
    finally:
        ground.abandon()
        groundwork.close()
        sys.setswitchinterval(usual)
