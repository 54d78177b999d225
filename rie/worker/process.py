"""The runtime's process and all that comes of it: started, watched, measured, killed.

Everything an environment started dies with it, grandchildren in sessions of their own too:
they are found by descent and by the variable that only this environment's processes have.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rie.core.exit_status import ExitStatus
from rie.worker import entrypoint, process_table
from rie.worker.process_table import PeakMemory

if TYPE_CHECKING:
    # The first runtime is started before asyncio is imported, which takes 36 ms.
    from asyncio import AbstractEventLoop

OnExit = Callable[[ExitStatus], None]

# Between two looks at who is left after a SIGKILL: killed processes need a moment to go,
# and one in an uninterruptible call needs longer.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a runtime: all that a start needs, made ready before it."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    search_path: str | None
    marker: bytes  # NAME=value that no other environment's processes have


class RuntimeProcess:
    """One started runtime: a session of its own, and whatever it started."""

    def __init__(self, popen: subprocess.Popen[bytes], marker: bytes, started_at: float) -> None:
        self.started_at = started_at  # seconds, monotonic: just before it was started
        self._popen = popen
        self._marker = marker
        self._memory = PeakMemory(popen.pid)
        self._stop_watching: Callable[[], None] = _nothing

    @classmethod
    def start(cls, launch: Launch, output: int, inherited: Iterable[int] = ()) -> RuntimeProcess:
        """Start it, its stdout and stderr going to `output`. Raises LaunchError.

        One pipe for both keeps their lines in the order in which they were written.
        """
        started_at = time.monotonic()
        program = entrypoint.find(launch.command, launch.folder, launch.search_path)
        try:
            popen = subprocess.Popen(  # noqa: S603 - running what the user names is the purpose
                program.arguments,
                executable=program.executable,
                cwd=launch.folder,
                env=launch.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=tuple(inherited),
            )
        except OSError as error:
            raise entrypoint.launch_error(error, program, launch.folder) from error
        return cls(popen, launch.marker, started_at)

    @property
    def pid(self) -> int:
        """The runtime's process id, which is its group's and its session's too."""
        return self._popen.pid

    def watch(self, loop: AbstractEventLoop, on_exit: OnExit) -> None:
        """Call `on_exit` once, on the loop, as soon as the runtime's process ends."""

        def ended() -> None:
            self._stop_watching()
            on_exit(self._exit_status())

        try:
            descriptor = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or an old one: a thread waits
            _wait_in_thread(loop, self._popen, ended)
            return

        def stop() -> None:
            self._stop_watching = _nothing
            loop.remove_reader(descriptor)
            os.close(descriptor)

        self._stop_watching = stop
        loop.add_reader(descriptor, ended)

    def peak_memory(self) -> int:
        """Return the peak of the environment's resident memory so far, in bytes."""
        return self._memory.read()

    def sample_memory(self) -> None:
        """Look at the memory of all processes together; for runtimes that start others."""
        self._memory.sample()

    async def kill(self) -> None:
        """Kill everything of the environment and wait until it is gone."""
        from asyncio import sleep  # noqa: PLC0415 - see the top

        self._stop_watching()
        signal_group(self.pid)
        for pause in _pauses():
            if not self._kill_those_left():
                break
            await sleep(pause)
        # Collected only now: until then its number cannot become somebody else's.
        self._popen.wait()
        self._memory.close()

    def kill_now(self) -> None:
        """Kill what can be killed at once, without waiting: for the way out of a crash."""
        signal_group(self.pid)
        self._kill_those_left()

    def _kill_those_left(self) -> bool:
        left = [pid for pid in self._everybody() if process_table.is_running(pid)]
        for pid in left:
            _signal(pid)
        return bool(left)

    def _everybody(self) -> set[int]:
        descendants = process_table.descendants(self.pid)
        return {self.pid, *descendants, *process_table.members(self._marker)} - {os.getpid()}

    def _exit_status(self) -> ExitStatus:
        """Read how it ended, and leave its entry in the process table."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return ExitStatus(self._popen.wait())
        try:
            result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # somebody else in this process has waited for it
            result = None
        if result is None:
            return ExitStatus(self._popen.poll() or 0)
        killed = result.si_code in {os.CLD_KILLED, os.CLD_DUMPED}
        code = -result.si_status if killed else result.si_status
        return ExitStatus(code, core_dumped=result.si_code == os.CLD_DUMPED)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def _wait_in_thread(
    loop: AbstractEventLoop, popen: subprocess.Popen[bytes], ended: Callable[[], None]
) -> None:
    def wait() -> None:
        popen.wait()
        try:
            loop.call_soon_threadsafe(ended)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return

    threading.Thread(target=wait, name=f"wait-{popen.pid}", daemon=True).start()


def signal_group(pid: int) -> None:
    """Kill a process group; one that is gone already is fine."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _nothing() -> None:
    return
