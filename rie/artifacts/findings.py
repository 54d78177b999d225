"""What is wrong, or likely wrong, with a layer or a package: all of it at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rie.artifacts.errors import BuildError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about one file; `path` is within the tree, "" for the whole."""

    severity: Severity
    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        where = f"{shown(self.path)}: " if self.path else ""
        return f"{where}{self.what}; {self.remedy}"


class FindingsError(BuildError):
    """There are errors among the findings, so that nothing was made; str() has the first."""

    def __init__(self, subject: str, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        errors = errors_of(findings)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(f"{subject}: {errors[0]}{more}")


def error(path: str, what: str, remedy: str) -> Finding:
    """Say what makes it unusable."""
    return Finding("error", path, what, remedy)


def warning(path: str, what: str, remedy: str) -> Finding:
    """Say what is legal and probably not meant."""
    return Finding("warning", path, what, remedy)


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return those that are errors."""
    return [each for each in findings if each.severity == "error"]


def refuse_errors(subject: str, findings: Sequence[Finding]) -> None:
    """Raise FindingsError if there are errors among them."""
    if errors_of(findings):
        raise FindingsError(subject, findings)


def shown(name: str) -> str:
    """Return a name as it may be printed: nothing in it moves a terminal's cursor."""
    return name if name.isprintable() else ascii(name)
