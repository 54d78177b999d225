"""A disk for a function's /tmp: a sparse file with an ext4 file system, behind a loop device.

It is full at its size as on AWS, and what is written there is not memory, as it would be in a
tmpfs. Mounting it, and removing its lost+found, is the launcher's business. A machine without
mount namespaces has a folder instead (folder.py).

Neither the file nor the device outlives the process, however that ends: the file never has a
name, and the device is freed with its last user (a descriptor or a mount).

Sizes: `size_mb` in MiB, all others in bytes. Sources: linux/loop.h, ext4(5), mke2fs(8).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import subprocess
from collections.abc import Iterator

from rie.sandbox import files, temporary_files
from rie.sandbox.temporary_files import NoDisk

_BLOCK = 4096
_BLOCKS_PER_MIB = (1 << 20) // _BLOCK

# No journal, as nothing is to survive a crash; no checksums, as they would have the kernel
# write the inode tables, which are zero here, in the background; no copies of the superblock.
# `none` first: what the machine's mke2fs.conf adds would write more, and change the size.
_FEATURES = (
    "none,extent,filetype,dir_index,dir_nlink,extra_isize,ext_attr,flex_bg,huge_file,"
    "large_file,sparse_super2"
)
_LAYOUT = ("-b", str(_BLOCK), "-I", "256", "-i", "16384", "-m", "0", "-O", _FEATURES)
_SYSTEM_PROGRAMS = "/usr/sbin:/sbin"  # not on every user's PATH
_FORMAT_LIMIT = 30.0  # seconds

_CONTROL = "/dev/loop-control"
_LOOP_SET_FD, _LOOP_CLR_FD, _LOOP_SET_STATUS64 = 0x4C00, 0x4C01, 0x4C04
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CTL_GET_FREE = 0x4C82
_AUTOCLEAR, _DIRECT_IO = 4, 16
_LOOP_MAJOR = 7

# Someone else took the device, or removed it, between our being told of it and our taking it.
_RACES = frozenset({errno.EBUSY, errno.ENXIO, errno.ENODEV})
_UNKNOWN_CALL = frozenset({errno.EINVAL, errno.ENOTTY})
_ATTEMPTS = 256  # each that fails is a success of somebody else


class Disk:
    """A formatted loop device. `descriptor` keeps it alive until a mount does."""

    __slots__ = ("descriptor", "device")

    def __init__(self, device: str, descriptor: int) -> None:
        self.device = device
        self.descriptor = descriptor

    def close(self) -> None:
        """Let go of the device: it is gone now, or with its last mount."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def make_disk(size_mb: int, owner: tuple[int, int]) -> Disk:
    """Make a disk that takes `size_mb` of files, its root belonging to `owner` (uid, gid).

    Raises NoDisk.
    """
    size = _image_blocks(size_mb) * _BLOCK
    try:
        with files.closing(_open_control()) as control, files.closing(_unnamed_file()) as image:
            os.ftruncate(image, size)
            _format(image, size, owner)
            return _attach(image, control)
    except OSError as error:
        raise NoDisk(f"a disk for /tmp cannot be made: {error}") from error


# The file


