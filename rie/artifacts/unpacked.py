"""What has been unpacked on this machine, once for each content, for whoever runs a function.

    root/archives/<sha256 of the archive>/          read-only by mode, everybody may read it
    root/archives/<sha256 of the archive>.whole     it is complete: size, names at the top, by NULs
    root/merged/<sha256 of the layers' names>/      several layers in one

A folder is made under another name and renamed, by one process at a time (flock, which the
kernel takes from one that dies). What has no mark of completeness, or not the top that the mark
tells of, is made anew. Nothing is ever thrown away: the folder is the user's to remove.

What unpacks and merges is imported when there is something to unpack or merge.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rie.artifacts import limits
from rie.artifacts.archive_file import archive_file, digest
from rie.artifacts.errors import BuildError
from rie.artifacts.findings import shown
from rie.artifacts.placing import PART, explained, remove
from rie.artifacts.progress import SILENT, Progress

_ARCHIVES, _MERGED = "archives", "merged"
_WHOLE, _LOCK = ".whole", ".lock"
_HEX_DIGITS = 64


class Unpacked:
    """Unpacks archives below `root`, and finds them there the next time.

    Folders are closed to writing and open to every user's reading. Raises BuildError.
    """

    def __init__(self, root: Path, *, progress: Progress = SILENT) -> None:
        self._root = root
        self._progress = progress

    def code(self, archive: Path) -> Path:
        """Return the folder of a function's archive: 50 MB zipped, 250 MB unzipped at most."""
        return self._archive(archive, limits.ZIPPED)

    def layer(self, archive: Path) -> Path:
        """Return the folder of a layer's archive: 250 MB unzipped at most."""
        return self._archive(archive, limits.ARCHIVE)

    def merged(self, layers: Sequence[Path]) -> Path:
        """Return one folder of several unpacked layers, in their order: later ones win.

        They are hard links where that can be. Folders that are not from here are copied, and
        again when they change.
        """
        names = [self._name_of(layer) for layer in layers]
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()
        own = all(self._is_own(layer) for layer in layers)

        def make(folder: Path) -> None:
            from rie.artifacts import overlay  # noqa: PLC0415 - see above

            place = overlay.linked_or_copied if own else overlay.copied
            overlay.fill(folder, overlay.laid_over(layers), place)

        return self._slot(_MERGED, key).filled(make)

    def _archive(self, path: Path, zipped: int) -> Path:
        with archive_file(path, zipped) as stream:
            with explained(path):
                key = digest(stream).hex()
            return self._slot(_ARCHIVES, key).filled(
                lambda folder: self._unpack(path, stream, folder)
            )

    def _unpack(self, path: Path, stream: BinaryIO, folder: Path) -> None:
        from rie.artifacts import archive  # noqa: PLC0415 - see above

        before = _version(stream)
        archive.unpack_into(archive.read(path, stream), folder, progress=self._progress)
        if _version(stream) != before:
            raise BuildError(f"{shown(str(path))} was changed meanwhile: try again")

    def _slot(self, kind: str, key: str) -> _Slot:
        return _Slot(self._root / kind, key)

    def _is_own(self, folder: Path) -> bool:
        return folder.parent == self._root / _ARCHIVES and len(folder.name) == _HEX_DIGITS

    def _name_of(self, folder: Path) -> str:
        if self._is_own(folder):
            return folder.name
        from rie.artifacts.tree import scan  # noqa: PLC0415 - see above

        state = hashlib.sha256()
        for node in scan(folder):
            changed = node.source.lstat().st_mtime_ns
            facts = (node.name, node.kind, node.mode, node.size, node.target, changed)
            state.update(repr(facts).encode())
        return state.hexdigest()


