"""A folder of files as it is to be packed: what is there, and what is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import shown
from rie.artifacts.placing import explained, is_part_of
from rie.artifacts.zip_directory import Kind


@dataclass(frozen=True, slots=True)
class Node:
    """One file, folder or link; `name` is its path within the tree, with slashes.

    `mode` has the permissions only. `trouble` is why it cannot be read.
    """

    name: str
    kind: Kind
    mode: int
    size: int
    source: Path
    target: str = ""  # of a link
    trouble: str = ""


class Exclusion:
    """Patterns of what is left out; those that have left nothing out stay in `unused`.

    One without a slash is compared with each name, one with a slash with the whole path from
    the top; `*` stands for any text, slashes too. What is in a folder that is left out is left
    out with it. `usual` are patterns, and `apart` a rule, that nobody asked for.
    """

    def __init__(
        self,
        patterns: Sequence[str],
        *,
        usual: Sequence[str] = (),
        apart: Callable[[Path], bool] | None = None,
    ) -> None:
        self._patterns = patterns
        self._usual = usual
        self._apart = apart
        self.unused = set(patterns)

    def covers(self, name: str, path: Path) -> bool:
        """Whether this file or folder is left out; `path` is where it is."""
        asked = {pattern for pattern in self._patterns if _matches(pattern, name)}
        self.unused -= asked
        return (
            bool(asked)
            or any(_matches(pattern, name) for pattern in self._usual)
            or (self._apart is not None and self._apart(path))
        )


NOTHING = Exclusion(())


def scan(folder: Path, exclusion: Exclusion = NOTHING, *, output: Path | None = None) -> list[Node]:
    """List all that is in the folder, by name; `output`, an archive that is being made, is not.

    Raises BuildError when it is no folder.
    """
    with explained(folder):
        if not folder.is_dir():
            what = "is not a folder" if os.path.lexists(folder) else "is not there"
            raise BuildError(f"{shown(str(folder))} {what}: name the folder to pack")
    left_out = None if output is None else _identity(output)
    found: list[Node] = []
    ahead = [(folder, "")]
    while ahead:
        for node in _children(*ahead.pop()):
            if node.kind == "file" and left_out and _identity(node.source) == left_out:
                continue
            if output is not None and is_part_of(node.source, output):
                continue
            if exclusion.covers(node.name, node.source):
                continue
            found.append(node)
            if node.kind == "folder" and not node.trouble:
                ahead.append((node.source, f"{node.name}/"))
    return sorted(found, key=lambda each: each.name)


def unzipped(nodes: Sequence[Node]) -> int:
    """Return how many bytes the files hold."""
    return sum(node.size for node in nodes if node.kind == "file")


def layered(lower: Sequence[Node], upper: Sequence[Node]) -> list[Node]:
    """Return one tree of two; what is in both is as in `upper`, a folder in both has both."""
    found = {node.name: node for node in lower}
    for node in upper:
        below = found.get(node.name)
        if below is not None and not below.kind == node.kind == "folder":
            for name in [each for each in found if each.startswith(f"{node.name}/")]:
                del found[name]
        found[node.name] = node
    return sorted(found.values(), key=lambda each: each.name)


def _matches(pattern: str, name: str) -> bool:
    from_the_top = "/" in pattern.rstrip("/")
    return fnmatchcase(name if from_the_top else name.rpartition("/")[2], pattern.strip("/"))


def _children(folder: Path, prefix: str) -> Iterator[Node]:
    with explained(folder), os.scandir(folder) as entries:
        for entry in entries:
            yield _node(Path(entry.path), f"{prefix}{entry.name}")


def _node(path: Path, name: str) -> Node:
    status = path.lstat()
    mode = status.st_mode & 0o777
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return Node(name, "file", mode, status.st_size, path, trouble=_trouble(path, os.R_OK))
        case stat.S_IFDIR:
            closed = _trouble(path, os.R_OK | os.X_OK)
            return Node(name, "folder", mode, 0, path, trouble=closed)
        case stat.S_IFLNK:
            target = os.readlink(path)  # noqa: PTH115 - as it is written, not as Path writes it
            return Node(name, "link", 0o777, 0, path, target=target)
        case _:
            return Node(name, "special", mode, 0, path)


def _trouble(path: Path, wanted: int) -> str:
    allowed = os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids)
    return "" if allowed else "cannot be read"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
