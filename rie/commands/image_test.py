"""`rie image test`: runs an image as Lambda would, and invokes its function once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import refuse_errors, shown
from rie.artifacts.images import building, engine, trial
from rie.commands.command import Command
from rie.commands.image_options import ARCHITECTURE, ENGINE
from rie.commands.invoke import payload
from rie.commands.printing import to_stderr, to_stdout
from rie.commands.telling import lines
from rie.core.limits import MEMORY_RANGE_MB, TIMEOUT_RANGE, TMP_RANGE_MB
from rie.options import BadValueError, Option, UsageError, read, text, whole_number

ABOUT = """\
Run an image as Lambda would: nothing but /tmp can be written to, an ordinary
user without privileges, limits of memory and of processes. Invoke its function
once, show the answer (stdout) and the log (stderr), end it, and remove the
container. Says what a Lambda image must have and this one lacks; one that fails
is invoked again with one bound less, to find which it does not stand.
Exit status: 0 the function answered, 1 it failed, 2 it cannot be run."""


def within(least: int, most: int) -> Callable[[str], int]:
    """Make a parser that takes whole numbers of a range."""

    def parse(value: str) -> int:
        number = whole_number(value)
        if not least <= number <= most:
            raise BadValueError(f"must be {least} to {most}")
        return number

    return parse


def event(value: str) -> bytes:
    """Take JSON, or where it is."""
    content = payload(value)
    try:
        json.loads(content)
    except ValueError as error:
        raise BadValueError(f"is not JSON: {error}") from None
    return content


OPTIONS: tuple[Option, ...] = (
    Option(
        name="handler",
        parse=text,
        metavar="NAME",
        help="The handler, in place of the image's CMD.",
        variable="",
    ),
    Option(
        name="payload",
        parse=event,
        metavar="JSON|@FILE|-",
        help="The event: JSON, a file that holds it, or stdin.",
        default="{}",
        variable="",
    ),
    Option(
        name="memory-size",
        parse=within(*MEMORY_RANGE_MB),
        metavar="MB",
        help="The function's memory.",
        default="128",
        variable="",
    ),
    Option(
        name="timeout",
        parse=within(*TIMEOUT_RANGE),
        metavar="SECONDS",
        help="How long an invocation may take.",
        default="3",
        variable="",
    ),
    Option(
        name="tmp-size",
        parse=within(*TMP_RANGE_MB),
        metavar="MB",
        help="The size of /tmp.",
        default="512",
        variable="",
    ),
    ENGINE,
    ARCHITECTURE,
)


def test(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie image test ARGV...`. Raises CommandError, BuildError."""
    reading = read(OPTIONS, argv, environ, interspersed=True)
    if len(reading.positional) != 1:
        raise UsageError("name one image; see --help")
    name, values = reading.positional[0], reading.values()
    architecture = values.pop("architecture", None)
    chosen = engine.find(values.pop("engine", None), environ)
    wanted = trial.Wanted(image=name, **values)
    found = _image(chosen, name)
    platform = building.PLATFORMS[architecture or building.own_architecture(chosen)]
    findings = trial.examine(found, wanted, platform)
    refuse_errors(shown(name), findings)
    to_stderr(lines(findings, sys.stderr).encode())
    try:
        outcome = trial.attempt(chosen, wanted)
    except trial.CannotRunError as error:
        to_stderr(error.log.encode())
        raise BuildError(f"{shown(name)}: {error}") from None
    _show(outcome)
    return 1 if outcome.failed else 0


def _image(chosen: engine.Engine, name: str) -> engine.Image:
    found = chosen.image(name)
    if found is None:
        raise BuildError(
            f"{chosen.name} has no image {shown(name)}: rie image build DIR --tag {shown(name)}"
        )
    return found


def _show(outcome: trial.Outcome) -> None:
    to_stdout(outcome.answer.rstrip(b"\n") + b"\n")
    to_stderr(outcome.log.encode())
    status = outcome.ended
    end = "had to be killed" if status is None else f"ended with exit status {status}"
    verdict = "failed" if outcome.failed else "answered"
    to_stderr(
        f"rie image test: {verdict} {outcome.seconds:.2f} s after its start; "
        f"after SIGTERM it {end}\n".encode()
    )
    if outcome.cause:
        to_stderr(f"rie image test: {outcome.cause}\n".encode())


TEST = Command(usage="rie image test [OPTION]... IMAGE", about=ABOUT, options=OPTIONS, run=test)
