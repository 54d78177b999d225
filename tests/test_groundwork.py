"""What an environment stands on, where the system has no more of it."""

from __future__ import annotations

import os
import resource
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from rie.groundwork import Groundwork, GroundworkError, function_of
from rie.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def make_groundwork() -> Groundwork:
    settings = Settings(command=("true",), listen=("127.0.0.1", 0))
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


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (0, "no port or descriptor is left for the Runtime API: too many open files"),
        (1, "an environment's output and log cannot be set up: too many open files"),
    ],
)
def test_an_address_that_nobody_asked_for_is_not_named_when_there_is_none(
    left: int, message: str
) -> None:
    with ExitStack() as stack:
        make_groundwork().environment(None).abandon()  # imports what it needs
        stack.enter_context(descriptors_left(left))

        with pytest.raises(GroundworkError) as caught:
            make_groundwork().environment(None)

    assert str(caught.value) == message


def test_an_environment_that_cannot_be_had_leaves_no_descriptor_open() -> None:
    make_groundwork().environment(None).abandon()
    before = open_descriptors()

    for left in range(5):
        with descriptors_left(left), pytest.raises(GroundworkError):
            make_groundwork().environment(None)

    assert open_descriptors() == before
