"""What goes on, for a person who waits: one line on a terminal, rewritten; else nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BETWEEN = 0.1  # seconds; a terminal is slower than what is shown on it
_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Shows counts of steps that are being done."""

    def __init__(self, *, visible: bool) -> None:
        self._visible = visible
        self._shown_at = float("-inf")

    def step(self, what: str, done: int, total: int) -> None:
        """Show `packing 120 of 3000`, if it is time."""
        now = time.monotonic()
        if self._visible and now - self._shown_at >= _BETWEEN:
            self._shown_at = now
            self._write(f"{_CLEAR_LINE}{what}: {done} of {total}")

    def say(self, what: str) -> None:
        """Show what takes a while and cannot be counted."""
        if self._visible:
            self._write(f"{_CLEAR_LINE}{what} ...")

    def clear(self) -> None:
        """Leave the terminal's line as it was."""
        if self._visible:
            self._write(_CLEAR_LINE)

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


SILENT = Progress(visible=False)


@contextmanager
def on_terminal() -> Iterator[Progress]:
    """Give what shows progress on stderr where that is a terminal, and clears it in the end."""
    progress = Progress(visible=sys.stderr is not None and sys.stderr.isatty())
    try:
        yield progress
    finally:
        progress.clear()
