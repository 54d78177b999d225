"""Whose is what may outlive an emulator: its name says so, and whether that one still lives.

A name is rie-PID-START-NAMESPACE-REST: the process that made it, when that one was started (in
the kernel's ticks since boot, as numbers are used again), and the PID namespace in which the
number holds. Without the namespace an emulator in a container would take another's living
things for dead. Each is "0" where there is no /proc to tell it (macOS).
"""

from __future__ import annotations

import os

from rie.sandbox import files

_UNKNOWN = "0"


def prefix() -> str:
    """Begin the name of what is ours; the rest has no hyphen."""
    pid = os.getpid()
    return f"rie-{pid}-{_start_time(pid) or _UNKNOWN}-{_pid_namespace()}-"


def is_left(name: str) -> bool:
    """Whether it names what an emulator has left behind; of other namespaces we cannot tell."""
    match name.split("-"):
        case ["rie", pid, started, namespace, _]:
            ours = pid.isdecimal() and namespace == _pid_namespace()
            return ours and not _lives(int(pid), started)
        case _:
            return False


def _lives(pid: int, started: str) -> bool:
    if started != _UNKNOWN:
        return _start_time(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _start_time(pid: int) -> str:
    """Tell when a living process was started; nothing if there is none, or no /proc.

    One that nobody waits for, as in a container without an init, is dead all the same.
    """
    fields = files.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()  # from the third on
    return fields[19].decode() if fields and fields[0] not in b"ZX" else ""


def _pid_namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116 - the start-up diet
    except OSError:
        return _UNKNOWN
