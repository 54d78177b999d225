"""Files and folders that appear whole under their name, or not at all.

They are made under another name beside it and renamed. What was begun is removed when it
fails, whatever its modes are.

What makes something is imported then: `rie run` mostly finds what was made before, and has no
time to lose.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rie.artifacts.errors import BuildError, NoSpaceError
from rie.artifacts.findings import shown

PART = ".part"  # the end of every name that is not to stay
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OF_NAME = 40  # of a name in its temporary one, which has to fit too


@contextmanager
def new_file(target: Path) -> Iterator[IO[bytes]]:
    """Give a file to write to, which is `target` in the end. Raises BuildError."""
    _require_place(target)
    _require_file(target)
    import tempfile  # noqa: PLC0415 - see above

    with _begun(target):
        descriptor, name = tempfile.mkstemp(PART, _beginning(target), _beside(target))
    try:
        with explained(target), os.fdopen(descriptor, "w+b") as stream:
            yield stream
            os.fchmod(descriptor, 0o666 & ~_umask())
        with explained(target):
            Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill, which is `target` in the end; that may be an empty folder now.

    Raises BuildError.
    """
    _require_place(target)
    with explained(target):
        if os.path.lexists(target) and (target.is_symlink() or not _is_empty_folder(target)):
            raise BuildError(
                f"{shown(str(target))} exists and is not an empty folder: name another"
            )
    part = _new_part(target)
    try:
        part.chmod(0o777 & ~_umask())
        yield part
        with explained(target):
            part.rename(target)
    except BaseException:
        remove(part)
        raise


@contextmanager
def scratch(beside: Path) -> Iterator[Path]:
    """Give a folder on the file system of `beside`, for as long as it is needed."""
    part = _new_part(beside)
    try:
        yield part
    finally:
        remove(part)


@contextmanager
def explained(subject: Path) -> Iterator[None]:
    """Turn what the system refuses into a BuildError about its file, or else `subject`."""
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str | Path) else subject
        what = f"{shown(str(where))}: {error.strerror or error}"
        if error.errno in _FULL:
            raise NoSpaceError(f"{what}; make room there, or write elsewhere") from None
        raise BuildError(what) from None


def is_part_of(path: Path, target: Path) -> bool:
    """Whether `path` is `target` in the making: another's, or left by one that was killed."""
    begun = path.name.startswith(_beginning(target)) and path.name.endswith(PART)
    return begun and path.parent.resolve() == _beside(target).resolve()


def remove(folder: Path) -> None:
    """Remove a tree, closed folders too. What cannot be removed is left."""
    try:
        _remove(folder)
    except BaseException:  # a signal: that is heeded, but with nothing left
        _remove(folder)
        raise


def _remove(folder: Path) -> None:
    _open_folders(folder)
    import shutil  # noqa: PLC0415 - see above

    shutil.rmtree(folder, ignore_errors=True)


def _new_part(target: Path) -> Path:
    import tempfile  # noqa: PLC0415 - see above

    with _begun(target):
        return Path(tempfile.mkdtemp(PART, _beginning(target), _beside(target)))


@contextmanager
def _begun(target: Path) -> Iterator[None]:
    """Name the target, where nothing can be made beside it, and not what nobody has heard of."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"{shown(str(target))} cannot be written: {shown(str(target.parent))}: {error.strerror}"
        ) from None


def _beginning(target: Path) -> str:
    return f".{target.name[:_OF_NAME]}."


def _open_folders(folder: Path) -> None:
    with suppress(OSError):
        folder.chmod(stat.S_IRWXU)
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with suppress(OSError):
                if not path.is_symlink():
                    path.chmod(stat.S_IRWXU)


def _require_place(target: Path) -> None:
    if not os.path.isdir(_beside(target)):  # noqa: PTH112 - is_dir() fails where it is closed to us
        raise BuildError(
            f"{shown(str(target))} cannot be written: there is no folder "
            f"{shown(str(target.parent))}; make it first"
        )


def _require_file(target: Path) -> None:
    """Refuse what a new file would put an end to: a folder, and /dev/null and its like."""
    with explained(target):
        try:
            kind = stat.S_IFMT(target.stat().st_mode)
        except FileNotFoundError:
            return
    if kind != stat.S_IFREG:
        what = "is a folder" if kind == stat.S_IFDIR else "is a device, a pipe or a socket"
        raise BuildError(f"{shown(str(target))} {what}: name a file to write")


def _beside(target: Path) -> Path:
    return Path(os.path.abspath(target)).parent  # noqa: PTH100 - resolve() would follow links


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
