"""A base image's folder: its image.toml, and a digest of all that the image is made of."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rie.artifacts.errors import BuildError
from rie.artifacts.shipped import shipped

MANIFEST = "image.toml"

PACKAGE = Path(__file__).parents[2]
# Both in a checkout and where packages are installed.
BOOTSTRAP = PACKAGE.parent / "bootstrap"

_KEYS = {"tag", "needs", "carries"}
_DOWNLOADED = {"wheels": "requirements.txt", "jars": "pom.xml"}
_FOLDERS = {"rie", "bootstrap"}
_LAYER = "layers/"

# What running programs leave behind, and what is made anew for each machine.
_LEFT_OUT = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".gitkeep", MANIFEST}
_LEFT_OUT_OF_PACKAGE = {"data", "sandbox/native/launcher", "sandbox/native/launcher.new"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one base image is made.

    `needs` are names of base images that its Dockerfile is FROM; `carries` is what the build
    context has beside the folder's own files.
    """

    name: str
    folder: Path
    tag: str
    needs: tuple[str, ...] = ()
    carries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a build context: where it goes, and where it comes from."""

    name: str
    source: Path

    @property
    def executable(self) -> bool:
        """Whether it may be run; of a file's mode nothing else is kept."""
        return bool(self.source.stat().st_mode & 0o100)


def names() -> list[str]:
    """Return the names of the base images that come with rie."""
    return sorted(path.parent.name for path in shipped("images").glob(f"*/{MANIFEST}"))


def recipe_of(name: str) -> Recipe:
    """Return the recipe of a base image that comes with rie. Raises BuildError."""
    if name not in names():
        known = ", ".join(names())
        raise BuildError(f"{name!r} is no folder, and no base image either: those are {known}")
    return read_recipe(shipped("images") / name)


def read_recipe(folder: Path) -> Recipe:
    """Read a folder's image.toml. Raises BuildError."""
    path = folder / MANIFEST
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BuildError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildError(f"{path} is not TOML: {error}") from None
    unknown = sorted(content.keys() - _KEYS)
    if unknown:
        known = ", ".join(sorted(_KEYS))
        raise BuildError(f"{path}: unknown key {unknown[0]!r}; there are {known}")
    tag = content.get("tag")
    if not isinstance(tag, str) or not tag:
        raise BuildError(f'{path}: there must be a tag, such as tag = "rie/python:3.11"')
    carries = _words(path, "carries", content)
    for each in carries:
        _check_carried(path, folder, each)
    return Recipe(folder.name, folder, tag, _words(path, "needs", content), carries)


def items(recipe: Recipe) -> list[Item]:
    """List what the context holds before anything is downloaded, by name. Raises BuildError."""
    found = [Item(name, path) for name, path in _files(recipe.folder)]
    for each in recipe.carries:
        if each in _DOWNLOADED:
            continue
        source, left_out = _carried(each)
        found += [
            Item(f"{each}/{name}", path)
            for name, path in _files(source)
            if not any(name == out or name.startswith(f"{out}/") for out in left_out)
        ]
    return sorted(found, key=lambda item: item.name)


def digest(recipe: Recipe, *more: str) -> str:
    """Return a digest of all that this image is made of, and of `more`.

    What is downloaded is pinned by files of the folder, so that it need not be there.
    """
    total = hashlib.sha256()
    for item in items(recipe):
        content = hashlib.sha256(item.source.read_bytes()).hexdigest()
        total.update(f"{item.name}\0{item.executable}\0{content}\n".encode())
    for text in (*recipe.carries, *more):
        total.update(f"{text}\n".encode())
    return total.hexdigest()


def _words(path: Path, key: str, content: dict[str, object]) -> tuple[str, ...]:
    value = content.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BuildError(f"{path}: {key} must be a list of names")
    return tuple(value)


def _check_carried(path: Path, folder: Path, name: str) -> None:
    pins = _DOWNLOADED.get(name)
    if pins is not None:
        if not (folder / pins).is_file():
            raise BuildError(f"{path}: to carry {name} it needs {pins} beside it")
        return
    if name not in _FOLDERS and not name.startswith(_LAYER):
        known = ", ".join([*sorted(_FOLDERS | _DOWNLOADED.keys()), "layers/NAME"])
        raise BuildError(f"{path}: cannot carry {name!r}; there are {known}")
    if not _carried(name)[0].is_dir():
        raise BuildError(f"{path}: there is no {name} to carry")


def _carried(name: str) -> tuple[Path, Sequence[str]]:
    if name == "rie":
        return PACKAGE, sorted(_LEFT_OUT_OF_PACKAGE)
    if name == "bootstrap":
        return BOOTSTRAP, ()
    return shipped("layers") / name.removeprefix(_LAYER), ()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not _LEFT_OUT.intersection(inside.parts):
            yield inside.as_posix(), path
