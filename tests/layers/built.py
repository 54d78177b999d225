"""The layers, built as their users have them, once a session: `built("exec") / "bootstrap"`.

They are in .cache/layers/, which other runs of the tests share: a lock has one of them build at
a time, and a tree whose bytes have changed takes the place of the old one at once, so that no
running program is written over.
"""

from __future__ import annotations

import fcntl
import functools
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.real.runtimes import require

ROOT = Path(__file__).parents[2]
LAYERS = ROOT / "layers"
CACHE = ROOT / ".cache/layers"
FUNCTIONS = Path(__file__).parent / "functions"
TOOLS = {"exec": ("go",), "http": ("go",), "shell": ("bash", "curl"), "python": ("python3",)}
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())


@functools.cache
def built(name: str) -> Path:
    """Build a layer for this machine; return the folder that stands for /opt."""
    require(*TOOLS[name])
    with _alone():
        fresh = Path(tempfile.mkdtemp(dir=CACHE, prefix=f".{name}-"))
        try:
            build(name, fresh)
            return _settle(fresh, CACHE / name)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def build(name: str, out: Path, architecture: str = ARCHITECTURE) -> None:
    subprocess.run([LAYERS / name / "build", out, architecture], check=True)


def contents(tree: Path) -> dict[str, tuple[int, bytes]]:
    """Return what a tree has: for each file its mode and its bytes."""
    return {
        str(path.relative_to(tree)): (path.stat().st_mode, path.read_bytes())
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


@contextmanager
def _alone() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _settle(fresh: Path, place: Path) -> Path:
    fresh.chmod(0o755)
    if place.exists() and contents(place) == contents(fresh):
        return place
    # Programs that run from it, in other runs of the tests, keep their files.
    if place.exists():
        old = Path(tempfile.mkdtemp(dir=CACHE, prefix=".old-"))
        place.rename(old / place.name)
        shutil.rmtree(old)
    fresh.rename(place)
    return place
