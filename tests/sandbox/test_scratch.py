from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rie.sandbox import scratch
from rie.sandbox.scratch import Disk, Folder, NoDisk, make_disk, make_folder
from tests.support.emulator import wait_until
from tests.support.raw_http import LIMIT

MIB = 1024 * 1024
OWNER = (993, 990)
NOBODY = 65534
TEMPORARY = ("/var/tmp", "/tmp")  # noqa: S108 - where temporary files are looked for
IN_MEMORY = "/dev/shm"  # noqa: S108 - a tmpfs

# In a mount namespace of its own, gone with this shell: the disk at $2 and a command there.
IN_MOUNT = 'mount -t ext4 "$1" "$2" && cd "$2" && exec "${@:3}"'

MAKE_AND_WAIT = """
import os
from rie.sandbox.scratch import make_disk
disk = make_disk(512, (0, 0))
os.write(1, disk.device.encode() + b"\\n")
os.read(0, 1)
"""


def why_no_disk() -> str | None:
    try:
        with closing(make_disk(512, (0, 0))) as disk:
            mounted = subprocess.run(
                ("unshare", "-m", "mount", disk.device, "/mnt"), capture_output=True, check=False
            )
    except (NoDisk, FileNotFoundError) as reason:
        return str(reason)
    return None if mounted.returncode == 0 else mounted.stderr.decode().strip()


NO_DISK = why_no_disk()
needs_disk = pytest.mark.skipif(NO_DISK is not None, reason=f"loop devices: {NO_DISK}")


