"""Wheels and jars, fetched on this machine with its own tools as they are configured.

Inside a build there are neither the tools nor the configuration: proxies, mirrors, certificates.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rie.artifacts.errors import BuildError

_LIMIT = 600.0  # seconds
_PYTHON = "3.11"
_GLIBC = range(5, 37)  # minor versions that a wheel may ask for: Debian 12 has 2.36
_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


def download_wheels(requirements: Path, target: Path, architecture: str) -> None:
    """Fetch what a requirements.txt with hashes pins, for Debian 12's Python. Raises BuildError."""
    target.mkdir(parents=True, exist_ok=True)
    machine = _MACHINES[architecture]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in reversed(_GLIBC)]
    platforms.append(f"manylinux2014_{machine}")
    command = [*_pip(), "download", "--quiet", "--require-hashes", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-input", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={_PYTHON}"]
    command += [f"--abi={abi}" for abi in ("cp311", "abi3", "none")]
    command += [f"--platform={each}" for each in platforms]
    _run([*command, "--requirement", str(requirements), "--dest", str(target)], requirements)


def download_jars(pom: Path, target: Path) -> None:
    """Fetch what a pom.xml depends on at run time, and what that needs. Raises BuildError."""
    program = shutil.which("mvn")
    if program is None:
        raise BuildError("mvn is not installed: install maven, which fetches the image's jars")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rie-mvn-") as folder:
        shutil.copy(pom, folder)  # mvn writes beside it
        command = [program, "--batch-mode", "--quiet", "--file", str(Path(folder, pom.name))]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        _run([*command, f"-DoutputDirectory={target}"], pom)
    for each in target.iterdir():
        each.chmod(0o644)


def _pip() -> list[str]:
    module = [sys.executable, "-m", "pip"]
    result = subprocess.run([*module, "--version"], capture_output=True, check=False)  # noqa: S603 - as above
    if result.returncode == 0:
        return module
    program = shutil.which("pip3") or shutil.which("pip")
    if program is None:
        raise BuildError("pip is not installed: install it, it fetches the image's wheels")
    return [program]


def _run(command: list[str], asked_by: Path) -> None:
    try:
        result = subprocess.run(  # noqa: S603 - pip or mvn, with arguments of our own
            command, capture_output=True, timeout=_LIMIT, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"{asked_by}: the download took more than {_LIMIT:g} s") from None
    if result.returncode:
        raise BuildError(f"{asked_by}: the download failed: {_reason(result)}")


def _reason(result: subprocess.CompletedProcess[bytes]) -> str:
    # pip complains on stderr, mvn on stdout; the first error is the cause of the others.
    lines = (result.stderr + result.stdout).decode(errors="replace").splitlines()
    errors = [line for line in lines if line.startswith(("ERROR:", "[ERROR]"))]
    said = (errors or [line for line in lines if line.strip()] or [""])[0]
    return said.removeprefix("ERROR:").removeprefix("[ERROR]").strip() or "without a word"
