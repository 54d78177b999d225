"""A folder in place of a disk, and those that the killed left."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from rie.sandbox import folder as folders
from rie.sandbox import ownership, temporary_files
from rie.sandbox.folder import Folder, make_folder, remove_stale_folders
from tests.support.disks import needs_disk
from tests.support.ordinary_user import NOBODY, as_nobody
from tests.support.raw_http import LIMIT

MIB = 1024 * 1024
TEMPORARY = ("/var/tmp", "/tmp")
IN_MEMORY = "/dev/shm"


def namespace() -> str:
    """Name our PID namespace, as a folder's name does."""
    return ownership.prefix().split("-")[3]


def gone_process() -> str:
    """Name a process that has ended, as a folder's name does."""
    with subprocess.Popen("true") as process:
        return f"{process.pid}-1-{namespace()}"


def make_tree(folder: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_bytes(b"x" * 10_000)
    (folder / "file").write_bytes(b"x" * 5_000)


def dig(folder: Path, depth: int) -> None:
    """Make a folder in a folder in a folder."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=here)
        below = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_a_folder_is_its_makers_alone(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)

    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert folder.path.parent == tmp_path
    assert re.fullmatch(rf"rie-{os.getpid()}-\d+-\d+-[0-9a-f]{{8}}", folder.path.name)


def test_two_folders_are_not_the_same(tmp_path: Path) -> None:
    assert make_folder(tmp_path) != make_folder(tmp_path)


def test_a_folder_is_made_where_temporary_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with closing(make_folder()) as folder:
        assert folder.path.parent == tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="tmpfs: is Linux's")
def test_a_folder_on_a_disk_is_preferred_to_one_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", IN_MEMORY)
    if all(map(temporary_files._is_in_memory, TEMPORARY)):
        pytest.skip("tmpfs: this machine has no other folder for temporary files")

    assert temporary_files.best_folder() in TEMPORARY


def test_the_size_is_of_all_files_below(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.size() == 0
    make_tree(tmp_path)

    assert 15_000 <= folder.size() <= 15_000 + 64 * 1024


def test_a_hole_and_a_second_name_take_no_space(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * MIB)
    os.truncate(file, 100 * MIB)
    (tmp_path / "again").hardlink_to(file)

    assert MIB <= Folder(tmp_path).size() < 2 * MIB


def test_what_a_link_points_to_does_not_count(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"x" * MIB)
    with closing(make_folder(tmp_path)) as folder:
        (folder.path / "folder").symlink_to(outside)
        (folder.path / "file").symlink_to(outside / "file")

        assert folder.size() < MIB


def test_a_closed_folder_is_gone_and_has_no_size(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    make_tree(folder.path)
    folder.close()
    folder.close()

    assert list(tmp_path.iterdir()) == []
    assert folder.size() == 0


def test_what_a_link_points_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    with closing(make_folder(tmp_path)) as folder:
        make_tree(folder.path)
        (folder.path / "link").symlink_to(outside)
        (folder.path / "deep" / "link").symlink_to(outside)

    assert list(tmp_path.iterdir()) == [outside]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    outside = tmp_path / "outside"
    make_tree(outside)
    folder.path.rmdir()
    folder.path.symlink_to(outside)
    folder.close()

    assert (outside / "deep" / "er" / "file").exists()


def test_a_folder_deeper_than_a_path_can_tell_is_removed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    dig(folder.path, 3000)
    folder.close()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="seteuid: needs root")
def test_folders_that_may_not_be_read_or_written_are_removed() -> None:
    base = make_folder(Path(TEMPORARY[0]))  # pytest's own folders are closed to others
    base.path.chmod(0o777)
    with closing(base), as_nobody():
        folder = make_folder(base.path)
        make_tree(folder.path)
        for closed in ("deep/er", "deep", "."):
            (folder.path / closed).chmod(0)
        folder.close()

        assert list(base.path.iterdir()) == []


@needs_disk
def test_a_folder_that_cannot_be_removed_raises_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    make_tree(folder.path)
    subprocess.run(("chattr", "+i", folder.path / "deep" / "er"), check=True)
    folder.close()

    kept = [path for path in folder.path.iterdir() if path.is_dir()]
    subprocess.run(("chattr", "-R", "-i", *kept), check=True)
    folder.close()
    assert list(tmp_path.iterdir()) == []


# Who was killed


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have temporary files in one folder only: a test removes nothing that others left."""
    monkeypatch.setattr(temporary_files, "folders", lambda: [str(tmp_path)])
    return tmp_path


def test_the_folder_of_a_process_that_is_gone_is_removed(temporary: Path) -> None:
    stale = temporary / f"rie-{gone_process()}-0123abcd"
    make_tree(stale)
    remove_stale_folders()

    assert not stale.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc: tells when a process was started")
def test_the_folder_of_a_process_whose_number_is_used_again_is_removed(temporary: Path) -> None:
    stale = temporary / f"rie-{os.getpid()}-1-{namespace()}-0123abcd"
    stale.mkdir()
    remove_stale_folders()

    assert not stale.exists()


def test_the_folder_of_a_running_process_stays(temporary: Path) -> None:
    folder = make_folder()
    remove_stale_folders()

    assert list(temporary.iterdir()) == [folder.path]


MAKE_AND_WAIT = """
import os, sys
from pathlib import Path
from rie.sandbox.folder import make_folder
os.write(1, os.fsencode(make_folder(Path(sys.argv[1])).path) + b"\\n")
os.read(0, 1)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="unshare: needs root")
def test_the_folder_of_a_process_in_another_pid_namespace_stays(temporary: Path) -> None:
    unshare = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    with subprocess.Popen(
        (*unshare, sys.executable, "-c", MAKE_AND_WAIT, temporary),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(folders.__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        made = Path(process.stdout.readline().decode().strip())
        assert made.name.startswith("rie-1-")  # of all processes here, another is the first
        remove_stale_folders()

        assert made.exists()
        process.communicate(b"\n", LIMIT)


def test_what_a_process_in_another_pid_namespace_has_left_stays(temporary: Path) -> None:
    other = temporary / f"rie-{gone_process().rpartition('-')[0]}-1-0123abcd"
    other.mkdir()
    remove_stale_folders()

    assert other.exists()


def test_without_a_start_time_a_running_process_is_known_by_its_number(temporary: Path) -> None:
    running = temporary / f"rie-{os.getpid()}-0-{namespace()}-0123abcd"
    stale = temporary / f"rie-{gone_process().partition('-')[0]}-0-{namespace()}-0123abcd"
    running.mkdir()
    stale.mkdir()
    remove_stale_folders()

    assert list(temporary.iterdir()) == [running]


def test_what_is_not_named_as_ours_stays(temporary: Path) -> None:
    names = {
        f"rie-x-1-{namespace()}-0123abcd",
        f"rie-{gone_process()}",
        "rie",
        f"tmp-{gone_process()}-0123abcd",
    }
    for name in names:
        (temporary / name).mkdir()
    remove_stale_folders()

    assert {path.name for path in temporary.iterdir()} == names


def test_a_link_named_as_ours_is_not_followed(temporary: Path) -> None:
    outside = temporary / "outside"
    make_tree(outside)
    (temporary / f"rie-{gone_process()}-0123abcd").symlink_to(outside)
    remove_stale_folders()

    assert (outside / "deep" / "er" / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="chown: needs root")
def test_the_folder_of_another_user_stays(temporary: Path) -> None:
    other = temporary / f"rie-{gone_process()}-0123abcd"
    other.mkdir()
    os.chown(other, NOBODY, NOBODY)
    remove_stale_folders()

    assert other.exists()
