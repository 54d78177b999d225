"""Builds images: the base images that come with rie, and a user's function FROM one of them.

The same inputs give the same image: times are those of the epoch, a base image bears a digest
of all that it was made of, and is made again only when that is another.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rie.artifacts.errors import BuildError
from rie.artifacts.images.context import assembled
from rie.artifacts.images.dockerfile import stages
from rie.artifacts.images.engine import Engine, EngineError, Image
from rie.artifacts.images.recipe import Recipe, digest, recipe_of
from rie.artifacts.images.steps import Step, step_in

Architecture = Literal["x86_64", "arm64"]
PLATFORMS: dict[Architecture, str] = {"x86_64": "amd64", "arm64": "arm64"}
_BY_PLATFORM: dict[str, Architecture] = {each: name for name, each in PLATFORMS.items()}

INPUTS = "rie.inputs"  # the label with a digest of what an image was made of
_LAST_LINES = 15

Report = Callable[[str, Step], None]  # which image, which step


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How images are to be built; `build_args` are NAME=VALUE."""

    engine: Engine
    architecture: Architecture
    cached: bool = True
    build_args: tuple[str, ...] = ()
    report: Report = lambda _image, _step: None


@dataclass(frozen=True, slots=True)
class Built:
    """An image that is there now; `made` tells whether it was not before."""

    tag: str
    image: Image
    made: bool


class StepFailedError(BuildError):
    """A step of a Dockerfile failed; `last_lines` are what the engine said before."""

    def __init__(self, message: str, last_lines: tuple[str, ...]) -> None:
        super().__init__(message)
        self.last_lines = last_lines


def own_architecture(engine: Engine) -> Architecture:
    """Return the architecture of the machine that builds. Raises BuildError."""
    said = engine.architecture()
    if said not in _BY_PLATFORM:
        raise BuildError(f"Lambda has no {said} machines: give --architecture x86_64 or arm64")
    return _BY_PLATFORM[said]


def tag_of(folder: Path) -> str:
    """Return the name that an image gets of its folder. Raises BuildError."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not name:
        raise BuildError(f"{folder}: no image can be named after this folder: give --tag")
    return f"{name}:latest"


class BaseImages:
    """Builds base images, each once, after those that it needs."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._built: dict[str, tuple[Built, str]] = {}

    def build(self, name: str) -> Built:
        """Build one that comes with rie, unless it is there as it would be. Raises BuildError."""
        return self.of(recipe_of(name))

    def of(self, recipe: Recipe) -> Built:
        """Build one by its recipe. Raises BuildError."""
        return self._with_digest(recipe)[0]

    def _with_digest(self, recipe: Recipe) -> tuple[Built, str]:
        if recipe.name not in self._built:
            needed = [self._with_digest(recipe_of(name))[1] for name in recipe.needs]
            order = self._order
            inputs = digest(recipe, order.architecture, *order.build_args, *needed)
            self._built[recipe.name] = self._up_to_date(recipe, inputs), inputs
        return self._built[recipe.name]

    def _up_to_date(self, recipe: Recipe, inputs: str) -> Built:
        order = self._order
        there = order.engine.image(recipe.tag) if order.cached else None
        if there is not None and there.labels.get(INPUTS) == inputs:
            return Built(recipe.tag, there, made=False)
        with assembled(recipe, order.architecture) as context:
            labels = ("--label", f"{INPUTS}={inputs}")
            return build(context, recipe.tag, order, *labels)


def build(folder: Path, tag: str, order: Order, *options: str) -> Built:
    """Build the Dockerfile of a folder. Raises BuildError, StepFailedError."""
    dockerfile = folder / "Dockerfile"
    arguments = [*_arguments(order, dockerfile), *options, "--tag", tag]
    arguments += ["--file", str(dockerfile), "--", str(folder)]  # whose name may begin with a dash
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    at: list[Step] = []

    def line(text: str) -> None:
        step = step_in(text)
        if step is not None:
            at[:] = [step]
            order.report(tag, step)
        if text.strip():
            last_lines.append(text)

    try:
        order.engine.follow("build", *arguments, line=line)
    except EngineError as error:
        if not at:
            raise BuildError(f"{tag}: {error}") from None
        raise StepFailedError(f"{tag}: {at[0]}: {error}", tuple(last_lines)) from None
    image = order.engine.image(tag)
    if image is None:
        raise BuildError(f"{tag}: {order.engine.name} built it and does not have it")
    return Built(tag, image, made=True)


def _arguments(order: Order, dockerfile: Path) -> list[str]:
    """Return options that make the same bytes of the same inputs, in each engine's words."""
    engine = order.engine
    if engine.name == "podman":
        # Its own networks need what a machine may lack; apt needs no address of its own.
        arguments = ["--format", _format(dockerfile), "--timestamp", "0", "--network", "host"]
    elif engine.has_buildkit():
        # A provenance would name the time of the build.
        arguments = ["--progress", "plain", "--provenance=false"]
        arguments += ["--build-arg", "SOURCE_DATE_EPOCH=0"]
    else:
        arguments = []
    if order.architecture != own_architecture(engine):
        arguments += ["--platform", f"linux/{PLATFORMS[order.architecture]}"]
    if not order.cached:
        arguments.append("--no-cache")
    for each in order.build_args:
        arguments += ["--build-arg", each]
    return arguments


def _format(dockerfile: Path) -> str:
    """Return podman's format of the image.

    Docker's has the name of the container that it was built in, another one each time, but OCI's
    does not know what these instructions say.
    """
    found = stages(dockerfile.read_text("utf-8", "replace"))
    used = {each.name for stage in found for each in stage.instructions}
    return "docker" if used & {"SHELL", "HEALTHCHECK", "ONBUILD"} else "oci"
