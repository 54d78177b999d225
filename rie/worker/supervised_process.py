"""A runtime inside its sandbox, with a supervisor of ours as its parent.

The supervisor tells of the runtime's end, kills everything that came of it when told to, and
does so by itself when this process dies, however that happens. It is the launcher, which has
stayed behind: rie/sandbox/native/supervision.c.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rie.core.exit_status import ExitStatus
from rie.sandbox.launcher import Launched, StepFailed
from rie.sandbox.machine import SandboxError
from rie.sandbox.sandbox import Sandbox
from rie.telemetry.diary import get_diary
from rie.worker import entrypoint, process_table
from rie.worker.process import KILL_LIMIT, Launch, OnExit
from rie.worker.process_table import PeakMemory

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future  # see process.py

_KIB = 1024

# How often the kills for want of memory are counted that the runtime has survived, in seconds:
# not at each of a thousand calls.
_LOOK_INTERVAL = 0.005


class SupervisedProcess:
    """One started runtime, and whatever it started."""

    def __init__(self, launched: Launched, sandbox: Sandbox) -> None:
        self.started_at = launched.started_at
        self.pid = launched.pid
        self._supervisor = launched.supervisor
        self._control = launched.control
        self._sandbox = sandbox
        self._own = {self._supervisor.pid, process_table.parent(self.pid)}  # its init, maybe
        self._memory = PeakMemory(self.pid, self._to_be_added, sandbox.memory_peak)
        self._most_resident = 0
        self._oom_kills = self._count_oom_kills()
        self._looked = launched.started_at
        self._stop_watching: Callable[[], None] = _nothing
        self._over_limit = False
        self._stopped: set[int] = set()

    @classmethod
    def start(cls, launch: Launch, output: int, inherited: tuple[int, ...]) -> SupervisedProcess:
        """Start it; see start_process."""
        sandbox = launch.sandbox
        program = entrypoint.find(launch.command, launch.folder, launch.search_path, sandbox.layers)
        path = str(sandbox.inside(Path(program.executable)))
        # Python finds the packages of its virtual environment by the path that it is started as.
        named = path if program.arguments[0] == program.executable else program.arguments[0]
        try:
            launched = sandbox.start(
                path,
                (named, *program.arguments[1:]),
                folder=sandbox.inside(launch.folder),
                environment=launch.environment,
                output=output,
                inherited=inherited,
            )
        except StepFailed as failure:
            folder = str(launch.folder) if failure.operation == "directory" else None
            error = OSError(failure.errno, os.strerror(failure.errno), folder)
            why = entrypoint.launch_error(error, program, launch.folder)
            if sandbox.is_kept(Path(program.executable)):
                why = why.in_archive(program.executable, path)
            raise why from failure
        except OSError as error:
            raise entrypoint.launch_error(error, program, launch.folder) from error
        except SandboxError as error:
            raise entrypoint.LaunchError("Sandbox.Failure", str(error)) from error
        return cls(launched, sandbox)

    def watch(self, loop: AbstractEventLoop, on_exit: OnExit) -> None:
        """Call `on_exit` once, on the loop, as soon as the runtime's process ends."""
        control = self._control
        control.setblocking(False)

        def stop() -> None:
            self._stop_watching = _nothing
            loop.remove_reader(control)

        def told() -> None:
            try:
                message = control.recv(64)
            except OSError:  # nothing there after all
                return
            stop()
            on_exit(self._exit_status(message))

        self._stop_watching = stop
        loop.add_reader(control, told)

    def peak_memory(self, now: float) -> int:
        """Return the highest use so far, the runtime asking for an invocation."""
        if now - self._looked >= _LOOK_INTERVAL:  # it lives: who was killed so far was another
            self._looked = now
            self._oom_kills = self._count_oom_kills()
        return min(self._memory.read(now), self._sandbox.memory_limit)

    def sample_memory(self) -> None:
        """Look at all processes together; end the runtime where they hold too much."""
        self._memory.sample()
        if not self._over_limit and self._sandbox.exceeds(self._memory.together):
            self._over_limit = True
            _signal(self.pid, signal.SIGKILL)
        self._sandbox.watch_tmp(time.monotonic())

    def freeze(self) -> None:
        """Stop everything in the environment, at once where there is a freezer."""
        if self._sandbox.freeze():
            return
        while running := {self.pid, *self._others()} - self._stopped:
            for pid in running:
                _signal(pid, signal.SIGSTOP)
            self._stopped |= running  # again: who was not stopped yet may have had children

    def thaw(self) -> None:
        """Let everything run on."""
        self._sandbox.thaw()
        for pid in self._stopped:
            _signal(pid, signal.SIGCONT)
        self._stopped.clear()

    async def kill(self) -> int:
        """Kill everything of the environment, wait until it is gone, return its peak memory."""
        from asyncio import get_running_loop  # noqa: PLC0415 - see process.py

        self._stop_watching()
        self._memory.sample()  # what is killed tells nothing any more
        self.thaw()  # on cgroup v1 who is frozen does not die
        self._control.close()
        if not await _ended(get_running_loop(), self._supervisor):
            get_diary().error("processes of a function cannot be killed", runtime=self.pid)
        self._memory.close()
        self._sandbox.ended()
        return min(max(self._memory.peak, self._most_resident), self._sandbox.memory_limit)

    def kill_now(self) -> None:
        """Have everything killed; the supervisor takes the socket's end for our own."""
        self._stop_watching()
        self._control.close()

    def _others(self) -> Iterator[int]:
        """Yield who else is in the environment: orphans too come to the supervisor, or its init."""
        ours = {*self._own, self.pid}
        return (
            each for each in process_table.descendants(self._supervisor.pid) if each not in ours
        )

    def _to_be_added(self) -> Iterable[int]:
        """Say whose memory is to be added up: nobody's where the kernel counts all together.

        Sums of ours are less true, as processes share pages.
        """
        return () if self._sandbox.counts_memory else self._others()

    def _exit_status(self, message: bytes) -> ExitStatus:
        """Read "X status most-resident"; no word is the end of the supervisor itself."""
        if not message.startswith(b"X "):
            return ExitStatus(-signal.SIGKILL)
        status, most_resident = map(int, message[2:].split())
        self._most_resident = most_resident * _KIB
        code = os.waitstatus_to_exitcode(status)
        return ExitStatus(
            code,
            core_dumped=os.WIFSIGNALED(status) and os.WCOREDUMP(status),
            out_of_memory=code == -signal.SIGKILL and self._ran_out_of_memory(),
        )

    def _ran_out_of_memory(self) -> bool:
        return self._over_limit or self._count_oom_kills() > self._oom_kills

    def _count_oom_kills(self) -> int:
        counted = self._sandbox.oom_kills()
        return process_table.oom_kills() if counted is None else counted


async def _ended(loop: AbstractEventLoop, process: subprocess.Popen[bytes]) -> bool:
    """Wait for a process of ours, and collect it; False: it does not end."""
    descriptor = os.pidfd_open(process.pid)
    ended: Future[None] = loop.create_future()

    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(descriptor, settle)
    giving_up = loop.call_later(KILL_LIMIT, settle)
    try:
        await ended
    finally:
        giving_up.cancel()
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.poll() is not None


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(OSError):  # gone already, or somebody else's by now
        os.kill(pid, number)


def _nothing() -> None:
    return
