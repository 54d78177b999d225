"""A build's output, line by line: which step it is at, in the words of each builder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import shorten

_STEP = re.compile(
    r"""
      (?:\[(?P<stage>\d+)/\d+\]\s)?STEP\s(?P<podman>\d+)/(?P<podman_of>\d+):\s(?P<podman_text>.+)
    | Step\s(?P<old>\d+)/(?P<old_of>\d+)\s:\s(?P<old_text>.+)
    | \#\d+\s\[(?:\S+\s+)?(?P<new>\d+)/(?P<new_of>\d+)\]\s(?P<new_text>.+)
    """,
    re.VERBOSE,
)

_WIDTH = 100  # of an instruction, as it is shown


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile that is being carried out."""

    number: int
    total: int
    text: str

    def __str__(self) -> str:
        text = shorten(self.text, _WIDTH, placeholder=" ...")
        return f"step {self.number}/{self.total}: {text}"


def step_in(line: str) -> Step | None:
    """Return the step that begins with this line of podman, docker or BuildKit."""
    found = _STEP.match(line)
    if found is None:
        return None
    for way in ("podman", "old", "new"):
        if found[way]:
            text = " ".join(found[f"{way}_text"].split())
            return Step(int(found[way]), int(found[f"{way}_of"]), text)
    raise AssertionError(line)  # pragma: no cover - one of the three has matched
