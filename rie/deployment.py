"""What is deployed: a function's package and its layers, as folders of this machine.

Archives are unpacked once for each content and kept (rie/artifacts/unpacked.py). Folders are
taken as they are, so that what is being written can be tried.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rie.settings import Settings, SettingsError


def deployed(settings: Settings) -> Settings:
    """Return the settings with folders in the place of archives.

    Raises SettingsError for what is not there, BuildError for what cannot be unpacked or is too
    large.
    """
    if settings.code is None and not settings.layers:
        return settings
    from rie.artifacts.unpacked import (  # noqa: PLC0415 - few functions come as archives
        Unpacked,
        check_total,
        default_root,
    )

    unpacked = Unpacked(default_root(os.environ))
    for path in settings.layers:
        _check(path, "--layer")
    layers = tuple(
        path.resolve() if path.is_dir() else unpacked.layer(path) for path in settings.layers
    )
    code = None
    if settings.code is not None:
        _check(settings.code, "--code")
        if settings.code.is_dir():
            raise SettingsError(
                "--code", str(settings.code), "is a folder; use --task-root for one"
            )
        code = unpacked.code(settings.code)
    check_total(code, layers)
    return replace(settings, task_root=code or settings.task_root, layers=layers)


def _check(path: Path, option: str) -> None:
    try:
        path.stat()
    except OSError as error:
        why = f"cannot be used: {(error.strerror or str(error)).lower()}"
        raise SettingsError(option, str(path), why) from None
