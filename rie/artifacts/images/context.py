"""A build context put together in a temporary folder, the same for the same inputs.

Dockerfiles see it as their `.`: the image's own files, and what its image.toml carries. Modes
and times are levelled, because a COPY takes them along.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rie.artifacts.errors import BuildError
from rie.artifacts.images.downloads import download_jars, download_wheels
from rie.artifacts.images.recipe import Item, Recipe, items


@contextmanager
def assembled(recipe: Recipe, architecture: str) -> Iterator[Path]:
    """Give the folder to build in; `architecture` is x86_64 or arm64. Raises BuildError."""
    with tempfile.TemporaryDirectory(prefix="rie-image-") as temporary:
        context = Path(temporary, "context")
        try:
            _copy(items(recipe), context)
        except OSError as error:
            where = tempfile.gettempdir()
            reason = f"{error.strerror}; TMPDIR may name another folder"
            raise BuildError(f"{recipe.tag} cannot be put together in {where}: {reason}") from None
        if "wheels" in recipe.carries:
            requirements = recipe.folder / "requirements.txt"
            download_wheels(requirements, context / "wheels", architecture)
        if "jars" in recipe.carries:
            download_jars(recipe.folder / "pom.xml", context / "jars")
        _level(context)
        yield context


def _copy(found: Iterable[Item], context: Path) -> None:
    for item in found:
        target = context / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(item.source, target)
        target.chmod(0o755 if item.executable else 0o644)


def _level(context: Path) -> None:
    for folder, _, names in os.walk(context, topdown=False):
        for name in names:
            os.utime(Path(folder, name), (0, 0))
        Path(folder).chmod(0o755)
        os.utime(folder, (0, 0))
