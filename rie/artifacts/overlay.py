"""Several folders laid one over the other into a new one, as the kernel's overlay shows them.

Later ones win: a file replaces what is below, a folder too unless that is a folder, and then
has what is in both.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from rie.artifacts import limits
from rie.artifacts.errors import BuildError
from rie.artifacts.findings import FindingsError, shown
from rie.artifacts.limits import require_size
from rie.artifacts.links import Links, outward_link
from rie.artifacts.placing import explained
from rie.artifacts.tree import Node, layered, scan, unzipped

Place = Callable[[str, str], object]


def laid_over(folders: Sequence[Path]) -> list[Node]:
    """Return the one tree of these folders. Raises BuildError, also for more than Lambda takes."""
    if len(folders) > limits.LAYERS:
        raise BuildError(
            f"{len(folders)} layers are more than the {limits.LAYERS} that Lambda takes: "
            "merge some into one"
        )
    nodes: list[Node] = []
    for folder in folders:
        nodes = layered(nodes, scan(folder))
    require_size(unzipped(nodes), "the layers together")
    _require_inside(nodes)
    return nodes


def fill(folder: Path, nodes: Sequence[Node], place: Place) -> None:
    """Make what the nodes say in an empty folder; `place` puts a file there from its source."""
    with explained(folder):
        for node in nodes:
            target = folder / node.name
            match node.kind:
                case "folder":
                    target.mkdir()
                case "link":
                    target.symlink_to(node.target)
                case "file":
                    place(str(node.source), str(target))
                case "special":
                    raise BuildError(
                        f"{shown(str(node.source))} is a device, a pipe or a socket: leave it out"
                    )
        for node in reversed(nodes):  # what is in it first: it may become closed
            if node.kind == "folder":
                shutil.copystat(node.source, folder / node.name)


def linked_or_copied(source: str, target: str) -> None:
    """Put a file there that is the same one, or its copy where the file system cannot do that."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def copied(source: str, target: str) -> None:
    """Put a copy there."""
    shutil.copy2(source, target, follow_symlinks=False)


def _require_inside(nodes: Sequence[Node]) -> None:
    """Look at links anew: those of one layer may lead through those of another."""
    links = {node.name: node.target for node in nodes if node.kind == "link"}
    ways = Links(links)
    out = [name for name in links if ways.destination(name) is None]
    if out:
        raise FindingsError("layers", [outward_link(name, links[name]) for name in out])
