"""Python packages for Lambda's platform, installed by pip on whatever machine this is.

pip is asked for wheels only: what it would compile would be for this machine. What it notes
about the installation itself is taken out, so that the same wheels give the same files.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import shown
from rie.artifacts.placing import explained
from rie.artifacts.programs import Architecture

# The C library that Lambda's systems have: Amazon Linux 2 up to Python 3.11, then 2023.
_AMAZON_LINUX_2, _AMAZON_LINUX_2023 = 26, 34  # glibc 2.x
_LAST_ON_AMAZON_LINUX_2 = 11
_OLDEST: dict[Architecture, int] = {"x86_64": 5, "arm64": 17}
_MACHINE: dict[Architecture, str] = {"x86_64": "x86_64", "arm64": "aarch64"}
_OLD_NAMES: dict[Architecture, dict[int, str]] = {
    "x86_64": {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"},
    "arm64": {17: "manylinux2014"},
}

# What would send the packages elsewhere, or none.
_UNWANTED = {
    f"PIP_{name}"
    for name in (
        "TARGET", "USER", "PREFIX", "ROOT", "DRY_RUN", "REQUIRE_VIRTUALENV", "PLATFORM", "ABI",
        "IMPLEMENTATION", "PYTHON_VERSION", "COMPILE", "NO_COMPILE", "ONLY_BINARY", "NO_BINARY",
        "REPORT", "QUIET", "VERBOSE", "LOG", "REQUIREMENT", "PYTHON",
    )
}  # fmt: skip
_NOTES = {"INSTALLER", "REQUESTED", "direct_url.json"}
_HOST_PYTHON = re.compile(rb"\A#!.*\n?.*/[^\s/]*python[^\s/]*", re.IGNORECASE)
_ANY_PYTHON = b"#!/usr/bin/env"
_NO_PIP = "No module named pip"


def install(
    requirements: Path,
    target: Path,
    *,
    python: str,
    architecture: Architecture,
    environ: Mapping[str, str],
) -> None:
    """Install what a requirements file names into the folder `target`.

    `python` is a version: 3.11. Raises BuildError with pip's reason.
    """
    with explained(requirements):
        requirements.open("rb").close()
    arguments = _arguments(requirements, target, python, architecture)
    for pip in _pips(environ):
        result = _run([*pip, *arguments], environ)
        if result.returncode == 0:
            _normalise(target)
            return
        if _NO_PIP not in result.stderr:
            break
    else:
        raise BuildError(
            "there is no pip to install requirements with: "
            f"`{sys.executable} -m ensurepip`, or install pip and have it on PATH"
        )
    raise BuildError(
        f"{shown(str(requirements))} cannot be installed: {_reason(result)} "
        f"(wheels for CPython {python} on Lambda's Linux, {architecture}, are asked for)"
    )


def _arguments(
    requirements: Path, target: Path, python: str, architecture: Architecture
) -> list[str]:
    platforms = [f"--platform={each}" for each in _platforms(python, architecture)]
    return [
        "install",
        *("--disable-pip-version-check", "--no-input", "--no-compile", "--no-warn-conflicts"),
        *("--only-binary=:all:", "--implementation=cp", f"--python-version={python}"),
        *platforms,
        f"--target={target}",
        f"--requirement={requirements}",
    ]


def _platforms(python: str, architecture: Architecture) -> Iterator[str]:
    """Name what wheels may be built for, the newest first."""
    newest = (
        _AMAZON_LINUX_2
        if int(python.partition(".")[2]) <= _LAST_ON_AMAZON_LINUX_2
        else _AMAZON_LINUX_2023
    )
    machine, old = _MACHINE[architecture], _OLD_NAMES[architecture]
    for minor in range(newest, _OLDEST[architecture] - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if minor in old:
            yield f"{old[minor]}_{machine}"


def _pips(environ: Mapping[str, str]) -> Iterator[list[str]]:
    """Return how pip can be run: our own interpreter's, else the one on PATH."""
    # -P: the current folder has the user's own modules, which may be named as pip's are.
    yield [sys.executable, "-P", "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name, path=environ.get("PATH")):
            yield [found]
            return


def _run(command: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    with explained(Path(command[0])):
        return subprocess.run(  # noqa: S603 - pip
            command,
            env={name: text for name, text in environ.items() if name not in _UNWANTED},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


def _reason(result: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    return "; ".join(map(shown, errors or lines[-1:])) or f"pip ended with {result.returncode}"


def _normalise(target: Path) -> None:
    """Take out what differs from one installation to the next."""
    with explained(target):
        dropped = set(_drop_scripts(target / "bin"))
        for information in target.glob("*.dist-info"):
            for name in _NOTES:
                (information / name).unlink(missing_ok=True)
            _tell_less(information / "RECORD", dropped)
        for folder, names, files in os.walk(target):
            for name in names:
                Path(folder, name).chmod(0o755)
            for name in files:
                path = Path(folder, name)
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _drop_scripts(folder: Path) -> Iterator[str]:
    """Remove commands that would start this machine's Python; return their names."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            head = file.read(1024)
        if head.startswith(b"#!") and not head.startswith(_ANY_PYTHON) and _HOST_PYTHON.match(head):
            path.unlink()
            yield path.name
    if not any(folder.iterdir()):
        folder.rmdir()


def _tell_less(record: Path, dropped: set[str]) -> None:
    """Write a RECORD anew without what is no longer there."""
    if not record.exists():
        return
    with record.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.reader(file))
    kept = [row for row in rows if row and not _is_gone(row[0], record.parent.name, dropped)]
    with record.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(kept)


def _is_gone(name: str, information: str, dropped: set[str]) -> bool:
    folder, _, base = name.rpartition("/")
    if folder == information:
        return base in _NOTES
    return base in dropped and folder.rpartition("/")[2] == "bin"
