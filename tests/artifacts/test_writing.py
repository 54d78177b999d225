"""Archives that we write: the same tree gives the same bytes, and comes back as it was."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.artifacts.archive import unpack
from rie.artifacts.errors import BuildError, NoSpaceError
from rie.artifacts.placing import scratch
from rie.artifacts.tree import scan
from rie.artifacts.writing import write
from tests.artifacts.trees import contents, files_of_at_most, make, names
from tests.artifacts.zips import MB
from tests.real.runtimes import require

FILES: dict[str, str | bytes] = {
    "bootstrap*": "#!/bin/sh\n",
    "lib/data": bytes(5000),
    "lib/é": "é",
    "bin/run@": "../bootstrap",
}


def test_the_same_files_give_the_same_bytes_wherever_and_whenever_they_were_made(
    tmp_path: Path,
) -> None:
    one = make(tmp_path / "one", FILES)
    other = make(tmp_path / "other", dict(reversed(FILES.items())))
    for path in other.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)

    write(scan(one), tmp_path / "one.zip")
    write(list(reversed(scan(other))), tmp_path / "other.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_the_bytes_are_those_that_they_have_always_been(tmp_path: Path) -> None:
    write(scan(make(tmp_path / "a", {"a*": "", "b/c@": "../a"})), tmp_path / "a.zip")

    assert (tmp_path / "a.zip").read_bytes().hex() == GOLDEN


def test_entries_are_in_the_order_of_their_names_with_unix_modes(tmp_path: Path) -> None:
    write(scan(make(tmp_path / "a", FILES)), tmp_path / "a.zip")

    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        found = [(each.filename, each.external_attr >> 16) for each in archive.infolist()]
        assert {each.create_system for each in archive.infolist()} == {3}
        assert {each.date_time for each in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert found == [
        ("bin/", stat.S_IFDIR | 0o755),
        ("bin/run", stat.S_IFLNK | 0o777),
        ("bootstrap", stat.S_IFREG | 0o755),
        ("lib/", stat.S_IFDIR | 0o755),
        ("lib/data", stat.S_IFREG | 0o644),
        ("lib/é", stat.S_IFREG | 0o644),
    ]


def test_other_programs_unpack_what_is_written(tmp_path: Path) -> None:
    require("unzip")
    folder = make(tmp_path / "a", FILES)
    write(scan(folder), tmp_path / "a.zip")

    subprocess.run(["unzip", "-q", tmp_path / "a.zip", "-d", tmp_path / "b"], check=True)

    assert contents(tmp_path / "b") == contents(folder)


@pytest.mark.parametrize(
    ("told", "when"),
    [
        ("1614834369", (2021, 3, 4, 5, 6, 8)),  # zip's seconds are even
        ("0", (1980, 1, 1, 0, 0, 0)),
        ("99999999999", (2107, 12, 31, 23, 59, 58)),
        pytest.param("9" * 5000, (2107, 12, 31, 23, 59, 58), id="5000 digits"),
        ("", (1980, 1, 1, 0, 0, 0)),
    ],
)
def test_a_time_of_its_own_can_be_given(
    tmp_path: Path, told: str, when: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")  # has no say
    environ = {"SOURCE_DATE_EPOCH": told}

    write(scan(make(tmp_path / "a", FILES)), tmp_path / "a.zip", environ=environ)

    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert {each.date_time for each in archive.infolist()} == {when}


@pytest.mark.parametrize("told", ["yesterday", "-1", "1.5", "٣"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, told: str) -> None:
    folder = make(tmp_path / "a", FILES)

    with pytest.raises(BuildError, match="must be a number of seconds since 1970"):
        write(scan(folder), tmp_path / "a.zip", environ={"SOURCE_DATE_EPOCH": told})

    assert not (tmp_path / "a.zip").exists()


def test_a_file_that_is_gone_leaves_the_archive_that_was_there(tmp_path: Path) -> None:
    nodes = scan(make(tmp_path / "a", FILES))
    (tmp_path / "a.zip").write_bytes(b"before")
    (tmp_path / "a/lib/data").unlink()

    with pytest.raises(BuildError, match=r"lib/data: No such file or directory"):
        write(nodes, tmp_path / "a.zip")

    assert (tmp_path / "a.zip").read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "a.zip"}


def test_what_has_no_room_is_the_archive_and_not_a_file_that_goes_into_it(tmp_path: Path) -> None:
    nodes = scan(make(tmp_path / "a", {"noise": os.urandom(2 * MB)}))

    with files_of_at_most(MB), pytest.raises(NoSpaceError) as refused:
        write(nodes, tmp_path / "a.zip")

    assert str(refused.value) == (
        f"{tmp_path}/a.zip: File too large; make room there, or write elsewhere"
    )
    assert names(tmp_path) == ["a", "a/noise"]


@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
def test_what_is_no_file_is_not_put_an_end_to(tmp_path: Path, kind: str) -> None:
    nodes = scan(make(tmp_path / "a", FILES))
    target = tmp_path / "there"
    if kind == "pipe":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/null")
    before = target.lstat()

    with pytest.raises(BuildError, match="there is a device, a pipe or a socket: name a file"):
        write(nodes, target)

    assert target.lstat() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a", "there"}


def test_where_nothing_can_be_made_the_archive_and_its_folder_are_named(tmp_path: Path) -> None:
    nodes = scan(make(tmp_path / "a", FILES))

    with pytest.raises(BuildError) as refused:
        write(nodes, Path("/proc/a.zip"))  # where root cannot make anything either

    assert str(refused.value) == ("/proc/a.zip cannot be written: /proc: No such file or directory")


def test_who_is_told_to_end_while_it_clears_up_still_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmtree = shutil.rmtree
    tries = iter([KeyboardInterrupt])

    def interrupted(folder: Path, *, ignore_errors: bool) -> None:
        for signalled in tries:
            raise signalled
        rmtree(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path / "x") as place:
        make(place, {"a/b": "1"})

    assert names(tmp_path) == []


def test_a_name_of_any_length_that_a_file_may_have_is_taken(tmp_path: Path) -> None:
    target = tmp_path / ("ž" * 125 + ".zip")

    write(scan(make(tmp_path / "a", FILES)), target)

    assert target.is_file()


@pytest.mark.parametrize("target", ["missing/a.zip", "a"])
def test_where_nothing_can_be_written_is_told(tmp_path: Path, target: str) -> None:
    nodes = scan(make(tmp_path / "a", FILES))

    with pytest.raises(BuildError, match=r"there is no folder|is a folder: name a file"):
        write(nodes, tmp_path / target)

    assert {path.name for path in tmp_path.iterdir()} == {"a"}


def test_the_archive_has_the_modes_that_new_files_have(tmp_path: Path) -> None:
    nodes = scan(make(tmp_path / "a", FILES))
    before = os.umask(0o027)
    try:
        write(nodes, tmp_path / "a.zip")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a.zip").stat().st_mode) == 0o640


PARTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0"),
    min_size=1,
    max_size=20,
).filter(lambda part: part not in {".", ".."} and len(part.encode()) <= 255)
NAMES = st.lists(PARTS, min_size=1, max_size=3)
CONTENTS = st.binary(max_size=200) | st.integers(1, 600_000).map(bytes)
MODES = st.integers(0, 0o777).map(lambda mode: mode | 0o400)
Tree = list[tuple[list[str], bytes | None, int]]
TREES: st.SearchStrategy[Tree] = st.lists(
    st.tuples(NAMES, st.none() | CONTENTS, MODES), min_size=1, max_size=8
)


def grow(folder: Path, tree: Tree) -> None:
    """Make a tree; what is in the way of another is left out."""
    folder.mkdir()
    for parts, content, mode in tree:
        path = folder.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                continue
            if content is None:
                path.mkdir()
                path.chmod(mode | 0o700)
            else:
                path.write_bytes(content)
                path.chmod(mode)
        except (FileExistsError, NotADirectoryError):
            continue


@given(TREES)
@settings(max_examples=60, deadline=None)
def test_what_is_written_comes_back_as_it_was_and_twice_the_same(tree: Tree) -> None:
    place = Path(tempfile.mkdtemp(prefix="test-of-rie-"))
    try:
        grow(place / "a", tree)
        write(scan(place / "a"), place / "a.zip")
        unpack(place / "a.zip", place / "b")
        write(scan(place / "b"), place / "b.zip")

        assert contents(place / "b") == contents(place / "a")
        assert (place / "b.zip").read_bytes() == (place / "a.zip").read_bytes()
        assert names(place / "b") == names(place / "a")
    finally:
        shutil.rmtree(place)


GOLDEN = (
    "504b03041400000008000000210000000000020000000000000001000000610300504b030414000000000000"
    "00210000000000000000000000000002000000622f504b0304140000000000000021005805d37b0400000004"
    "00000003000000622f632e2e2f61504b01021403140000000800000021000000000002000000000000000100"
    "00000000000000000000ed810000000061504b01021403140000000000000021000000000000000000000000"
    "00020000000000000000001000ed4121000000622f504b01021403140000000000000021005805d37b040000"
    "0004000000030000000000000000000000ffa141000000622f63504b05060000000003000300900000006600"
    "00000000"
)
