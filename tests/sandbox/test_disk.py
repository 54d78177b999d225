"""A disk for /tmp, on this machine's own loop devices."""

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

from rie.sandbox import disk as disk_module
from rie.sandbox.disk import Disk, make_disk
from rie.sandbox.temporary_files import NoDisk
from tests.support.disks import needs_disk
from tests.support.emulator import wait_until
from tests.support.ordinary_user import as_nobody
from tests.support.raw_http import LIMIT

MIB = 1024 * 1024
OWNER = (993, 990)

# In a mount namespace of its own, gone with this shell: the disk at $2 and a command there.
IN_MOUNT = 'mount -t ext4 "$1" "$2" && cd "$2" && exec "${@:3}"'

MAKE_AND_WAIT = """
import os
from rie.sandbox.disk import make_disk
disk = make_disk(512, (0, 0))
os.write(1, disk.device.encode() + b"\\n")
os.read(0, 1)
"""


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
        cwd=Path(disk_module.__file__).parents[2],
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().decode().strip()
        finally:
            process.kill()


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


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
    monkeypatch.setattr(disk_module, "_LOOP_CONFIGURE", 0x4CFF)

    disk = make_disk(512, OWNER)
    image = image_behind(disk.device)
    assert image is not None
    disk.close()
    wait_until(lambda: image_behind(disk.device) != image, "the end of the device")


# Why there is none


@needs_disk
def test_without_mkfs_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(disk_module, "_SYSTEM_PROGRAMS", "/nowhere")
    before = open_files()

    with pytest.raises(NoDisk, match=r"^mkfs\.ext4 is not on PATH: install e2fsprogs$"):
        make_disk(512, OWNER)
    assert open_files() == before


@needs_disk
def test_what_mkfs_complains_of_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_module, "_LAYOUT", ("-b", "3"))

    with pytest.raises(NoDisk, match=r"^mkfs\.ext4 failed: .*block size.*$"):
        make_disk(512, OWNER)


def test_without_loop_devices_it_is_said_what_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "loop-control"
    monkeypatch.setattr(disk_module, "_CONTROL", str(missing))

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

    disk_module._make_node(str(node), 7)
    disk_module._make_node(str(node), 7)  # as when another was faster

    assert stat.S_ISBLK(node.stat().st_mode)
    assert node.stat().st_rdev == Path("/dev/loop7").stat().st_rdev
