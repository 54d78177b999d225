"""What of a folder is packed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.tree import Exclusion, Node, layered, scan, unzipped
from tests.artifacts.trees import make


def found(folder: Path, exclusion: Exclusion | None = None, **options: Path) -> list[str]:
    return [node.name for node in scan(folder, exclusion or Exclusion(()), **options)]


def test_everything_is_listed_in_the_order_of_names(tmp_path: Path) -> None:
    folder = make(tmp_path, {"b/c": "", "a": "", "b.txt": "", ".hidden/x": ""})

    assert found(folder) == [".hidden", ".hidden/x", "a", "b", "b.txt", "b/c"]


def test_links_are_listed_and_not_followed(tmp_path: Path) -> None:
    folder = make(tmp_path, {"a/b": "", "l@": "a", "away@": "/etc", "odd@": "./a//b"})

    kinds = {node.name: (node.kind, node.target) for node in scan(folder)}

    assert kinds["l"] == ("link", "a")
    assert kinds["away"] == ("link", "/etc")
    assert kinds["odd"] == ("link", "./a//b")
    assert "l/b" not in kinds


def test_the_archive_that_is_made_is_not_packed_into_itself(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"app.py": "", "out/function.zip": "from before"})
    (tmp_path / "again").symlink_to(tmp_path / "a")

    assert found(folder, output=tmp_path / "again/out/function.zip") == ["app.py", "out"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.txt", ["a", "a/b", "a/b/c.py", "b"]),
        ("b", ["a", "a/d.txt", "e.txt"]),
        ("a/b", ["a", "a/d.txt", "b", "e.txt"]),
        ("/b", ["a", "a/b", "a/b/c.py", "a/d.txt", "e.txt"]),
        ("a/", ["b", "e.txt"]),
        ("a/*.py", ["a", "a/b", "a/d.txt", "b", "e.txt"]),
        ("B", ["a", "a/b", "a/b/c.py", "a/d.txt", "b", "e.txt"]),
    ],
)
def test_a_pattern_leaves_out(tmp_path: Path, pattern: str, left: list[str]) -> None:
    folder = make(tmp_path, {"a/b/c.py": "", "a/d.txt": "", "b": "", "e.txt": ""})

    assert found(folder, Exclusion([pattern])) == left


def test_an_archive_in_the_making_is_left_out_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path / "a", {"app.py": "", ".x.zip.ab.part": "", ".y.zip.ab.part": "",
                          "b/.x.zip.ab.part": ""})  # fmt: skip

    names = found(tmp_path / "a", output=tmp_path / "a/x.zip")

    assert names == [".y.zip.ab.part", "app.py", "b", "b/.x.zip.ab.part"]


def test_patterns_that_leave_nothing_out_are_known(tmp_path: Path) -> None:
    exclusion = Exclusion(["*.txt", "a.*", "*.md"], usual=["*.pyc"])

    found(make(tmp_path, {"a.txt": ""}), exclusion)

    assert exclusion.unused == {"*.md"}


@pytest.mark.parametrize(("name", "what"), [("no", "is not there"), ("file", "is not a folder")])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str, what: str) -> None:
    make(tmp_path, {"file": ""})

    with pytest.raises(BuildError, match=f"{name} {what}: name the folder to pack"):
        scan(tmp_path / name)


def test_sizes_are_those_of_files(tmp_path: Path) -> None:
    assert unzipped(scan(make(tmp_path, {"a": "123", "b/c": "45", "l@": "a"}))) == 5


def test_special_files_and_modes_are_seen(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "run").touch()
    (tmp_path / "run").chmod(0o4751)

    nodes = {node.name: node for node in scan(tmp_path)}

    assert nodes["pipe"].kind == "special"
    assert nodes["run"].mode == 0o751


def tree(*names: str) -> list[Node]:
    """Make nodes: `a` is a file, `a/` a folder."""
    return [
        Node(
            name.rstrip("/"), "folder" if name.endswith("/") else "file", 0o755, 1, Path("/", name)
        )
        for name in names
    ]


@pytest.mark.parametrize(
    ("lower", "upper", "together"),
    [
        (["a", "b"], ["b", "c"], ["a", "b", "c"]),
        (["d/", "d/a"], ["d/", "d/b"], ["d", "d/a", "d/b"]),
        (["d/", "d/a", "d/e/", "d/e/f"], ["d"], ["d"]),
        (["d"], ["d/", "d/a"], ["d", "d/a"]),
        (["d/", "d/a", "dd"], ["d"], ["d", "dd"]),
    ],
)
def test_of_two_trees_the_upper_one_wins(
    lower: list[str], upper: list[str], together: list[str]
) -> None:
    assert [node.name for node in layered(tree(*lower), tree(*upper))] == together
    winners = {node.name: node.source for node in layered(tree(*lower), tree(*upper))}
    assert all(winners[node.name] == node.source for node in tree(*upper))
