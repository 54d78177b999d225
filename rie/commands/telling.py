"""What is told of an archive that was made or looked into, or why there is none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, FindingsError, errors_of, shown
from rie.artifacts.limits import size_in_words
from rie.artifacts.packing import Packed
from rie.artifacts.progress import Progress, on_terminal
from rie.commands.printing import to_stderr, to_stdout
from rie.options import CommandError

_COLOURS = {"error": "\x1b[31m", "warning": "\x1b[33m"}
_PLAIN = "\x1b[0m"


def make(target: str, call: Callable[[Progress], Packed]) -> int:
    """Make an archive and tell of it: itself to stdout, findings to stderr.

    Raises CommandError, and BuildError.
    """
    try:
        with on_terminal() as progress:
            packed = call(progress)
    except FindingsError as refused:
        raise _told(target, refused) from None
    to_stderr(lines(packed.findings, sys.stderr).encode())
    to_stdout(_line(packed).encode())
    return 0


def lines(findings: Sequence[Finding], stream: TextIO | None) -> str:
    """Return a line for each, coloured if the stream is a terminal."""
    return "".join(f"{_severity(each, stream)}: {each}\n" for each in findings)


def files_in_words(count: int) -> str:
    """Return a number of files as it is said."""
    return f"{count} file{'' if count == 1 else 's'}"


def _severity(finding: Finding, stream: TextIO | None) -> str:
    if stream is None or not stream.isatty() or os.environ.get("NO_COLOR"):
        return finding.severity
    return f"{_COLOURS[finding.severity]}{finding.severity}{_PLAIN}"


def _told(target: str, refused: FindingsError) -> CommandError | BuildError:
    """Have all of it printed; one error alone is in the last line itself."""
    errors = errors_of(refused.findings)
    if len(errors) == 1:
        rest = [each for each in refused.findings if each not in errors]
        to_stderr(lines(rest, sys.stderr).encode())
        return refused
    to_stderr(lines(refused.findings, sys.stderr).encode())
    return CommandError(f"{len(errors)} errors, {shown(target)} is not written")


def _line(packed: Packed) -> str:
    return (
        f"{shown(str(packed.path))}: {files_in_words(packed.files)}, "
        f"{size_in_words(packed.unzipped)} unzipped, "
        f"{size_in_words(packed.zipped)} zipped, CodeSha256 {packed.code_sha256}\n"
    )
