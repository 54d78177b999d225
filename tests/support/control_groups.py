"""Control groups of this machine's own, with processes in them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest

from rie.sandbox.cgroup import Cgroup, Feature, Limits
from rie.sandbox.cgroups import Cgroups

MIB = 1024 * 1024
GONE = 2**22 + 1  # above the kernel's largest process number
FEATURES: tuple[Feature, ...] = get_args(Feature)

INSIDE = """
import os, sys
for entry in sys.argv[1].split(","):
    os.write(int(entry), b"0")
def say(text): os.write(1, text + b"\\n")
def wait(): os.read(0, 1)
"""


def needs(*features: Feature) -> pytest.MarkDecorator:
    found = Cgroups.find()
    reasons = [found.why_not(feature) for feature in features]
    found.close()
    return pytest.mark.skipif(any(reasons), reason="; ".join(filter(None, reasons)))


@contextmanager
def made(limits: Limits, proc: Path = Path("/proc")) -> Iterator[Cgroup]:
    """Make a group; whoever is left in it at the end is killed."""
    found = Cgroups.find(root_of_proc=proc)
    group = found.make(limits)
    try:
        yield group
    finally:
        group.kill()
        group.remove()
        found.close()


@contextmanager
def inside(group: Cgroup, script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python that enters the group before it runs a script."""
    entries = ",".join(map(str, group.entries))
    with subprocess.Popen(
        (sys.executable, "-S", "-E", "-c", INSIDE + script, entries, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=group.entries,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def rest(process: subprocess.Popen[bytes]) -> bytes:
    """Read until all who hold the pipe have gone."""
    assert process.stdout is not None
    return process.stdout.read()


def folders(group: Cgroup) -> list[Path]:
    return [
        Path(f"/proc/self/fd/{parent}").resolve() / name for parent, name in group.directories()
    ]


def text_of(group: Cgroup, file: str) -> str:
    return next(path.read_text() for folder in folders(group) if (path := folder / file).exists())


def left_by_the_dead(rest: str, started: int = 1) -> str:
    """Name a group as an emulator that has died would have."""
    namespace = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a question for one number
    return f"rie-{GONE}-{started}-{namespace}-{rest}"


def proc_without_v2(folder: Path) -> Path:
    """Make a /proc that knows of cgroup v1 only."""
    (folder / "self").mkdir()
    for name in ("cgroup", "mountinfo"):
        lines = Path("/proc/self", name).read_text().splitlines(keepends=True)
        kept = (line for line in lines if not line.startswith("0::") and "- cgroup2" not in line)
        (folder / "self" / name).write_text("".join(kept))
    return folder


def has_v1_freezer() -> bool:
    return "- cgroup cgroup rw,freezer" in Path("/proc/self/mountinfo").read_text()


needs_v1_freezer = pytest.mark.skipif(
    os.getuid() != 0 or not has_v1_freezer(), reason="needs root and cgroup v1's freezer"
)
