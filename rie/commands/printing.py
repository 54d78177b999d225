"""What a command prints: all of it is written, or an error says why not.

Bytes go past the text stream's own encoding. A stream that was closed before the program
began (`>&-`) is None, and takes everything as /dev/null does.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from rie.options import CommandError

if TYPE_CHECKING:
    from typing import TextIO


class OutputError(CommandError):
    """What was to be printed could not be written."""


class ReaderGone(Exception):
    """Whoever read stdout has gone (`| head`): there is nobody to print for."""


def to_stdout(content: bytes) -> None:
    """Print it. Raises OutputError and ReaderGone."""
    try:
        _write(sys.stdout, content)
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise OutputError(f"stdout cannot be written to: {error.strerror}") from None


def to_stderr(content: bytes) -> None:
    """Print it as well as it goes: where it cannot be written there is no place to say so."""
    with suppress(OSError):
        _write(sys.stderr, content)


def discard_unwritten() -> None:
    """Drop what could not be written: the interpreter would try again, and complain."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _write(stream: TextIO | None, content: bytes) -> None:
    if stream is None:
        return
    stream.flush()
    stream.buffer.write(content)
    stream.buffer.flush()
