"""`rie image`: builds base images and functions' images, and tries them as Lambda would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rie.commands.command import Command
from rie.commands.printing import to_stderr, to_stdout
from rie.options import BadValueError, CommandError, Option, UsageError, boolean, choice, read, text

if TYPE_CHECKING:
    from rie.artifacts.image import Built
    from rie.artifacts.steps import Step

OVERVIEW = """\
usage: rie image COMMAND [OPTION]...

Images that AWS Lambda runs.

Commands:
  build    build a base image, or a function's image from its Dockerfile
  test     run an image as Lambda would, and invoke its function once

`rie image COMMAND --help` explains one."""

BUILD_ABOUT = """\
Build an image with podman or docker. NAME is a base image that comes with rie;
what it needs is built before it, and nothing that is there already. DIR is the
folder of a function: its Dockerfile is checked first, then built.
Prints the image's name and its size.
Exit status: 0 built, 1 a step of the Dockerfile failed, 2 cannot be built."""

_MEGABYTE = 1_000_000


def build_argument(value: str) -> str:
    """Take NAME=VALUE."""
    if not value.partition("=")[0] or "=" not in value:
        raise BadValueError("must be NAME=VALUE")
    return value


ENGINE = Option(
    name="engine",
    parse=choice("podman", "docker"),
    metavar="NAME",
    help="What builds and runs images.",
    default="podman, else docker: what is installed",
)
ARCHITECTURE = Option(
    name="architecture",
    parse=choice("x86_64", "arm64", amd64="x86_64", aarch64="arm64"),
    metavar="NAME",
    help="Build for x86_64 or arm64.",
    default="this machine's",
    variable="",
)
BUILD_OPTIONS: tuple[Option, ...] = (
    Option(
        name="tag",
        short="t",
        parse=text,
        metavar="NAME:TAG",
        help="The image's name.",
        default="a base image's own; the folder's name",
        variable="",
    ),
    ENGINE,
    ARCHITECTURE,
    Option(
        name="no-cache",
        parse=boolean,
        switch=True,
        help="Carry out each step anew, whatever is there.",
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
    reading = read(BUILD_OPTIONS, argv, environ, interspersed=True)
    if len(reading.positional) != 1:
        raise UsageError("name one base image or one folder; see --help")
    values = reading.values()
    from rie.artifacts import engine, image, recipe  # noqa: PLC0415 - after the options are right

    chosen = engine.find(values.get("engine"), environ)
    order = image.Order(
        engine=chosen,
        architecture=values.get("architecture") or image.own_architecture(chosen),
        cached=not values.get("no_cache"),
        build_args=values.get("build_arg", ()),
        report=_report,
    )
    what, tag = reading.positional[0], values.get("tag")
    bases = image.BaseImages(order)
    try:
        if what in recipe.names():
            built = bases.build(what)
        else:
            folder = Path(what)
            built = image.build(folder, tag or folder.resolve().name.lower(), order)
    except image.StepFailedError as error:
        to_stderr("".join(f"{line}\n" for line in error.last_lines).encode())
        raise StepError(str(error)) from None
    if tag and tag != built.tag:
        chosen.call("tag", built.tag, tag)
    _print(built)
    return 0


def _report(tag: str, step: Step) -> None:
    to_stderr(f"{tag}: {step}\n".encode())


def _print(built: Built) -> None:
    state = "" if built.made else " (was there)"
    to_stdout(f"{built.tag} {built.image.size / _MEGABYTE:.1f} MB{state}\n".encode())


COMMANDS: dict[str, Command] = {
    "build": Command(
        usage="rie image build [OPTION]... NAME|DIR",
        about=BUILD_ABOUT,
        options=BUILD_OPTIONS,
        run=build,
    ),
}
