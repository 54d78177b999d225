"""What the commands about images have in common: options, and how they are ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rie.options import Option, choice

ENGINE = Option(
    name="engine",
    parse=choice("podman", "docker"),
    metavar="podman|docker",
    help="What builds and runs images.",
    default="what is installed, podman first",
)
ARCHITECTURE = Option(
    name="architecture",
    parse=choice("x86_64", "arm64", amd64="x86_64", aarch64="arm64"),
    metavar="x86_64|arm64",
    help="The machine that the image is for.",
    default="this one",
    variable="",
)

_FIRST_SIGNAL_STATUS = 128  # as shells count


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end what is going on as Ctrl-C does: what was started ends too."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(_FIRST_SIGNAL_STATUS + number)

    wanted = (signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.getsignal(number)) for number in wanted]
    for number, handler in before:
        if handler is not signal.SIG_IGN:
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
