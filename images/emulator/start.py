"""What the starter (starter.c) has the interpreter run: the program of rie that is named first.

It undoes what the starter did for the interpreter's sake before the emulator reads its variables.
"""

from __future__ import annotations

import os
import signal
import sys

HERE = os.path.dirname(__file__)  # noqa: PTH120 - pathlib takes its time
SITE = f"{HERE}/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
ASIDE = "RIE_ASIDE_"
HELD = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
EXIT_USAGE = 2


def main() -> int:
    """Run the program, and return its exit status."""
    sys.path.append(SITE)
    for name in [each for each in os.environ if each.startswith(ASIDE)]:
        os.environ[name.removeprefix(ASIDE)] = os.environ.pop(name)
    let_signals_in()
    program = sys.argv[0] = sys.argv.pop(1)
    from rie import __main__ as programs  # noqa: PLC0415 - only now can it be found

    try:
        return programs.main() if program == "rie" else programs.drop_in()
    except ModuleNotFoundError as error:
        if (error.name or "rie").partition(".")[0] == "rie":
            raise
        return explain(program, error.name)


def let_signals_in() -> None:
    """Take those that have come since the starter: nothing has been started that must be ended.

    Later ones are the program's, which has its own handlers. SIGINT has Python's.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def explain(program: str, lacking: str | None) -> int:
    """Say why a command does not work here. What it would need has no place in an image."""
    sys.stderr.write(
        f"{program}: the emulator that images carry has no {lacking}, which this command needs: "
        "run it on your machine\n"
    )
    return EXIT_USAGE


if __name__ == "__main__":
    raise SystemExit(main())
