"""The command line: chooses a command, turns arguments into one call, and errors into one line.

Exit status: 0 done, 1 the function failed (`rie invoke`), 2 cannot do what was asked,
3 the service refused (`rie invoke`), 130 interrupted.

What a command needs is imported when it is chosen: `rie run` must have the runtime's process
on its way as soon as it can.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rie.options import CommandError, HelpWanted, Option, UsageError, VersionWanted, explain
from rie.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

OVERVIEW = """\
usage: rie COMMAND [OPTION]...

AWS Lambda's execution model on this machine.

Commands:
  run      run a function as AWS Lambda runs it, and take calls for it
  invoke   call a function that is running

`rie COMMAND --help` explains one. `rie --version` prints the version."""

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rie ARGV...` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    match words:
        case [] | ["-h" | "--help" | "help"]:
            print(OVERVIEW)
            return 0
        case ["--version"]:
            return _print_version()
        case ["run", *rest]:
            from rie.commands import run  # noqa: PLC0415 - only what is asked for

            help_text = (run.USAGE, run.ABOUT, run.OPTIONS)
            return _guarded("rie run", help_text, lambda: _run(run.rie_run_settings, rest))
        case ["invoke", *rest]:
            from rie.commands import invoke  # noqa: PLC0415 - only what is asked for

            help_text = (invoke.USAGE, invoke.ABOUT, invoke.OPTIONS)
            return _guarded("rie invoke", help_text, lambda: invoke.invoke(rest, os.environ))
        case [unknown, *_]:
            return _complain("rie", UsageError(f"unknown command {unknown!r}; see rie --help"))
        case _:  # pragma: no cover - the cases above are all there are
            raise AssertionError(words)


def drop_in(argv: Sequence[str] | None = None) -> int:
    """Run `aws-lambda-rie ARGV...` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    from rie.commands import drop_in as command  # noqa: PLC0415 - only what is asked for

    help_text = (command.USAGE, command.ABOUT, command.OPTIONS)
    return _guarded("aws-lambda-rie", help_text, lambda: _run(command.drop_in_settings, words))


HelpText = tuple[str, str, "Sequence[Option]"]  # usage, about, options


def _guarded(program: str, help_text: HelpText, call: Callable[[], int]) -> int:
    try:
        return call()
    except HelpWanted:
        usage, about, options = help_text
        print(f"usage: {usage}\n\n{about}\n\n{explain(options)}")
        return 0
    except VersionWanted:
        return _print_version()
    except SettingsError as error:
        return _complain(program, UsageError(str(error)))
    except CommandError as error:
        return _complain(program, error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(
    settings_of: Callable[[Sequence[str], Mapping[str, str], Path], Settings],
    argv: Sequence[str],
) -> int:
    settings = settings_of(argv, os.environ, Path.cwd())
    from rie.groundwork import lay_groundwork  # noqa: PLC0415 - after the options are right

    # Until the emulator listens to signals itself they are kept for it: an exception out of the
    # middle of an import or a start would leave processes behind, or crash orjson.
    early: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
            continue  # nohup asked for that
        signal.signal(each, lambda number, _: early.append(number))
    groundwork = lay_groundwork(settings)
    try:
        from rie.serving import run_forever  # noqa: PLC0415 - heavy: while the runtime starts

        return run_forever(settings, groundwork, early)
    except BaseException:
        groundwork.abandon()  # what the emulator has not taken over
        raise


def _print_version() -> int:
    from rie.version import __version__  # noqa: PLC0415 - rarely asked for

    print(f"rie {__version__}")
    return 0


def _complain(program: str, error: CommandError) -> int:
    print(f"{program}: {error}", file=sys.stderr)
    return error.status
