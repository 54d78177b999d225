"""A runtime as a process like any other: where there is no launcher (macOS, no C compiler).

Everything an environment started dies with it, grandchildren in sessions of their own too:
they are found by descent and by the variable that only this environment's processes have.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from rie.core.exit_status import ExitStatus
from rie.telemetry.diary import get_diary
from rie.worker import entrypoint, process_table
from rie.worker.process import KILL_LIMIT, Launch, OnExit
from rie.worker.process_table import PeakMemory

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop  # see process.py

# Between two looks at who is left after a SIGKILL: killed processes need a moment to go,
# and one in an uninterruptible call needs longer.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.05

# A process that is between fork and exec may be overlooked once, but not twice.
_QUIET_LOOKS = 2

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


class _Adoption:
    """What this process has been left with by runtimes whose children outlived their parents.

    A fact of the whole process, so there is one of it. Such a child that has also cleared its
    environment bears no mark of where it came from: it is killed with the last environment,
    or at once where there is only one.
    """

    def __init__(self) -> None:
        self.active = False
        self.roots: set[int] = set()  # runtimes that have not been collected

    def strays(self) -> set[int]:
        if not self.active or len(self.roots) > 1:
            return set()
        return set(process_table.orphans()) - self.roots

    def collect(self) -> None:
        """Take strays that have ended by themselves out of the process table."""
        if not self.active:
            return
        for pid in set(process_table.orphans()) - self.roots:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


_adoption = _Adoption()


def adopt_orphans() -> None:
    """Take charge of everything that runtimes leave behind.

    For a process that is nothing but an emulator: every child that it does not know is taken
    for a function's.
    """
    _adoption.active = process_table.adopt_orphans()


class BareProcess:
    """One started runtime: a session of its own, and whatever it started."""

    def __init__(self, popen: subprocess.Popen[bytes], launch: Launch, started_at: float) -> None:
        self.started_at = started_at  # seconds, monotonic: just before it was started
        self._memory = PeakMemory(popen.pid)
        self._popen = popen
        self._marker = launch.marker
        self._sandbox = launch.sandbox
        self._stop_watching: Callable[[], None] = _nothing
        self._oom_kills = process_table.oom_kills()
        self._over_limit = False
        _adoption.roots.add(popen.pid)

    @classmethod
    def start(cls, launch: Launch, output: int, inherited: Iterable[int] = ()) -> BareProcess:
        """Start it; see start_process."""
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
        return cls(popen, launch, started_at)

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
            killed = threading.Event()
            self._stop_watching = killed.set
            _wait_in_thread(loop, self._popen, lambda: None if killed.is_set() else ended())
            return

        def stop() -> None:
            self._stop_watching = _nothing
            loop.remove_reader(descriptor)
            os.close(descriptor)

        self._stop_watching = stop
        loop.add_reader(descriptor, ended)

    def sample_memory(self) -> None:
        """Look at the memory of all processes together; for runtimes that start others."""
        self._memory.sample()
        _adoption.collect()  # what runtimes left behind, and has ended since
        if not self._over_limit and self._sandbox.exceeds(self._memory.together):
            self._over_limit = True
            _signal(self.pid)
        self._sandbox.watch_tmp(time.monotonic())

    def peak_memory(self, now: float) -> int:
        """Return the highest use so far, by the kernel's marks."""
        return self._memory.read(now)

    def freeze(self) -> None:
        """Let it run: who else is in the environment cannot be told for sure."""

    def thaw(self) -> None:
        """Let it run on."""

    async def kill(self) -> int:
        """Kill everything of the environment, wait until it is gone, return its peak memory."""
        from asyncio import sleep  # noqa: PLC0415 - see the top

        self._stop_watching()
        self._memory.sample()  # what is killed tells nothing any more
        # Descent is seen as long as the parents live: first of all, then.
        self._kill_those_left()
        signal_group(self.pid)
        quiet, deadline = 0, time.monotonic() + KILL_LIMIT
        for pause in _pauses():
            quiet = 0 if self._kill_those_left() else quiet + 1
            if quiet == _QUIET_LOOKS:
                break
            if time.monotonic() > deadline:
                get_diary().error("processes of a function cannot be killed", runtime=self.pid)
                break
            await sleep(pause)
        # Collected only now: until then its number cannot become somebody else's.
        peak = self._memory.exited(self._collect())
        self._memory.close()
        _adoption.roots.discard(self.pid)
        return peak

    def kill_now(self) -> None:
        """Kill what can be killed at once, without waiting: for the way out of a crash."""
        self._kill_those_left()
        signal_group(self.pid)

    def _kill_those_left(self) -> bool:
        """Kill whoever is left, and say whether there was anybody who can be killed."""
        left = [pid for pid in self._everybody() if process_table.is_running(pid)]
        killed = [_signal(pid) for pid in left]
        _adoption.collect()
        return any(killed)

    def _everybody(self) -> set[int]:
        descendants = process_table.descendants(self.pid)
        members = process_table.members(self._marker)
        return {self.pid, *descendants, *members, *_adoption.strays()} - {os.getpid()}

    def _collect(self) -> int:
        """Take the ended process out of the process table; return its rusage's peak."""
        if self._popen.returncode is None:
            try:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else in this process has waited for it
                pid, status, usage = 0, 0, None
            if not pid or usage is None:  # or it could not be killed
                self._popen.returncode = 0
                return 0
            self._popen.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_maxrss * _MAXRSS_UNIT
        return 0

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
        return ExitStatus(
            code,
            core_dumped=result.si_code == os.CLD_DUMPED,
            # Killed by nobody that we know of, and the kernel has killed somebody meanwhile.
            out_of_memory=code == -signal.SIGKILL and self._ran_out_of_memory(),
        )

    def _ran_out_of_memory(self) -> bool:
        return self._over_limit or process_table.oom_kills() > self._oom_kills


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST_PAUSE)


def _wait_in_thread(
    loop: AbstractEventLoop, popen: subprocess.Popen[bytes], ended: Callable[[], object]
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


def _signal(pid: int) -> bool:
    """Kill a process; say whether that was ours to do (one under sudo is not)."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _nothing() -> None:
    return