def _image_blocks(size_mb: int) -> int:
    """Size an image so that 0.5 % more than `size_mb` is free on it: for folders and extents."""
    wanted = size_mb * _BLOCKS_PER_MIB
    inodes = wanted // 62  # 256 bytes for each 16 KiB, and the blocks' own share
    withheld = min(wanted // 48, 4096)  # by the kernel, 2 % at most (ext4_calculate_resv_clusters)
    return wanted + inodes + withheld + wanted // 200 + 64


def _unnamed_file() -> int:
    folder = temporary_files.best_folder()
    flags = os.O_RDWR | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(folder, flags | os.O_TMPFILE, 0o600)
    except OSError:  # not every file system can; what else is wrong is wrong below as well
        path = f"{folder}/rie-{os.urandom(8).hex()}"
        file = os.open(path, flags | os.O_CREAT, 0o600)
        os.unlink(path)  # noqa: PTH108 - of a name
        return file


def _format(image: int, size: int, owner: tuple[int, int]) -> None:
    # In memory first: mkfs waits for the disk with all that it wrote, we need not.
    with files.closing(os.memfd_create("rie-scratch")) as draft:
        os.ftruncate(draft, size)
        _make_file_system(draft, owner)
        _copy(draft, image)


def _make_file_system(file: int, owner: tuple[int, int]) -> None:
    extended = f"nodiscard,num_backup_sb=0,root_owner={owner[0]}:{owner[1]}"
    command = ("mkfs.ext4", "-q", "-F", *_LAYOUT, "-E", extended, f"/proc/self/fd/{file}")
    search_path = f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PROGRAMS}"
    try:
        subprocess.run(  # noqa: S603 - no part of it is the user's
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            env={"PATH": search_path, "LC_ALL": "C"},
            pass_fds=(file,),
            timeout=_FORMAT_LIMIT,
        )
    except FileNotFoundError:
        raise NoDisk("mkfs.ext4 is not on PATH: install e2fsprogs") from None
    except subprocess.TimeoutExpired:
        raise NoDisk(f"mkfs.ext4 has not ended in {_FORMAT_LIMIT:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise NoDisk(f"mkfs.ext4 failed: {_last_line(error.stderr)}") from None


def _copy(source: int, target: int) -> None:
    for start, end in _filled(source):
        at = start
        while at < end:
            at += os.pwrite(target, os.pread(source, end - at, at), at)


def _filled(file: int) -> Iterator[tuple[int, int]]:
    """Yield where a sparse file is not a hole."""
    end = 0
    while True:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end


# The device


def _open_control() -> int:
    try:
        return os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoDisk(
            f"{_CONTROL} is missing: load the module loop, or give the container the device"
        ) from None
    except PermissionError:
        raise NoDisk(f"{_CONTROL} cannot be opened: needs root") from None


def _attach(image: int, control: int) -> Disk:
    for _ in range(_ATTEMPTS):
        number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
        device = f"/dev/loop{number}"
        try:
            return Disk(device, _bound(device, number, image))
        except OSError as error:
            if error.errno not in _RACES:
                raise
    raise NoDisk(f"others took each of {_ATTEMPTS} loop devices first: try again")


def _bound(device: str, number: int, image: int) -> int:
    descriptor = _open_device(device, number)
    try:
        _bind(descriptor, image)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _open_device(device: str, number: int) -> int:
    try:
        return os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # a container's /dev has the devices of its start
        _make_node(device, number)
    except PermissionError:
        raise NoDisk(f"{device} cannot be opened: permit block devices {_LOOP_MAJOR}:*") from None
    return os.open(device, os.O_RDWR | os.O_CLOEXEC)


def _make_node(device: str, number: int) -> None:
    # The minor number is the device's own, unless loop devices have partitions.
    major, _, minor = files.read(f"/sys/block/loop{number}/dev").partition(b":")
    node = os.makedev(int(major or _LOOP_MAJOR), int(minor or number))
    try:
        os.mknod(device, stat.S_IFBLK | 0o600, node)
    except FileExistsError:  # by now
        pass
    except PermissionError:
        raise NoDisk(f"{device} is missing and cannot be made: needs CAP_MKNOD") from None


def _bind(descriptor: int, image: int) -> None:
    # Direct I/O: each page of a file would be cached twice, as the file's and as the image's.
    # Where the image's file system has no such thing, the kernel leaves the flag out.
    configuration = struct.pack("=II", image, 0) + _info(_AUTOCLEAR | _DIRECT_IO) + bytes(64)
    try:
        fcntl.ioctl(descriptor, _LOOP_CONFIGURE, configuration)
    except OSError as error:
        if error.errno not in _UNKNOWN_CALL:
            raise
        _bind_in_two_steps(descriptor, image)


def _bind_in_two_steps(descriptor: int, image: int) -> None:
    """Do as before Linux 5.8: a kill between the two leaves the device behind."""
    fcntl.ioctl(descriptor, _LOOP_SET_FD, image)
    try:
        fcntl.ioctl(descriptor, _LOOP_SET_STATUS64, _info(_AUTOCLEAR))
    except OSError:
        fcntl.ioctl(descriptor, _LOOP_CLR_FD)
        raise


def _info(flags: int) -> bytes:
    return struct.pack("=52xI176x", flags)  # struct loop_info64


def _last_line(text: bytes) -> str:
    lines = text.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it does not say why")
