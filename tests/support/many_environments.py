"""Makes environments by the library and ends them, one by one; tells what it is left with.

Run as `python -m tests.support.many_environments COUNT TASK_ROOT`. It prints {"pid": N} and waits
for a line on stdin, so that it can be watched from the beginning; then it does the work, prints
its open files before and after, and waits for the end of stdin.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from rie.sandbox.launcher import Launched
from rie.sandbox.machine import Machine
from rie.sandbox.sandbox import Sandbox
from rie.sandbox.wanted import Wanted


def main(count: int, task_root: Path) -> None:
    machine = Machine(Wanted(memory_size=128, task_root=task_root, freeze=True))
    tell({"pid": os.getpid()})
    sys.stdin.readline()
    use(machine)  # what is opened once and for all is open by now
    before = descriptors()
    for _ in range(count - 1):
        use(machine)
    tell({"before": before, "after": descriptors(), "lacking": machine.lacking})
    sys.stdin.read()
    machine.close()


def use(machine: Machine) -> None:
    """Make an environment, run two processes in it, with a reset in between, and end it."""
    sandbox = machine.open()
    for order in (b"K", None):
        launched = start(sandbox)
        sandbox.freeze()
        sandbox.thaw()
        with launched.control as control:
            if order:
                control.send(order)
        # Without an order it takes the closing of its socket for our own end.
        launched.supervisor.wait()
        sandbox.ended()
    sandbox.close()


def start(sandbox: Sandbox) -> Launched:
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    words = ("sh", "-c", "setsid sleep 1000 & echo x >/tmp/file; exec sleep 1000")
    try:
        return sandbox.start(
            "/bin/sh",
            words,
            folder=Path("/"),
            environment={"PATH": "/usr/bin:/bin"},
            output=nowhere,
            inherited=(),
        )
    finally:
        os.close(nowhere)


def descriptors() -> list[str]:
    """Say what is open, but for the folder that is looked at."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return sorted(found)


def tell(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
