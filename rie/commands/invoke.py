"""`rie invoke`: call a function that an emulator is running, and print what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rie.options import Option, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USAGE = "rie invoke [NAME] [OPTION]..."
ABOUT = "Call a function that an emulator is running."
OPTIONS: tuple[Option, ...] = ()


def invoke(argv: Sequence[str], environ: Mapping[str, str]) -> int:  # noqa: ARG001 - to come
    """Call the function and return the exit status."""
    raise UsageError("not there yet")
