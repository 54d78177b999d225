"""The life of a process that is nothing but an emulator: its loop, its signals, its exit status.

SIGTERM, SIGINT and SIGHUP end it: callers get an answer, processes are killed, nothing stays.
A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from rie.emulator import Emulator
from rie.groundwork import Groundwork
from rie.sandbox import launcher
from rie.settings import Settings
from rie.telemetry.diary import get_diary

EXIT_INTERRUPTED = 130


def run_forever(settings: Settings, groundwork: Groundwork, early: Sequence[int] = ()) -> int:
    """Run an emulator until a signal ends it; return the exit status.

    `early` has the signals that came before, and gets those that come before it listens itself.
    """
    diary = get_diary()
    diary.configure(settings.log_level, settings.diary_format)
    diary.hold()  # until the first environment is up: importing structlog takes 70 ms
    if not launcher.is_built():
        from rie.worker.bare_process import adopt_orphans  # noqa: PLC0415 - else supervisors do

        adopt_orphans()
    try:
        import uvloop  # noqa: PLC0415 - where there is none, asyncio's own loop will do
    except ImportError:
        return asyncio.run(_serve(settings, groundwork, early))
    return uvloop.run(_serve(settings, groundwork, early))


async def _serve(settings: Settings, groundwork: Groundwork, early: Sequence[int]) -> int:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()
    async with Emulator(settings, groundwork=groundwork) as emulator:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup asked for that
            loop.add_signal_handler(number, _stopper(number, stop, emulator))
        await loop.run_in_executor(None, _load_diary)
        await loop.shutdown_default_executor()
        get_diary().release()
        if early and not stop.done():  # uvloop may have told of it by now
            _stopper(signal.Signals(early[0]), stop, emulator)()
        return await stop


def _load_diary() -> None:
    with suppress(ImportError, OSError):  # the diary can do without
        import structlog  # noqa: F401, PLC0415 - in a thread, so that the loop can serve meanwhile


def _stopper(
    number: signal.Signals, stop: asyncio.Future[int], emulator: Emulator
) -> Callable[[], None]:
    status = EXIT_INTERRUPTED if number is signal.SIGINT else 0

    def stopped() -> None:
        if not stop.done():
            get_diary().info("stopping", signal=number.name)
            stop.set_result(status)
            return
        emulator.kill_now()  # asked twice: at once, whatever is still under way
        os._exit(128 + number)

    return stopped
