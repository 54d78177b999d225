"""The way out of a network namespace: slirp4netns, a network stack in a process of its own.

What is in the namespace reaches what this machine reaches, but not the machine's loopback,
where other environments and their Runtime APIs are. Making the namespaces is the launcher's
business, as is the resolv.conf that names NAMESERVER.

Source: slirp4netns(1). Times are in seconds.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rie.core.errors import RieError

NAMESERVER = "10.0.2.3"  # passes questions on to the machine's own

_PROGRAM = "slirp4netns"
_INTERFACE = "tap0"
_OPTIONS = ("--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path")
_READY_LIMIT = 5.0
_END_LIMIT = 5.0
_MOST_READ = 1 << 16
_NO_REASON = "child failed"  # what it says last, after the reason


class NoEgress(RieError):
    """There is no way out here. The message names what is missing, and what to do."""


class Egress:
    """A running slirp4netns. It ends by itself when the process that holds this is gone.

    For so long as no other process has a copy of `lifeline`: one that was forked and runs no
    other program has one.
    """

    def __init__(self, process: subprocess.Popen[bytes], lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline

    def close(self) -> None:
        """End it; connections through it are cut.

        Blocks for 20 to 30 ms, which the kernel takes to remove the interface.
        """
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline < 0:
            return
        os.close(lifeline)
        self._process.kill()  # it has nothing to put in order
        with suppress(subprocess.TimeoutExpired):  # nobody can do more to it
            self._process.wait(_END_LIMIT)


def connect(network_namespace: int, user_namespace: int | None) -> Egress:
    """Give a network namespace a way out; both are descriptors, needed during this call only.

    `user_namespace` is the one that the network namespace belongs to, None if it is our own.
    Raises NoEgress.
    """
    with _closing(os.memfd_create("rie-egress")) as complaints:
        egress, ready = _start(_namespaces(network_namespace, user_namespace), complaints)
        with _closing(ready):
            trouble = _wait_for(ready)
        if trouble is None:
            return egress
        egress.close()
        raise NoEgress(f"{_PROGRAM} {trouble}: {_reason(complaints)}")


def _namespaces(network: int, user: int | None) -> tuple[str, ...]:
    ours = f"/proc/{os.getpid()}/fd"
    of_user = () if user is None else (f"--userns-path={ours}/{user}",)
    return (*of_user, f"{ours}/{network}", _INTERFACE)


def _start(namespaces: tuple[str, ...], complaints: int) -> tuple[Egress, int]:
    """Start it; return it, and where it tells that it is ready."""
    ready, tell_ready = os.pipe()
    exit_end, lifeline = os.pipe()
    descriptors = (f"--ready-fd={tell_ready}", f"--exit-fd={exit_end}")
    try:
        with _closing(tell_ready), _closing(exit_end):
            process = subprocess.Popen(  # noqa: S603 - no part of it is the user's
                (_PROGRAM, *_OPTIONS, *descriptors, *namespaces),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,  # not a pipe, which would have to be read as long as it runs
                pass_fds=(tell_ready, exit_end),
                process_group=0,  # Ctrl+C is for us: calls that still run need their connections
            )
    except OSError as error:
        os.close(ready)
        os.close(lifeline)
        raise NoEgress(_why_not_started(error)) from None
    return Egress(process, lifeline), ready


def _why_not_started(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{_PROGRAM} is not on PATH: install {_PROGRAM}"
    return f"{_PROGRAM} cannot be started: {error.strerror}"


def _wait_for(ready: int) -> str | None:
    """Wait until it is ready; return what went wrong instead."""
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    if not poll.poll(_READY_LIMIT * 1000):
        return f"is not ready after {_READY_LIMIT:g} s"
    return None if os.read(ready, 1) else "failed"


def _reason(complaints: int) -> str:
    text = os.pread(complaints, _MOST_READ, 0).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    reasons = [line for line in lines if line and not line.startswith(_NO_REASON)]
    return reasons[-1] if reasons else "it does not say why"


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)
