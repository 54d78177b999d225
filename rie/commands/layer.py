"""`rie layer`: archives for /opt are built, looked into, and merged into a folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rie.artifacts import layer
from rie.artifacts.findings import errors_of, shown
from rie.artifacts.limits import LAYERS, UNZIPPED, size_in_words
from rie.artifacts.packing import Packing
from rie.artifacts.programs import ARCHITECTURES
from rie.artifacts.progress import Progress, on_terminal
from rie.commands.command import Command
from rie.commands.printing import to_stdout
from rie.commands.telling import files_in_words, lines, make
from rie.options import Option, UsageError, boolean, choice, read, text

OVERVIEW = """\
usage: rie layer COMMAND [OPTION]...

Layers: archives whose content a function finds in /opt.

Commands:
  build    pack a folder, or a layer that comes with rie, into an archive
  inspect  show what is in an archive, and what is wrong with it
  merge    lay archives over each other into a folder, as Lambda does in /opt

`rie layer COMMAND --help` explains one."""

ARCHITECTURE = Option(
    name="architecture",
    parse=choice(*ARCHITECTURES, amd64="x86_64", aarch64="arm64"),
    metavar="|".join(ARCHITECTURES),
    help="What Lambda is to run it on; programs in it must be made for that.",
    default="x86_64",
    variable="",
)
EXCLUDE = Option(
    name="exclude",
    parse=text,
    metavar="PATTERN",
    help="Leave out what has this name, or, with a slash in it, this path from the top; "
    "* stands for any text.",
    variable="",
    repeatable=True,
)


def output(example: str) -> Option:
    """Make the option that says where an archive is written."""
    return Option(
        name="output",
        short="o",
        parse=text,
        metavar="FILE",
        help=f"Where to write the archive: {example}.",
        variable="",
    )


BUILD = (output("layer.zip"), ARCHITECTURE, EXCLUDE)
INSPECT = (
    ARCHITECTURE._replace(default="any, but one only"),
    Option(
        name="json",
        parse=boolean,
        switch=True,
        help="Print JSON, for programs.",
        default="no",
        variable="",
    ),
)
MERGE = (
    Option(
        name="directory",
        short="d",
        parse=text,
        metavar="DIR",
        help="The folder to make; it must be new or empty.",
        variable="",
    ),
)


def build(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie layer build ARGV...`. Raises CommandError and BuildError."""
    reading = read(BUILD, argv, environ, interspersed=True)
    source = one_of(reading.positional, "a folder, or the name of a layer")
    values = reading.values()
    target = required(values, "output", "-o FILE")
    return make(target, lambda progress: layer.build(source, packing(values, environ, progress)))


def packing(values: Mapping[str, Any], environ: Mapping[str, str], progress: Progress) -> Packing:
    """Make what the options say of the archive; -o must be among them."""
    return Packing(
        target=Path(values["output"]),
        architecture=values.get("architecture", "x86_64"),
        exclude=values.get("exclude", ()),
        environ=environ,
        progress=progress,
    )


def inspect(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie layer inspect ARGV...`; 1 if there are errors in it. Raises as build does."""
    reading = read(INSPECT, argv, environ, interspersed=True)
    path = one_of(reading.positional, "an archive")
    values = reading.values()
    with on_terminal() as progress:
        found = layer.inspect(Path(path), values.get("architecture"), progress=progress)
    shape = _as_json if values.get("json") else _as_table
    to_stdout(shape(path, found).encode())
    return 1 if errors_of(found.findings) else 0


def merge(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie layer merge ARGV...`. Raises as build does."""
    reading = read(MERGE, argv, environ, interspersed=True)
    if not reading.positional:
        raise UsageError("name the archives, in the order in which they are laid; see --help")
    target = required(reading.values(), "directory", "-d DIR")
    archives = [Path(each) for each in reading.positional]
    with on_terminal() as progress:
        size = layer.merge(archives, Path(target), progress=progress)
    count = f"{len(archives)} layer{'s' if len(archives) > 1 else ''}"
    to_stdout(f"{shown(target)}: {count}, {size_in_words(size)}\n".encode())
    return 0


def one_of(positional: Sequence[str], what: str) -> str:
    """Return the only word that is no option. Raises UsageError."""
    if not positional:
        raise UsageError(f"name {what}; see --help")
    if len(positional) > 1:
        raise UsageError(f"unexpected {positional[1]!r}; see --help")
    if not positional[0]:
        raise UsageError(f"name {what}, not ''; see --help")
    return positional[0]


def required(values: Mapping[str, object], field: str, flag: str) -> str:
    """Return the value of an option that must be given. Raises UsageError."""
    value = values.get(field)
    if value is None:
        raise UsageError(f"{flag} is missing: say what to write")
    return str(value)


def _as_json(path: str, found: layer.Contents) -> str:
    document = {
        "file": path,
        "zipped": found.zipped,
        "unzipped": found.unzipped,
        "files": found.files,
        "sha256": found.sha256.hex(),
        "code_sha256": found.code_sha256,
        "contains": dict(found.top),
        "extensions": list(found.extensions),
        "architectures": dict(found.machines),
        "findings": [
            {
                "severity": each.severity,
                "path": each.path,
                "what": each.what,
                "remedy": each.remedy,
            }
            for each in found.findings
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def _as_table(path: str, found: layer.Contents) -> str:
    rows = "".join(f"{name:12}  {value}\n" for name, value in _rows(found))
    return f"{shown(path)}\n\n{rows}" + _findings(found)


def _rows(found: layer.Contents) -> Iterator[tuple[str, str]]:
    limit = size_in_words(UNZIPPED)
    yield "zipped", size_in_words(found.zipped)
    yield (
        "unzipped",
        f"{size_in_words(found.unzipped)} of {limit}, in {files_in_words(found.files)}",
    )
    yield "CodeSha256", found.code_sha256
    yield "sha256", found.sha256.hex()
    counted = (
        f"{shown(name)} ({count})" if count > 1 else shown(name)
        for name, count in found.top.items()
    )
    yield "contains", ", ".join(counted) or "nothing"
    if found.extensions:
        yield "extensions", ", ".join(map(shown, found.extensions))
    made = (f"{machine} ({count})" for machine, count in sorted(found.machines.items()))
    yield "made for", ", ".join(made) or "any machine: no programs or libraries in it"


def _findings(found: layer.Contents) -> str:
    return f"\n{lines(found.findings, sys.stdout)}" if found.findings else ""


COMMANDS: dict[str, Command] = {
    "build": Command(
        usage="rie layer build DIR|NAME -o FILE [OPTION]...",
        about=f"""\
Pack a folder into a layer's archive: the same files give the same bytes. NAME
is a layer that comes with rie; write ./NAME for a folder of that name. What
Lambda would refuse, or could not run, is an error; all of it is told at once.
At most {size_in_words(UNZIPPED)} unzipped. SOURCE_DATE_EPOCH is the time of its files, else 1980.
Exit status: 0 written, 2 not.""",
        options=BUILD,
        run=build,
    ),
    "inspect": Command(
        usage="rie layer inspect FILE [OPTION]...",
        about="""\
Show what is in an archive, where runtimes will find it, and what is wrong
with it. Nothing is left unpacked.
Exit status: 0 shown, 1 there are errors in it, 2 it cannot be read.""",
        options=INSPECT,
        run=inspect,
    ),
    "merge": Command(
        usage="rie layer merge FILE... -d DIR",
        about=f"""\
Unpack at most {LAYERS} layers into a new folder, in their order: later ones win.
Exit status: 0 done, 2 not, and then there is no folder.""",
        options=MERGE,
        run=merge,
    ),
}
