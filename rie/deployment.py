"""What is deployed: a function's package and its layers, as folders of this machine.

Archives are unpacked once for each content and kept (rie/artifacts/unpacked.py). Folders are
taken as they are, so that what is being written can be tried.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rie.sandbox.wanted import OPT
from rie.settings import Settings, SettingsError

if TYPE_CHECKING:
    from rie.artifacts.unpacked import Unpacked


def deployed(settings: Settings) -> Settings:
    """Return the settings with folders in the place of archives.

    Raises SettingsError for what is not there, BuildError for what cannot be unpacked or is too
    large.
    """
    if settings.code is None and not settings.layers:
        return _told_of_extensions(settings, OPT) if settings.drop_in else settings
    from rie.artifacts.progress import on_terminal  # noqa: PLC0415 - few functions have archives
    from rie.artifacts.unpacked import Unpacked, check_total, default_root  # noqa: PLC0415 - as above

    for path in settings.layers:
        _check(path, "--layer")
    with on_terminal() as progress:
        unpacked = Unpacked(default_root(os.environ), progress=progress)
        code = _code(settings.code, unpacked) if settings.code is not None else None
        layers = tuple(
            path.resolve() if path.is_dir() else unpacked.layer(path) for path in settings.layers
        )
    check_total(code, layers)
    found = replace(settings, task_root=code or settings.task_root, layers=layers)
    return _told_of_extensions(found, *layers)


def _told_of_extensions(settings: Settings, *folders: Path) -> Settings:
    """Add a notice where there are extensions: what is not run should not be waited for."""
    names = sorted(name for folder in folders for name in _names(folder / "extensions"))
    if not names:
        return settings
    notice = f"extensions are not started yet: {', '.join(names)} in {OPT}/extensions"
    return replace(settings, notices=(*settings.notices, notice))


def _names(folder: Path) -> list[str]:
    try:
        return [each.name for each in folder.iterdir()]
    except OSError:  # there is none, or it is closed to us, and to the function
        return []


def _code(path: Path, unpacked: Unpacked) -> Path:
    _check(path, "--code")
    if path.is_dir():
        raise SettingsError("--code", str(path), "is a folder; use --task-root")
    return unpacked.code(path)


def _check(path: Path, option: str) -> None:
    try:
        path.stat()
    except OSError as error:
        why = f"cannot be used: {(error.strerror or str(error)).lower()}"
        raise SettingsError(option, str(path), why) from None
