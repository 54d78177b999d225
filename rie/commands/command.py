"""A command as data: how it is written, what it is for, what it takes, what it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rie.options import Option


class Command(NamedTuple):
    """One command; `run` takes what follows its name and the environment, and gives the status.

    `run` raises CommandError, HelpWanted and VersionWanted.
    """

    usage: str
    about: str
    options: tuple[Option, ...]
    run: Callable[[Sequence[str], Mapping[str, str]], int]
