"""Has the launcher (native/) do things in a process of its own, and hears what came of it.

What it is told to do is plan.py's business: words, an operation and its arguments each.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from rie.core.errors import RieError

PROGRAM: Final = Path(__file__).parent / "native" / "launcher"

# A step takes microseconds; an exec from a file system across a network may take its time.
_LIMIT = 30.0  # seconds

_MOST_READ = 8192
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: unix(7), SCM_CREDENTIALS
_MOST_DESCRIPTORS = 8

_LOST = "the launcher ended without a word"


class StepFailed(RieError):
    """An operation could not be done; `errno` and `about` say why and with what."""

    def __init__(self, operation: str, errno: int, about: str = "") -> None:
        self.operation = operation
        self.errno = errno
        self.about = about
        said = os.strerror(errno).lower() if errno else _LOST
        super().__init__(f"{operation} {about}: {said}" if about else f"{operation}: {said}")


class Launched(NamedTuple):
    """A runtime under supervision.

    `pid` is the runtime's own, as seen from here; `started_at` is when it was executed, in seconds
    on the monotonic clock.
    `control` is the supervisor's socket: it tells of the runtime's end. When it is closed, by whom
    and for what reason ever, the supervisor kills everything, removes the control group, and ends.
    """

    supervisor: subprocess.Popen[bytes]
    pid: int
    started_at: float
    control: socket.socket


def is_built() -> bool:
    """Whether there is a launcher: it was compiled when the package was installed."""
    return os.access(PROGRAM, os.X_OK)


def prepare(words: Sequence[str]) -> dict[str, int]:
    """Have namespaces made; return descriptors that hold them, by name.

    The names are "user", "net", "ipc", "mnt", and "listener" for a socket. Raises StepFailed.
    """
    ours, theirs = _socketpair()
    with ours:
        with theirs:
            own = theirs.fileno()
            process = _spawn(["report", str(own), *words, "send-namespaces"], (own,))
        try:
            return _read_namespaces(ours)
        finally:
            process.wait()


def enter_ahead(group: int) -> subprocess.Popen[bytes]:
    """Have a process enter a control group, `group` being its cgroup.procs, and leave again.

    The kernel lets all readers of a lock go before the first process in a while enters any
    group: 8 ms and more, which the next one need not wait for. The caller waits for its end.
    """
    return _spawn(["enter", str(group)], (group,))


def start(
    before: Sequence[str],
    after: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: int,
    descriptors: Iterable[int],
) -> Launched:
    """Start a runtime: do `before`, leave a supervisor behind, do `after`, which ends with exec.

    `descriptors` are those that the words name. Raises StepFailed, and OSError where even the
    launcher cannot be started.
    """
    report, their_report = _socketpair()
    control, their_control = _socketpair()
    with report, their_report, their_control:
        report.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        own = (their_report.fileno(), their_control.fileno())
        words = ["report", str(own[0]), *before, "supervise", str(own[1]), "announce", *after]
        try:
            process = _spawn(words, (*own, *descriptors), environment=environment, output=output)
            their_report.close()  # ours, so that its end is seen
            their_control.close()
            try:
                return Launched(process, *_read_start(report), control)
            except BaseException:
                control.close()
                process.wait()
                raise
        except BaseException:
            control.close()
            raise


def _spawn(
    words: Sequence[str],
    pass_fds: Iterable[int],
    *,
    environment: Mapping[str, str] | None = None,
    output: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [PROGRAM, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,  # a terminal's Ctrl-C is the emulator's business
        pass_fds=tuple(pass_fds),
    )


def _socketpair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_LIMIT)
    return ours, theirs


def _read_namespaces(report: socket.socket) -> dict[str, int]:
    message, descriptors, _, _ = socket.recv_fds(report, _MOST_READ, _MOST_DESCRIPTORS)
    kind, *names = message.decode("utf-8", "replace").split(" ")
    if kind == "N":
        return dict(zip(names, descriptors, strict=True))
    raise _failure(message)


def _read_start(report: socket.socket) -> tuple[int, float]:
    """Wait for the exec, after which the last descriptor of the other end is closed.

    Return the runtime's process id, and when it began.
    """
    pid, at = 0, 0.0
    while True:
        message, ancillary, _, _ = report.recvmsg(_MOST_READ, socket.CMSG_SPACE(_CREDENTIALS.size))
        if not message.startswith(b"P "):
            break
        at = float(message[2:])
        for _, kind, data in ancillary:
            if kind == socket.SCM_CREDENTIALS:
                pid = _CREDENTIALS.unpack(data)[0]
    if message or not pid:
        raise _failure(message)
    return pid, at


def _failure(message: bytes) -> StepFailed:
    """Read "F operation errno about"."""
    with suppress(ValueError):
        _, operation, number, about = os.fsdecode(message).split(" ", 3)
        return StepFailed(operation, int(number), about)
    return StepFailed("launcher", 0)
