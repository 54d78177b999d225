"""What `rie doctor` does: makes an environment with everything on, and runs a process in it.

So what it tells is what happened here and now, as this user, in this folder.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from rie.sandbox.facts import facts
from rie.sandbox.launcher import PROGRAM, Launched, StepFailed
from rie.sandbox.machine import Machine, SandboxError
from rie.sandbox.sandbox import Sandbox
from rie.sandbox.wanted import Fact, Wanted

_LEAST_MEMORY = 128


def examine(folder: Path) -> tuple[Fact, ...]:
    """Say for each feature whether it holds on this machine, by what, or what is missing.

    `folder` stands for a function's code. Raises SandboxError where there can be no environment.
    """
    wanted = Wanted(
        memory_size=_LEAST_MEMORY,
        task_root=folder,
        network="isolated",
        freeze=True,
        cpu_scaling=True,
        needs=(PROGRAM,),
    )
    try:
        return _examined(Machine(wanted))
    except SandboxError as failure:
        if "--network isolated" not in str(failure):
            raise
        machine = Machine(wanted._replace(network="host"))
        machine.lacking["network namespace"] = machine.lacking["egress"] = str(failure)
        return _examined(machine)


def _examined(machine: Machine) -> tuple[Fact, ...]:
    # In this order: who goes back to the group that we came from must have none below it.
    with closing(machine), closing(machine.open()) as sandbox:
        if sandbox.supervises:
            _try_a_process(sandbox)
        return facts(machine)


def _try_a_process(sandbox: Sandbox) -> None:
    """Start the launcher itself, which does nothing when it is told nothing."""
    launched = _started(sandbox)
    with launched.control as control:
        control.recv(64)  # it has ended
        sandbox.freeze()
        sandbox.thaw()
    launched.supervisor.wait()


def _started(sandbox: Sandbox) -> Launched:
    program, nowhere = str(PROGRAM), os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        return sandbox.start(
            program, (program,), folder=Path("/"), environment={}, output=nowhere, inherited=()
        )
    except StepFailed as failure:
        raise SandboxError(f"a process cannot be started: {failure}") from failure
    finally:
        os.close(nowhere)