@dataclass(frozen=True, slots=True)
class _Slot:
    """The place of one folder."""

    parent: Path
    key: str

    def filled(self, make: Callable[[Path], None]) -> Path:
        """Return the folder, made by `make` unless it is there and whole."""
        with explained(self.parent):
            if not self._is_whole():
                _make_folders(self.parent)
                with _locked(self.parent / f"{self.key}{_LOCK}"):
                    self._fill(make)
        return self._folder

    @property
    def _folder(self) -> Path:
        return self.parent / self.key

    @property
    def _mark(self) -> Path:
        return self.parent / f"{self.key}{_WHOLE}"

    def _is_whole(self) -> bool:
        told = _told(self._mark)
        return told is not None and told.top == _top(self._folder)

    def _fill(self, make: Callable[[Path], None]) -> None:
        if self._is_whole():  # by another process, while this one waited
            return
        _sweep(self.parent)
        part = self.parent / f"{self.key}{PART}"
        for left_over in (part, self._folder):
            remove(left_over)
        self._mark.unlink(missing_ok=True)
        try:
            part.mkdir(mode=0o755)
            make(part)
            _open_to_readers(part)
            part.rename(self._folder)
        except BaseException:
            remove(part)
            raise
        self._write_mark()

    def _write_mark(self) -> None:
        top = _top(self._folder) or ()
        new = self.parent / f"{self.key}{_WHOLE}{PART}"
        new.write_bytes(os.fsencode("\0".join((str(_measured(self._folder)), *top))))
        new.replace(self._mark)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is known of a whole folder."""

    size: int
    top: tuple[str, ...]


def check_total(code: Path | None, layers: Sequence[Path]) -> None:
    """Raise BuildError if a function's code and its layers hold more than 250 MB together."""
    folders = [*([] if code is None else [code]), *layers]
    limits.require_size(sum(map(_size, folders)), "the code and its layers")


def default_root(environ: Mapping[str, str]) -> Path:
    """Return the folder for what is unpacked: the user's cache, else one below the temporary one.

    Raises BuildError when that is another user's.
    """
    if (given := environ.get("XDG_CACHE_HOME", "")).startswith("/"):  # the specification: else not
        return Path(given, "rie")
    home = Path(environ.get("HOME", ""))
    # os.path and os.access: Path.is_dir() and exists() fail in another's closed folder, say root's.
    if home.is_absolute() and os.path.isdir(home) and _is_writable(home / ".cache"):  # noqa: PTH112
        return home / ".cache" / "rie"
    return _below_temporary(Path(environ.get("TMPDIR") or "/tmp"))  # noqa: S108 - below


def _below_temporary(temporary: Path) -> Path:
    root = temporary / f"rie-{os.geteuid()}"
    with explained(root):
        with suppress(FileExistsError):
            root.mkdir(mode=0o755)
        status = root.lstat()
    # Anybody may make it first, and put there what the function then runs.
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
    if not private or status.st_uid != os.geteuid():
        raise BuildError(f"{root} is another user's: set XDG_CACHE_HOME to a folder of your own")
    return root


def _is_writable(folder: Path) -> bool:
    while not _can(folder, os.F_OK) and folder != folder.parent:
        folder = folder.parent
    return _can(folder, os.W_OK | os.X_OK)


def _can(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _make_folders(folder: Path) -> None:
    """Make it with those above it; ours can be read by everybody, whatever the umask is."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing[:2]:  # root/archives and root: those above are the user's
        with suppress(OSError):
            each.chmod(0o755)


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed have left half-made."""
    for part in folder.glob(f"*{PART}"):
        key = part.name.partition(".")[0]
        # Refused where its maker is at work, or where it is this process's own.
        with suppress(OSError), _locked(folder / f"{key}{_LOCK}", wait=False):
            remove(part)
            part.unlink(missing_ok=True)


def _open_to_readers(folder: Path) -> None:
    """Let everybody read all of it, and nobody write."""
    for parent, names, files in os.walk(folder, topdown=False):
        for name in (*names, *files):
            path = Path(parent, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                path.chmod((status.st_mode & 0o555) | 0o444)
            elif stat.S_ISDIR(status.st_mode):
                path.chmod(0o555)
    folder.chmod(0o555)


def _top(folder: Path) -> tuple[str, ...] | None:
    try:
        return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 - names are enough
    except OSError:
        return None


def _told(mark: Path) -> _Mark | None:
    try:
        size, *top = os.fsdecode(mark.read_bytes()).split("\0")
        return _Mark(int(size), tuple(top))
    except (OSError, ValueError):
        return None


def _size(folder: Path) -> int:
    told = _told(folder.parent / f"{folder.name}{_WHOLE}")
    return _measured(folder) if told is None else told.size


def _measured(folder: Path) -> int:
    from rie.artifacts.tree import scan, unzipped  # noqa: PLC0415 - see above

    return unzipped(scan(folder))


def _version(stream: BinaryIO) -> tuple[int, int]:
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns
