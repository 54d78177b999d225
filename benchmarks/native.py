"""Builds the benchmark's C programs, again whenever their source has changed."""

import shutil
import subprocess
from pathlib import Path

from benchmarks.places import BUILDS, HERE

FLAGS = ("-O2", "-Wall", "-Wextra")


class CannotBuildError(Exception):
    """There is no C compiler, or it refuses the source."""


def build(name: str) -> Path:
    """Return the program that `name`.c makes, compiled unless it is newer than its source."""
    source, program = HERE / f"{name}.c", BUILDS / name
    if program.exists() and program.stat().st_mtime >= source.stat().st_mtime:
        return program
    compiler = shutil.which("cc")
    if compiler is None:
        raise CannotBuildError("no C compiler: install one that answers to cc (gcc or clang)")
    BUILDS.mkdir(parents=True, exist_ok=True)
    command = [compiler, *FLAGS, "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"{source.name}: {done.stderr.strip()}")
    return program
