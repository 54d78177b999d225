"""`rie doctor`: what of Lambda's execution environment this machine enforces, and by what."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rie.commands.printing import to_stdout
from rie.options import BadValueError, CommandError, Option, UsageError, boolean, read
from rie.sandbox.wanted import FEATURES
from rie.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rie.sandbox.wanted import Fact

USAGE = "rie doctor [OPTION]..."
ABOUT = """\
Show what of an execution environment's bounds this machine enforces, by which
mechanism, and what to install or permit for the rest. Makes an environment
with everything on and ends it again.
Exit status: 0 shown, 1 something that --require names does not hold,
2 bad options, or there can be no environment at all."""

_GREEN, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[0m"
_LEAST_WIDTH = 60


class NotEnforcedError(CommandError):
    """What was required does not hold here."""

    status = 1


def features(value: str) -> tuple[str, ...]:
    """Take names of features, separated by commas."""
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not names:
        raise BadValueError(f"must be some of {','.join(FEATURES)}")
    return names


OPTIONS: tuple[Option, ...] = (
    Option(
        name="json",
        parse=boolean,
        switch=True,
        help="Print JSON, for programs.",
        default="no",
        variable="",
    ),
    Option(
        name="require",
        parse=features,
        metavar="NAME,...",
        help=f"Exit with 1 unless these hold: any of {', '.join(FEATURES)}.",
        variable="",
        repeatable=True,
    ),
)


def doctor(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `rie doctor ARGV...`. Raises CommandError."""
    reading = read(OPTIONS, argv, environ)
    if reading.positional:
        raise UsageError(f"unexpected {reading.positional[0]!r}; see --help")
    values = reading.values()
    from rie.sandbox.examination import examine  # noqa: PLC0415 - after the options are right
    from rie.sandbox.machine import SandboxError  # noqa: PLC0415 - as above

    try:
        found = examine(Path.cwd())
    except (SandboxError, OSError) as error:
        raise UsageError(f"there can be no environment: {error}") from None
    to_stdout((_as_json(found) if values.get("json") else _as_table(found)).encode())
    required = {name for names in values.get("require", ()) for name in names}
    missing = [each.feature for each in found if each.feature in required and not each.enforced]
    if missing:
        raise NotEnforcedError(f"not enforced on this machine: {', '.join(missing)}")
    return 0


def _as_json(found: Iterable[Fact]) -> str:
    bounds = [
        {
            "name": each.feature,
            "promise": FEATURES[each.feature],
            "enforced": each.enforced,
            "mechanism": each.mechanism,
            "remedy": each.remedy,
        }
        for each in found
    ]
    return json.dumps({**_about(), "bounds": bounds}, indent=2) + "\n"


def _about() -> dict[str, object]:
    return {
        "rie": __version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "uid": os.geteuid(),
    }


def _as_table(found: Sequence[Fact]) -> str:
    about = _about()
    heading = f"rie {about['rie']} on {about['system']}, as uid {about['uid']}\n\n"
    return heading + "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Sequence[Fact]) -> Iterator[str]:
    from textwrap import wrap  # noqa: PLC0415 - only for people

    coloured = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = max(_LEAST_WIDTH, shutil.get_terminal_size().columns - 1)
    names = max(len(each.feature) for each in found)
    for each in found:
        mark = "yes" if each.enforced else "no "
        if coloured:
            mark = f"{_GREEN if each.enforced else _YELLOW}{mark}{_PLAIN}"
        yield f"{each.feature:{names}}  {mark}  {FEATURES[each.feature]}"
        indent = " " * (names + 7)
        yield f"{indent}by {each.mechanism}"
        if each.remedy:
            yield from wrap(
                each.remedy,
                width,
                initial_indent=f"{indent}-> ",
                subsequent_indent=f"{indent}   ",
                break_on_hyphens=False,
                break_long_words=False,  # paths, to be copied
            )
