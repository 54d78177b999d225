"""The runtime's process and all that comes of it: started, watched, measured, frozen, killed.

Two kinds, with one face: supervised, inside the bounds of a sandbox, wherever there is a
launcher; else bare, a process of this machine like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rie.core.exit_status import ExitStatus
from rie.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    # The first runtime is started before asyncio is imported, which takes 36 ms.
    from asyncio import AbstractEventLoop

OnExit = Callable[[ExitStatus], None]

# A process in an uninterruptible call cannot be killed: the environment does not wait for ever.
KILL_LIMIT = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a runtime: all that a start needs, made ready before it.

    `folder` is this machine's path; `sandbox` knows where the function finds what is there.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    search_path: str | None
    marker: bytes  # NAME=value that no other environment's processes have
    sandbox: Sandbox


class RuntimeProcess(Protocol):
    """One started runtime, and whatever it started. Memory is in bytes."""

    @property
    def started_at(self) -> float:
        """When it was started, in seconds on the monotonic clock."""

    @property
    def pid(self) -> int:
        """The runtime's process id, which is its group's and its session's too."""

    def watch(self, loop: AbstractEventLoop, on_exit: OnExit) -> None:
        """Call `on_exit` once, on the loop, as soon as the runtime's process ends."""

    def peak_memory(self, now: float) -> int:
        """Return the highest use of memory so far; `now` is in seconds on the callers' clock."""

    def sample_memory(self) -> None:
        """Look at all processes together; where no kernel does, see that they keep within it."""

    def freeze(self) -> None:
        """Stop everything in the environment."""

    def thaw(self) -> None:
        """Let everything run on."""

    async def kill(self) -> int:
        """Kill everything of the environment, wait until it is gone, return its peak memory."""

    def kill_now(self) -> None:
        """Kill what can be killed at once, without waiting: for the way out of a crash."""


def start_process(launch: Launch, output: int, inherited: Iterable[int] = ()) -> RuntimeProcess:
    """Start a runtime, its stdout and stderr going to `output`. Raises LaunchError.

    One pipe for both keeps their lines in the order in which they were written.
    """
    if launch.sandbox.supervises:
        from rie.worker.supervised_process import (  # noqa: PLC0415 - one of the two is needed
            SupervisedProcess,
        )

        return SupervisedProcess.start(launch, output, tuple(inherited))
    from rie.worker.bare_process import BareProcess  # noqa: PLC0415 - one of the two is needed

    return BareProcess.start(launch, output, inherited)
