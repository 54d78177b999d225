"""From a checked tree to an archive, and what is to be told about it."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rie.artifacts.archive_file import digest
from rie.artifacts.checks import Wanted, What, check
from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, refuse_errors, shown, warning
from rie.artifacts.limits import ZIPPED, size_in_words
from rie.artifacts.placing import explained
from rie.artifacts.programs import Architecture
from rie.artifacts.progress import SILENT, Progress
from rie.artifacts.tree import Exclusion, Node, unzipped
from rie.artifacts.writing import write


@dataclass(frozen=True, slots=True)
class Packed:
    """An archive that was made; sizes in bytes."""

    path: Path
    zipped: int
    unzipped: int
    files: int
    sha256: bytes
    findings: tuple[Finding, ...]

    @property
    def code_sha256(self) -> str:
        """The digest as Lambda's CodeSha256 has it."""
        return b64encode(self.sha256).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """What archive is wanted: where, for which machines, without what."""

    target: Path
    architecture: Architecture = "x86_64"
    exclude: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = SILENT


def pack(
    nodes: Sequence[Node],
    packing: Packing,
    what: What,
    *,
    subject: Path,
    noted: Sequence[Finding] = (),
) -> Packed:
    """Check the tree and write it. Raises FindingsError, with those `noted` before; BuildError."""
    findings = [*noted, *check(nodes, Wanted(what, packing.architecture))]
    refuse_errors(shown(str(subject)), findings)
    target = packing.target
    write(nodes, target, environ=packing.environ, progress=packing.progress)
    with explained(target), target.open("rb") as stream:
        sha256 = digest(stream)
        size = os.fstat(stream.fileno()).st_size
    return Packed(
        path=target,
        zipped=size,
        unzipped=unzipped(nodes),
        files=sum(node.kind != "folder" for node in nodes),
        sha256=sha256,
        findings=(*findings, *too_large_to_upload(size)),
    )


def unused_patterns(exclusion: Exclusion) -> list[Finding]:
    """Say which patterns have left nothing out."""
    return [
        warning("", f"--exclude {pattern!r} matches nothing", "see how patterns are written")
        for pattern in sorted(exclusion.unused)
    ]


def too_large_to_upload(size: int) -> list[Finding]:
    """Say that an archive can go to Lambda by one way only."""
    if size <= ZIPPED:
        return []
    what = f"is {size_in_words(size)} zipped, more than the {size_in_words(ZIPPED)} of an upload"
    return [warning("", what, "give it to Lambda by way of S3")]


def require_other_place(folder: Path, target: Path) -> None:
    """Raise BuildError where the archive would take the place of what is to be packed."""
    # os.path: Path.resolve() fails with a link that leads to itself, which is refused later.
    if os.path.realpath(target) == os.path.realpath(folder):
        raise BuildError(
            f"{shown(str(target))} is the folder to pack: name a file to write, with -o"
        )
