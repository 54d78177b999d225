"""Ends an engine's program with all that it started, so that it clears up after itself.

podman, when it is told to end, leaves behind the program that a RUN step runs, in a session of
its own, and the container that it is building in. When that program ends first, the step has
failed, and podman removes the container and ends. Times are in seconds.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_GRACE = 10.0  # between SIGTERM and SIGKILL
_POLL = 0.05


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, if it has not ended, and what it started."""
    if process.poll() is None and not _ends_with_its_step(process):
        _signal_group(process.pid, signal.SIGTERM)
        if not _has_ended(process, _GRACE):
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()


def _ends_with_its_step(process: subprocess.Popen[bytes]) -> bool:
    """Kill what a RUN step runs, and tell whether the engine has ended for it."""
    killed = False
    limit = time.monotonic() + _GRACE
    while time.monotonic() < limit:
        for pid in _step_of(process.pid):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed = True
        if not killed:
            return False
        if _has_ended(process, _POLL):
            return True
    return False


def _step_of(engine: int) -> Iterator[int]:
    """List the descendants that are in no group of the engine's own: what a RUN step runs."""
    children: dict[int, list[tuple[int, int]]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The second field, a name in parentheses, may hold anything.
            _, parent, group = path.read_bytes().rpartition(b")")[2].split()[:3]
            children.setdefault(int(parent), []).append((int(path.parent.name), int(group)))
    ahead = [engine]
    while ahead:
        for pid, its_group in children.get(ahead.pop(), ()):
            ahead.append(pid)
            if its_group != engine:
                yield pid


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _has_ended(process: subprocess.Popen[bytes], limit: float) -> bool:
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        return False
    return True
