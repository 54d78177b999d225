"""A function that does what its event says, and leaves processes behind: the code of app.py.

The event is {"do": NAME, ...}. It runs on the standard library, in an interpreter and a folder
that every user may read; tests/support/rie_process.py puts it there.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

EVER = 1000.0  # seconds; far more than a test waits
PATH = "/usr/bin:/bin"

Event = dict[str, Any]


def handler(event: Event, _context: object) -> object:
    return _DOES[event["do"]](event)


# Processes that are hard to find, or to end


def _session(ready: int) -> None:
    """Be a child of the runtime in a session of its own."""
    os.setsid()
    _stay(ready)


def _orphan(ready: int) -> None:
    """Be nobody's child, in a session of one's own: a daemon."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setsid()
    _stay(ready)


def _deaf(ready: int) -> None:
    """Be deaf to each signal that one can be deaf to."""
    os.setsid()
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    _stay(ready)


def _bare(ready: int) -> None:
    """Be an orphan with none of the environment's variables."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.dup2(ready, 1)
    os.execve("/bin/sh", ("sh", "-c", f"echo; exec /bin/sleep {EVER:.0f}"), {})  # noqa: S606 - bare


_KINDS: dict[str, Callable[[int], None]] = {
    "session": _session,
    "orphan": _orphan,
    "deaf": _deaf,
    "bare": _bare,
}
KINDS = tuple(_KINDS)


def _stay(ready: int) -> NoReturn:
    os.write(ready, b"\n")
    while True:
        time.sleep(EVER)


def _scatter(_event: Event) -> int:
    """Start one of each kind; return how many there are, when all are up."""
    reading, writing = os.pipe()
    for begin in _KINDS.values():
        if not os.fork():
            begin(writing)
    os.close(writing)
    up = 0
    while up < len(_KINDS) and os.read(reading, 1):
        up += 1
    os.close(reading)
    return up


def _scatter_and_crash(event: Event) -> NoReturn:
    _scatter(event)
    os._exit(7)


def _scatter_and_hang(event: Event) -> NoReturn:
    print("hanging", _scatter(event), flush=True)  # noqa: T201 - for the log
    while True:
        time.sleep(EVER)


# Programs, as they are small: forked copies of this process would be over the memory's limit
# first. And it is this process alone that goes on forking when no more can be had: if all did,
# whoever looks at their memory would wait for each of them (mmap_lock).
_SEVERAL = f"for each in 1 2 3 4 5 6 7 8 9; do /bin/sleep {EVER:.0f} & done"


def _bomb(_event: Event) -> NoReturn:
    """Start processes that leave others behind, without end; in sessions of their own."""
    while True:
        with suppress(OSError):
            subprocess.Popen(
                ("/bin/sh", "-c", _SEVERAL), start_new_session=True, stderr=subprocess.DEVNULL
            )
        time.sleep(0.005)


# Processes that count, so that it shows whether they run

_COUNTERS = 4
_counts = mmap.mmap(-1, 8 * _COUNTERS)


def _count(slot: int) -> NoReturn:
    count = 0
    while True:
        count += 1
        struct.pack_into("=Q", _counts, 8 * slot, count)
        time.sleep(0.001)


def _begin_counting(_event: Event) -> list[int]:
    """Count in a thread, a child, a child in a session of its own, and an orphan."""
    if not os.fork():
        _count(1)
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.setsid()
            _count(2)
        _count(3)
    threading.Thread(target=_count, args=(0,), daemon=True).start()
    while 0 in _read_counts(_event):
        time.sleep(0.001)
    return _read_counts(_event)


def _read_counts(_event: Event) -> list[int]:
    return list(struct.unpack_from(f"={_COUNTERS}Q", _counts))


def _hold(event: Event) -> list[int]:
    """Take some time over it; say in the log when it has begun."""
    print("holding", flush=True)  # noqa: T201 - for the log
    time.sleep(event["seconds"])
    return _read_counts(event)


def _stop_a_child(_event: Event) -> int:
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    return child


def _write(event: Event) -> int:
    """Leave a file in /tmp."""
    folder = os.environ.get("TMPDIR", "/tmp")
    with open(f"{folder}/left", "ab") as file:  # noqa: PTH123 - pathlib is not needed for it
        return file.write(b"x" * event["size"])


_DOES: dict[str, Callable[[Event], object]] = {
    "ping": lambda _event: "pong",
    "who": lambda _event: [os.getuid(), os.getgid(), sys.version],
    "scatter": _scatter,
    "crash": lambda _event: os._exit(7),
    "scatter and crash": _scatter_and_crash,
    "scatter and hang": _scatter_and_hang,
    "bomb": _bomb,
    "begin counting": _begin_counting,
    "read": _read_counts,
    "hold": _hold,
    "stop a child": _stop_a_child,
    "write": _write,
}
