"""How a command that has something half-done is ended: as Ctrl-C does it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
