"""A function's deployment package, made of a folder and what its requirements file names."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rie.artifacts.findings import Finding, warning
from rie.artifacts.packing import Packed, Packing, pack, require_other_place, unused_patterns
from rie.artifacts.requirements import install
from rie.artifacts.tree import Exclusion, Node, layered, scan

DEFAULT_PYTHON = "3.11"

# Of no use to a function that runs, and different on each machine.
LEFT_OUT = (
    ".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules/.cache",
    "*/node_modules/.cache", ".mypy_cache",
    ".pytest_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".idea", ".vscode", ".DS_Store",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """A requirements file, and the version of Python that it is for: 3.11."""

    path: Path
    python: str = DEFAULT_PYTHON


def package(folder: Path, packing: Packing, requirements: Requirements | None = None) -> Packed:
    """Make the archive. Raises BuildError."""
    require_other_place(folder, packing.target)
    exclusion = Exclusion(packing.exclude, usual=LEFT_OUT, apart=_is_virtual_environment)
    own = scan(folder, exclusion, output=packing.target)
    with tempfile.TemporaryDirectory(prefix="rie-package-") as place:
        installed: list[Node] = []
        if requirements is not None:
            packing.progress.say(f"installing {requirements.path.name}")
            _install(requirements, Path(place), packing)
            installed = scan(Path(place), exclusion)
        noted = [*unused_patterns(exclusion), *_hidden(installed, own)]
        return pack(layered(installed, own), packing, "package", subject=folder, noted=noted)


def _install(requirements: Requirements, target: Path, packing: Packing) -> None:
    install(
        requirements.path,
        target,
        python=requirements.python,
        architecture=packing.architecture,
        environ=packing.environ,
    )


def _is_virtual_environment(path: Path) -> bool:
    return (path / "pyvenv.cfg").is_file()


def _hidden(installed: Sequence[Node], own: Sequence[Node]) -> list[Finding]:
    """Say which installed files are not in the package, because the folder has others there."""
    names = {node.name for node in installed if node.kind == "file"}
    both = [node.name for node in own if node.name in names]
    if not both:
        return []
    more = f" (and {len(both) - 1} more)" if len(both) > 1 else ""
    return [
        warning(
            both[0], f"is in the folder and in the requirements too{more}", "the folder's is in"
        )
    ]