def in_mount(disk: Disk, at: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the root of a disk."""
    return subprocess.run(
        ("unshare", "-m", "bash", "-c", IN_MOUNT, "bash", disk.device, str(at), *command),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def image_behind(device: str) -> str | None:
    """Tell a loop device's file, by its path and, as it has no name, its inode's number."""
    try:
        return Path(f"/sys/block/{Path(device).name}/loop/backing_file").read_text()
    except OSError:
        return None


@contextmanager
def process_with_disk(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Have another process make a disk, its file in `folder`."""
    with subprocess.Popen(
        (sys.executable, "-c", MAKE_AND_WAIT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
        cwd=Path(scratch.__file__).parents[2],
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.kill()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be an ordinary user for a while: permissions mean nothing to root."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def gone_process() -> str:
    """Name a process that has ended, as a folder's name does."""
    with subprocess.Popen("true") as process:
        return f"{process.pid}-1"


# The disk


@needs_disk
@pytest.mark.parametrize("size_mb", [512, 1024, 10240])
def test_an_ordinary_user_has_what_was_asked_for_and_little_more(
    size_mb: int, tmp_path: Path
) -> None:
    with closing(make_disk(size_mb, OWNER)) as disk:
        free = in_mount(disk, tmp_path, "stat", "-f", "-c", "%a %S", ".")
        blocks, block_size = map(int, free.stdout.split())

        assert size_mb * MIB <= blocks * block_size <= size_mb * MIB * 1.03


@needs_disk
def test_there_is_an_inode_for_every_16_kib(tmp_path: Path) -> None:
    with closing(make_disk(512, OWNER)) as disk:
        assert int(in_mount(disk, tmp_path, "stat", "-f", "-c", "%d", ".").stdout) >= 512 * 64


@needs_disk
def test_512_mib_can_be_written_and_not_much_more(tmp_path: Path) -> None:
    fill = f"head -c {512 * MIB} /dev/zero >all && ! head -c {16 * MIB} /dev/zero >more"
    with closing(make_disk(512, OWNER)) as disk:
        filled = in_mount(disk, tmp_path, "bash", "-c", fill)

        assert filled.returncode == 0
        assert os.strerror(errno.ENOSPC) in filled.stderr


@needs_disk
def test_the_root_belongs_to_the_owner(tmp_path: Path) -> None:
    with closing(make_disk(512, OWNER)) as disk:
        assert in_mount(disk, tmp_path, "stat", "-c", "%u:%g", ".").stdout == "993:990\n"


@needs_disk
def test_the_file_never_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    with closing(make_disk(512, OWNER)) as disk:
        assert str(image_behind(disk.device)).startswith(f"{tmp_path}/")
        assert list(tmp_path.iterdir()) == []


@needs_disk
def test_a_file_system_without_unnamed_files_does_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # as an old kernel sees it: a folder

    with closing(make_disk(512, OWNER)) as disk:
        assert str(image_behind(disk.device)).startswith(f"{tmp_path}/rie-")
        assert list(tmp_path.iterdir()) == []


@needs_disk
def test_a_closed_disk_leaves_no_device() -> None:
    disk = make_disk(512, OWNER)
    image = image_behind(disk.device)
    disk.close()
    disk.close()

    assert image is not None
    wait_until(lambda: image_behind(disk.device) != image, "the end of the device")


@needs_disk
def test_a_mount_keeps_the_device_when_the_disk_is_closed(tmp_path: Path) -> None:
    disk = make_disk(512, OWNER)
    image = image_behind(disk.device)
    command = ("unshare", "-m", "bash", "-c", IN_MOUNT, "bash", disk.device, str(tmp_path))
    with subprocess.Popen(
        (*command, "sh", "-c", "echo mounted; read x; echo x >file && cat file"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mounted\n"
        disk.close()

        assert image_behind(disk.device) == image
        assert process.communicate(b"\n", LIMIT)[0] == b"x\n"
    wait_until(lambda: image_behind(disk.device) != image, "the end of the device")


@needs_disk
def test_a_killed_process_leaves_nothing(tmp_path: Path) -> None:
    with process_with_disk(tmp_path) as (process, device):
        image = image_behind(device)
        assert str(image).startswith(f"{tmp_path}/")
        process.send_signal(signal.SIGKILL)
        process.wait(LIMIT)

        wait_until(lambda: image_behind(device) != image, "the end of the device")
        assert list(tmp_path.iterdir()) == []


@needs_disk
def test_a_program_that_is_started_does_not_inherit_the_device() -> None:
    with closing(make_disk(512, OWNER)) as disk:
        assert not os.get_inheritable(disk.descriptor)


@needs_disk
def test_ten_at_once_have_a_disk_each() -> None:
    with ThreadPoolExecutor(10) as pool:
        disks = list(pool.map(lambda _: make_disk(512, OWNER), range(10)))

    assert len({disk.device for disk in disks}) == 10
    assert len({image_behind(disk.device) for disk in disks} - {None}) == 10
    for disk in disks:
        disk.close()


@needs_disk
def test_processes_at_once_have_a_disk_each(tmp_path: Path) -> None:
    with (
        process_with_disk(tmp_path) as (_, first),
        process_with_disk(tmp_path) as (_, second),
        process_with_disk(tmp_path) as (_, third),
    ):
        assert len({image_behind(device) for device in (first, second, third)} - {None}) == 3


@needs_disk
def test_kernels_before_5_8_take_two_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_LOOP_CONFIGURE", 0x4CFF)

    disk = make_disk(512, OWNER)
    image = image_behind(disk.device)
    assert image is not None
    disk.close()
    wait_until(lambda: image_behind(disk.device) != image, "the end of the device")


# Why there is none


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


@needs_disk
def test_without_mkfs_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(scratch, "_SYSTEM_PROGRAMS", "/nowhere")
    before = open_files()

    with pytest.raises(NoDisk, match=r"^mkfs\.ext4 is not on PATH: install e2fsprogs$"):
        make_disk(512, OWNER)
    assert open_files() == before


@needs_disk
def test_what_mkfs_complains_of_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_LAYOUT", ("-b", "3"))

    with pytest.raises(NoDisk, match=r"^mkfs\.ext4 failed: .*block size.*$"):
        make_disk(512, OWNER)


def test_without_loop_devices_it_is_said_what_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "loop-control"
    monkeypatch.setattr(scratch, "_CONTROL", str(missing))

    with pytest.raises(NoDisk, match=f"^{re.escape(str(missing))} is missing: load the module"):
        make_disk(512, OWNER)


@pytest.mark.skipif(os.geteuid() != 0, reason="seteuid: needs root")
def test_an_ordinary_user_is_told_to_be_root() -> None:
    if not Path("/dev/loop-control").exists():
        pytest.skip("loop devices: /dev/loop-control is missing")

    with as_nobody(), pytest.raises(NoDisk, match=r"^/dev/loop-control cannot be opened"):
        make_disk(512, OWNER)


@needs_disk
def test_a_device_without_a_node_is_given_one(tmp_path: Path) -> None:
    node = tmp_path / "loop7"

    scratch._make_node(str(node), 7)
    scratch._make_node(str(node), 7)  # as when another was faster

    assert stat.S_ISBLK(node.stat().st_mode)
    assert node.stat().st_rdev == Path("/dev/loop7").stat().st_rdev


# The folder


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
    assert re.fullmatch(rf"rie-{os.getpid()}-\d+-[0-9a-f]{{8}}", folder.path.name)


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
    if all(map(scratch._is_in_memory, TEMPORARY)):
        pytest.skip("tmpfs: this machine has no other folder for temporary files")

    assert scratch._temporary_folder() in TEMPORARY


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
    monkeypatch.setattr(scratch, "_temporary_folders", lambda: [str(tmp_path)])
    return tmp_path


def test_the_folder_of_a_process_that_is_gone_is_removed(temporary: Path) -> None:
    stale = temporary / f"rie-{gone_process()}-0123abcd"
    make_tree(stale)
    scratch.remove_stale_folders()

    assert not stale.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc: tells when a process was started")
def test_the_folder_of_a_process_whose_number_is_used_again_is_removed(temporary: Path) -> None:
    stale = temporary / f"rie-{os.getpid()}-1-0123abcd"
    stale.mkdir()
    scratch.remove_stale_folders()

    assert not stale.exists()


def test_the_folder_of_a_running_process_stays(temporary: Path) -> None:
    folder = make_folder()
    scratch.remove_stale_folders()

    assert list(temporary.iterdir()) == [folder.path]


def test_without_a_start_time_a_running_process_is_known_by_its_number(temporary: Path) -> None:
    running = temporary / f"rie-{os.getpid()}-0-0123abcd"
    stale = temporary / f"rie-{gone_process().partition('-')[0]}-0-0123abcd"
    running.mkdir()
    stale.mkdir()
    scratch.remove_stale_folders()

    assert list(temporary.iterdir()) == [running]


def test_what_is_not_named_as_ours_stays(temporary: Path) -> None:
    names = {"rie-x-1-0123abcd", f"rie-{gone_process()}", "rie", f"tmp-{gone_process()}-0123abcd"}
    for name in names:
        (temporary / name).mkdir()
    scratch.remove_stale_folders()

    assert {path.name for path in temporary.iterdir()} == names


def test_a_link_named_as_ours_is_not_followed(temporary: Path) -> None:
    outside = temporary / "outside"
    make_tree(outside)
    (temporary / f"rie-{gone_process()}-0123abcd").symlink_to(outside)
    scratch.remove_stale_folders()

    assert (outside / "deep" / "er" / "file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="chown: needs root")
def test_the_folder_of_another_user_stays(temporary: Path) -> None:
    other = temporary / f"rie-{gone_process()}-0123abcd"
    other.mkdir()
    os.chown(other, NOBODY, NOBODY)
    scratch.remove_stale_folders()

    assert other.exists()
