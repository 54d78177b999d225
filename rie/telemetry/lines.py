"""A function's own log line, as a value.

Made by whoever reads the runtime's output, rendered by text.py and json_lines.py.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
SystemLevel = Literal["DEBUG", "INFO", "WARN"]

LEVELS: dict[str, int] = {
    "TRACE": 1,
    "DEBUG": 2,
    "INFO": 3,
    "WARN": 4,
    "ERROR": 5,
    "FATAL": 6,
}


class FunctionLine(NamedTuple):
    """One record of the function or of what it started.

    A tuple, because one is made for each line that a function prints and a frozen dataclass
    takes three times as long.
    """

    text: bytes  # without the newline at its end; may hold others when the runtime framed it
    level: Level | None = None  # said by the frame; None where nothing is said
    json: bool = False  # said by the frame to be a JSON object
    at: float | None = None  # seconds since the epoch, said by the frame
