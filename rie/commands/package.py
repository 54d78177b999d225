"""`rie package`: a function's code, with what it requires, as an archive for Lambda."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rie.artifacts.limits import UNZIPPED, ZIPPED, size_in_words
from rie.artifacts.package import DEFAULT_PYTHON, LEFT_OUT, Requirements, package
from rie.commands.command import Command
from rie.commands.layer import ARCHITECTURE, EXCLUDE, one_of, output, packing, required
from rie.commands.telling import make
from rie.options import BadValueError, Option, UsageError, read, text

_OLDEST, _NEWEST = 8, 99


def python_version(value: str) -> str:
    """Take a version of Python 3: 3.11."""
    match = re.fullmatch(r"3\.([0-9]{1,2})", value, re.ASCII)
    if match is None or not _OLDEST <= int(match[1]) <= _NEWEST:
        raise BadValueError(f"must be a version of Python, such as {DEFAULT_PYTHON}")
    return value


OPTIONS = (
    output("function.zip"),
    Option(
        name="requirements",
        short="r",
        parse=text,
        metavar="FILE",
        help="Put in what this file names, installed by pip for Lambda's platform: wheels only.",
        variable="",
    ),
    Option(
        name="python",
        parse=python_version,
        metavar="VERSION",
        help="The Python that the requirements are for.",
        default=DEFAULT_PYTHON,
        variable="",
    ),
    ARCHITECTURE,
    EXCLUDE,
)


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie package ARGV...`. Raises CommandError and BuildError."""
    reading = read(OPTIONS, argv, environ, interspersed=True)
    folder = one_of(reading.positional, "the folder of the function's code")
    values = reading.values()
    target = required(values, "output", "-o FILE")
    requirements = values.get("requirements")
    if "python" in values and requirements is None:
        raise UsageError("--python says nothing without -r FILE")
    wanted = None
    if requirements is not None:
        wanted = Requirements(path=Path(requirements), python=values.get("python", DEFAULT_PYTHON))
    return make(
        target,
        lambda progress: package(Path(folder), packing(values, environ, progress), wanted),
    )


COMMANDS: dict[str, Command] = {
    "": Command(
        usage="rie package DIR -o FILE [OPTION]...",
        about=f"""\
Pack a function's code into the archive that Lambda takes: the same files give
the same bytes. What Lambda would refuse, or could not run, is an error; all
of it is told at once. At most {size_in_words(UNZIPPED)} unzipped; more than
{size_in_words(ZIPPED)} zipped cannot be uploaded directly.
Left out: virtual environments, {", ".join(LEFT_OUT[:4])} and the like
(docs/layers.md has the list).
Exit status: 0 written, 2 not.""",
        options=OPTIONS,
        run=run,
    )
}
