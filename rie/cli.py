"""The command line: chooses a command, turns arguments into one call, and errors into one line.

Exit status: 0 done, 1 the function failed (`rie invoke`), 2 cannot do what was asked,
3 the service refused (`rie invoke`), 130 interrupted, 141 nobody reads what is printed.

What a command needs is imported when it is chosen: `rie run` must have the runtime's process
on its way as soon as it can.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rie.commands.printing import ReaderGone, discard_unwritten, to_stderr, to_stdout
from rie.options import CommandError, HelpWanted, Option, UsageError, VersionWanted, explain
from rie.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rie.commands.command import Command

OVERVIEW = """\
usage: rie COMMAND [OPTION]...

AWS Lambda's execution model on this machine.

Commands:
  run      run a function as AWS Lambda runs it, and take calls for it
  invoke   call a function that is running
  doctor   show which of Lambda's limits this machine enforces, and by what
  layer    build, inspect and merge layers
  package  make a deployment package of a folder of code
  image    build base images, and try a function's image as Lambda would run it

`rie COMMAND --help` explains one. `rie --version` prints the version."""

EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141


def main(argv: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - one for each command
    """Run `rie ARGV...` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    match words:
        case [] | ["-h" | "--help" | "help"]:
            return _guarded("rie", lambda: _print(OVERVIEW))
        case ["--version"]:
            return _guarded("rie", _print_version)
        case ["run", *rest]:
            from rie.commands import run  # noqa: PLC0415 - only what is asked for

            help_text = (run.USAGE, run.ABOUT, run.OPTIONS)
            return _guarded("rie run", lambda: _run(run.rie_run_settings, rest), help_text)
        case ["invoke", *rest]:
            from rie.commands import invoke  # noqa: PLC0415 - only what is asked for

            help_text = (invoke.USAGE, invoke.ABOUT, invoke.OPTIONS)
            return _guarded("rie invoke", lambda: invoke.invoke(rest, os.environ), help_text)
        case ["doctor", *rest]:
            from rie.commands import doctor  # noqa: PLC0415 - only what is asked for

            help_text = (doctor.USAGE, doctor.ABOUT, doctor.OPTIONS)
            return _guarded("rie doctor", lambda: doctor.doctor(rest, os.environ), help_text)
        case ["layer" | "package" | "image" as name, *rest]:
            return _artifacts(name, rest)
        case [unknown, *_]:
            return _guarded("rie", lambda: _unknown(unknown))
        case _:  # pragma: no cover - the cases above are all there are
            raise AssertionError(words)


def _artifacts(group: str, words: list[str]) -> int:
    """Run a command about layers, packages or images.

    The module of that name has the commands of its group, by their second word (`rie layer
    build`); one that is the only one has none (`rie package`).
    """
    from importlib import import_module  # noqa: PLC0415 - only what is asked for

    module = import_module(f"rie.commands.{group}")
    commands: dict[str, Command] = module.COMMANDS
    if "" in commands:
        return _run_artifacts(f"rie {group}", commands[""], words)
    match words:
        case [] | ["-h" | "--help" | "help"]:
            return _guarded(f"rie {group}", lambda: _print(module.OVERVIEW))
        case [name, *rest] if name in commands:
            return _run_artifacts(f"rie {group} {name}", commands[name], rest)
        case [unknown, *_]:
            return _guarded(f"rie {group}", lambda: _unknown(unknown, f"rie {group}"))
        case _:  # pragma: no cover - the cases above are all there are
            raise AssertionError(words)


def _run_artifacts(program: str, command: Command, words: list[str]) -> int:
    from rie.artifacts.errors import BuildError  # noqa: PLC0415 - only what is asked for
    from rie.commands.ended_by_signals import ended_by_signals  # noqa: PLC0415 - as above

    def call() -> int:
        try:
            with ended_by_signals():
                return command.run(words, os.environ)
        except BuildError as error:
            raise CommandError(str(error)) from None

    return _guarded(program, call, (command.usage, command.about, command.options))


def drop_in(argv: Sequence[str] | None = None) -> int:
    """Run `aws-lambda-rie ARGV...` and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    from rie.commands import drop_in as command  # noqa: PLC0415 - only what is asked for

    help_text = (command.USAGE, command.ABOUT, command.OPTIONS)
    return _guarded("aws-lambda-rie", lambda: _run(command.drop_in_settings, words), help_text)


HelpText = tuple[str, str, "Sequence[Option]"]  # usage, about, options


def _guarded(program: str, call: Callable[[], int], help_text: HelpText | None = None) -> int:
    _open_standard_descriptors()
    try:
        return _explained(call, help_text)
    except SettingsError as error:
        return _complain(program, UsageError(str(error)))
    except CommandError as error:
        return _complain(program, error)
    except ReaderGone:
        return EXIT_NO_READER
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        discard_unwritten()


def _explained(call: Callable[[], int], help_text: HelpText | None) -> int:
    try:
        return call()
    except HelpWanted:
        usage, about, options = help_text or ("", "", ())
        return _print(f"usage: {usage}\n\n{about}\n\n{explain(options)}")
    except VersionWanted:
        return _print_version()


def _open_standard_descriptors() -> None:
    """Open those of stdin, stdout and stderr that were closed (`>&-`), to /dev/null.

    A socket or a pipe of ours would get the number otherwise, and what is printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one


def _run(
    settings_of: Callable[[Sequence[str], Mapping[str, str], Path], Settings],
    argv: Sequence[str],
) -> int:
    settings = settings_of(argv, os.environ, _current_folder())
    from rie.artifacts.errors import BuildError  # noqa: PLC0415 - after the options are right
    from rie.groundwork import GroundworkError, lay_groundwork  # noqa: PLC0415 - as above

    # Until the emulator listens to signals itself they are kept for it: an exception out of the
    # middle of an import or a start would leave processes behind, or crash orjson.
    early: list[int] = []
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
            continue  # nohup asked for that
        signal.signal(each, lambda number, _: early.append(number))
    _permit_descriptors(settings)
    try:
        groundwork = lay_groundwork(settings)
    except (GroundworkError, BuildError) as error:
        raise UsageError(str(error)) from None
    try:
        from rie.serving import run_forever  # noqa: PLC0415 - heavy: while the runtime starts

        return run_forever(settings, groundwork, early)
    except BaseException:
        groundwork.close()  # what the emulator has not taken over
        raise


def _permit_descriptors(settings: Settings) -> None:
    """Take as many descriptors as there may be: an environment holds some twenty of them.

    Functions have a limit of their own, unless they are to be as everything else.
    """
    if not settings.sandbox:
        return
    import resource  # noqa: PLC0415 - after the options are right

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # macOS has a limit that it does not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except OSError as error:  # it has been deleted
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"the current folder cannot be used: {reason}") from None


def _unknown(command: str, program: str = "rie") -> int:
    raise UsageError(f"unknown command {command!r}; see {program} --help")


def _print(text: str) -> int:
    to_stdout(f"{text}\n".encode())
    return 0


def _print_version() -> int:
    from rie.version import __version__  # noqa: PLC0415 - rarely asked for

    return _print(f"rie {__version__}")


def _complain(program: str, error: CommandError) -> int:
    to_stderr(f"{program}: {error}\n".encode(errors="backslashreplace"))
    return error.status
