"""`rie image build`: base images, and functions' images after a look at their folder."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rie.artifacts.findings import refuse_errors
from rie.artifacts.images import building, engine, recipe
from rie.artifacts.images.function_folder import FunctionFolder
from rie.artifacts.images.steps import Step
from rie.artifacts.progress import Progress
from rie.commands.command import Command
from rie.commands.image_options import ARCHITECTURE, ENGINE
from rie.commands.printing import to_stderr, to_stdout
from rie.commands.telling import lines
from rie.options import BadValueError, CommandError, Option, UsageError, boolean, read, text

ABOUT = """\
Build an image with podman or docker. NAME is a base image that comes with rie;
what it needs is built before it, and nothing that is there as it would be. DIR
is the folder of a function: its Dockerfile is checked, base images of rie's that
it is FROM are built, then it. A folder that bears a base image's name: ./NAME.
Prints the image's name and its size.
Exit status: 0 built, 1 a step of a Dockerfile failed, 2 cannot be built."""

_MEGABYTE = 1_000_000
_TICK = 1.0  # seconds between two looks at the clock
_WIDTH = 75  # of what is shown on a terminal


def build_argument(value: str) -> str:
    """Take NAME=VALUE."""
    name, equals, _ = value.partition("=")
    if not name or not equals:
        raise BadValueError("must be NAME=VALUE")
    return value


OPTIONS: tuple[Option, ...] = (
    Option(
        name="tag",
        short="t",
        parse=text,
        metavar="NAME:TAG",
        help="The image's name.",
        default="a base image's own, else the folder's",
        variable="",
    ),
    ENGINE,
    ARCHITECTURE,
    Option(
        name="cache",
        parse=boolean,
        switch=True,
        help="Leave out steps, and base images, whose results are there already.",
        default="yes",
        variable="",
    ),
    Option(
        name="build-arg",
        parse=build_argument,
        metavar="NAME=VALUE",
        help="The value of an ARG of the Dockerfile.",
        variable="",
        repeatable=True,
    ),
)


class StepError(CommandError):
    """A step of a Dockerfile failed."""

    status = 1


def build(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie image build ARGV...`. Raises CommandError, BuildError."""
    reading = read(OPTIONS, argv, environ, interspersed=True)
    if len(reading.positional) != 1:
        raise UsageError("name one base image or one folder; see --help")
    what, values = reading.positional[0], reading.values()
    chosen = engine.find(values.get("engine"), environ)
    with _reporting() as report:
        order = building.Order(
            engine=chosen,
            architecture=values.get("architecture") or building.own_architecture(chosen),
            cached=values.get("cache", True),
            build_args=values.get("build_arg", ()),
            report=report,
        )
        try:
            built = _built(what, values.get("tag"), order)
        except building.StepFailedError as error:
            to_stderr("".join(f"{line}\n" for line in error.last_lines).encode())
            raise StepError(str(error)) from None
    state = "" if built.made else ", was there"
    to_stdout(f"{built.tag}: {built.image.size / _MEGABYTE:.1f} MB{state}\n".encode())
    return 0


def _built(what: str, tag: str | None, order: building.Order) -> building.Built:
    bases = building.BaseImages(order)
    if what in recipe.names():
        built = bases.build(what)
        if tag and tag != built.tag:
            order.engine.call("tag", built.tag, tag)
            return building.Built(tag, built.image, built.made)
        return built
    return _function(Path(what), tag, bases, order)


def _function(
    folder: Path, tag: str | None, bases: building.BaseImages, order: building.Order
) -> building.Built:
    arguments = dict(each.split("=", 1) for each in order.build_args)
    function = FunctionFolder(folder, arguments)
    findings = function.check(order.architecture)
    to_stderr(lines([each for each in findings if each.severity == "warning"], sys.stderr).encode())
    refuse_errors(str(folder), findings)
    for name in function.base_images():
        bases.build(name)
    return building.build(folder, tag or building.tag_of(folder), order)


@contextmanager
def _reporting() -> Iterator[building.Report]:
    """Give what is told of each step: a line, which on a terminal is rewritten."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda tag, step: to_stderr(f"{tag}: {step}\n".encode())
        return
    with _clock() as report:
        yield report


@contextmanager
def _clock() -> Iterator[building.Report]:
    """Show the step that goes on, and how long all has taken, until the end."""
    progress = Progress(visible=True)
    began = time.monotonic()
    ended = threading.Event()
    at: list[str] = []

    def tick() -> None:
        while not ended.wait(_TICK):
            show()

    def show() -> None:
        for step in at:
            progress.say(f"{time.monotonic() - began:.0f} s  {step}"[:_WIDTH])

    def report(tag: str, step: Step) -> None:
        at[:] = [f"{tag}: {step}"]
        show()

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield report
    finally:
        ended.set()
        thread.join()
        progress.clear()


BUILD = Command(
    usage="rie image build [OPTION]... NAME|DIR", about=ABOUT, options=OPTIONS, run=build
)
