"""Layers: made of a folder or of a recipe that comes with rie, looked into, and merged.

Source: Lambda developer guide, "Managing Lambda dependencies with layers".
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rie.artifacts import archive, limits
from rie.artifacts.archive_file import digest
from rie.artifacts.checks import BOOTSTRAP, LAYER_FOLDERS, Wanted, architectures, check
from rie.artifacts.errors import BuildError, NoSpaceError
from rie.artifacts.findings import Finding, error, shown
from rie.artifacts.overlay import fill, laid_over, linked_or_copied
from rie.artifacts.packing import (
    Packed,
    Packing,
    pack,
    require_other_place,
    too_large_to_upload,
    unused_patterns,
)
from rie.artifacts.placing import explained, new_folder, scratch
from rie.artifacts.programs import Architecture
from rie.artifacts.progress import SILENT, Progress
from rie.artifacts.shipped import shipped
from rie.artifacts.tree import Exclusion, Node, scan, unzipped
from rie.artifacts.zip_directory import Entry

_LAST_LINES = 5  # of a recipe's output, where it failed


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a layer's archive; sizes in bytes.

    `top` has how many files there are in each folder that runtimes know, and in what else is
    at the top; `machines` how many are made for each.
    """

    zipped: int
    unzipped: int
    files: int
    sha256: bytes
    top: Mapping[str, int]
    extensions: tuple[str, ...]
    machines: Mapping[str, int]
    findings: tuple[Finding, ...]

    @property
    def code_sha256(self) -> str:
        """The digest as Lambda's CodeSha256 has it."""
        return b64encode(self.sha256).decode()


def build(source: str, packing: Packing) -> Packed:
    """Make an archive of a folder, or of a layer that comes with rie, by its name.

    A name has no slash in it, and goes before a folder of that name. Raises BuildError.
    """
    recipe = _recipe(source)
    if recipe is None:
        return _pack(Path(source), packing)
    with tempfile.TemporaryDirectory(prefix="rie-layer-") as place:
        packing.progress.say(f"building {source}")
        made = Path(place, "layer")
        _run(recipe, made, packing, temporary=Path(place, "tmp"))
        return _pack(made, packing)


def names() -> tuple[str, ...]:
    """Return the names of the layers that come with rie. Raises BuildError."""
    return tuple(sorted(each.parent.name for each in shipped("layers").glob("*/build")))


def inspect(
    path: Path, architecture: Architecture | None = None, *, progress: Progress = SILENT
) -> Contents:
    """Look into an archive: what is where, and what is wrong with it.

    Raises BuildError when it is no archive that can be read.
    """
    with archive.opened(path) as opened, tempfile.TemporaryDirectory(prefix="rie-layer-") as place:
        with archive.reading(path):
            sha256 = digest(opened.stream)
        size = os.fstat(opened.stream.fileno()).st_size
        nodes, findings = _content(opened, Path(place, "content"), architecture, progress)
        return Contents(
            zipped=size,
            unzipped=unzipped(nodes) if nodes else opened.unzipped,
            files=sum(entry.kind != "folder" for entry in opened.entries.values()),
            sha256=sha256,
            top=_top(opened.entries),
            extensions=_extensions(opened.entries),
            machines=architectures(nodes),
            findings=(*findings, *too_large_to_upload(size)),
        )


def merge(archives: Sequence[Path], target: Path, *, progress: Progress = SILENT) -> int:
    """Lay layers over each other, later ones win, into a new folder; return its size in bytes.

    Raises BuildError, and makes nothing then.
    """
    if len(archives) > limits.LAYERS:
        raise BuildError(
            f"{len(archives)} layers are more than the {limits.LAYERS} that Lambda takes: "
            "merge some into one"
        )
    with new_folder(target) as folder, scratch(target) as place:
        unpacked = [place / str(number) for number in range(len(archives))]
        for path, below in zip(archives, unpacked, strict=True):
            archive.unpack(path, below, progress=progress)
        nodes = laid_over(unpacked)
        fill(folder, nodes, linked_or_copied)
    return unzipped(nodes)


def _pack(folder: Path, packing: Packing) -> Packed:
    require_other_place(folder, packing.target)
    exclusion = Exclusion(packing.exclude)
    nodes = scan(folder, exclusion, output=packing.target)
    return pack(nodes, packing, "layer", subject=folder, noted=unused_patterns(exclusion))


def _recipe(source: str) -> Path | None:
    """Return the program that makes a layer which comes with rie; None for a folder's name."""
    if "/" in source or source in {".", ".."}:
        return None
    is_there = os.path.exists(source)  # noqa: PTH110 - Path.exists() fails where a name is too long
    try:
        known = names()
    except BuildError:  # some installations have none: that is no reason to pack no folder
        if is_there:
            return None
        raise
    if source in known:
        return shipped("layers") / source / "build"
    if not is_there:
        raise BuildError(
            f"{shown(source)} is neither a folder nor a layer of rie's: "
            f"those are {', '.join(known)}"
        )
    return None


def _run(recipe: Path, target: Path, packing: Packing, *, temporary: Path) -> None:
    """Have a recipe fill the folder `target`; what it leaves in `temporary` is ours to remove."""
    name = recipe.parent.name
    with explained(recipe):
        for folder in (target, temporary):
            folder.mkdir()
        process = subprocess.Popen(  # noqa: S603 - a program of our own
            [recipe, target, packing.architecture],
            cwd=recipe.parent,
            env={**packing.environ, "TMPDIR": str(temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=0o022,  # modes are in the archive
            process_group=0,
        )
    output = _output(process)
    if process.returncode:
        lines = output.decode("utf-8", "replace").split("\n")
        last = [shown(line.strip()) for line in lines if line.strip()][-_LAST_LINES:]
        raise BuildError(
            f"the layer {name} could not be built: {' | '.join(last) or 'no reason given'} "
            f"(see {recipe.parent / 'README.md'} for what it needs)"
        )


def _output(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the end of a process that leads a group, and end all of that if we are ended."""
    with process:
        try:
            return process.communicate()[0]
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def _content(
    opened: archive.Archive,
    place: Path,
    architecture: Architecture | None,
    progress: Progress,
) -> tuple[list[Node], list[Finding]]:
    if opened.findings:
        return [], list(opened.findings)
    place.mkdir()
    try:
        archive.unpack_into(opened, place, progress=progress)
    except NoSpaceError:  # that says nothing of the archive
        raise
    except BuildError as wrong:
        return [], [error("", str(wrong), "nothing of it was looked at")]
    nodes = scan(place)
    return nodes, check(nodes, Wanted("layer", architecture))


def _top(entries: Mapping[str, Entry]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, entry in entries.items():
        first = name.partition("/")[0]
        found[first] = found.get(first, 0) + (entry.kind != "folder")
    known = [name for name in (*LAYER_FOLDERS, BOOTSTRAP) if name in found]
    return {name: found[name] for name in (*known, *sorted(found.keys() - known))}


def _extensions(entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Name what Lambda starts: the files right in the folder of extensions."""
    files = sorted(name for name, entry in entries.items() if entry.kind != "folder")
    return tuple(
        inside
        for folder, _, inside in (name.rpartition("/") for name in files)
        if folder == "extensions"
    )
