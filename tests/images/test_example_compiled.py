"""The example runtimes in Go, Rust, Node.js, Java and bash as images, run as on Lambda."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.real.runtimes import EXAMPLES
from tests.support import containers
from tests.support.example_runtimes import ALL, Example, deployed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.containers import Container

pytestmark = pytest.mark.matrix

SIZE = 5_000_000
MEMORY = 512


@pytest.fixture(scope="module", params=ALL, ids=lambda example: example.name)
def example(request: pytest.FixtureRequest) -> Example:
    assert isinstance(request.param, Example)
    return request.param


@pytest.fixture(scope="module")
def image(example: Example, tmp_path_factory: pytest.TempPathFactory) -> str:
    containers.base("provided")
    return containers.build(context(example, tmp_path_factory.mktemp("images") / example.name))


@pytest.fixture(scope="module")
def greeter(image: str) -> Iterator[Container]:
    """Run the image as it is, with the handler of its CMD."""
    with containers.running(image, lambda_like=True, memory=MEMORY) as container:
        yield container


def test_its_image_greets(greeter: Container) -> None:
    answer = greeter.invoke({"name": "Ada"})

    assert answer.function_error is None
    assert answer.payload == {"greeting": "Hello, Ada!"}
    assert "greeting Ada in " in answer.log


def test_its_image_goes_on_after_an_error(example: Example, greeter: Container) -> None:
    failed = greeter.invoke({})
    after = greeter.invoke({"name": "Grace"})

    assert failed.function_error == "Unhandled"
    assert failed.payload["errorType"] == example.no_name
    assert after.payload == {"greeting": "Hello, Grace!"}


def test_its_image_tells_why_it_cannot_start(example: Example, image: str) -> None:
    with containers.running(
        image, example.handler("nowhere"), lambda_like=True, memory=MEMORY
    ) as container:
        answer = container.invoke({})

    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == example.unknown


def test_its_image_takes_large_events_and_any_text(example: Example, image: str) -> None:
    event = {"text": "x" * SIZE, "more": "žluťoučký 漢 😀"}

    with containers.running(
        image, example.handler("echo"), lambda_like=True, memory=MEMORY
    ) as container:
        assert container.invoke(event).payload == event


def test_its_image_knows_the_invocation(example: Example, image: str) -> None:
    context = base64.b64encode(json.dumps({"custom": {"colour": "green"}}).encode()).decode()

    with containers.running(
        image, example.handler("about"), lambda_like=True, memory=MEMORY
    ) as container:
        told = container.invoke({}, ClientContext=context).payload

    assert told["clientContext"] == {"custom": {"colour": "green"}}
    assert told["requestId"]
    assert told["arn"].endswith(f":function:{told['name']}")


def test_its_container_ends_when_it_is_told_to(image: str) -> None:
    with containers.running(image, lambda_like=True, memory=MEMORY) as container:
        assert container.invoke({"name": "Ada"}).function_error is None

        assert container.stop() == 0


def context(example: Example, folder: Path) -> Path:
    """Copy the example as its README has it when the image is built: compiled, where it says so."""
    shutil.copytree(EXAMPLES / example.name, folder, ignore=shutil.ignore_patterns("target"))
    if "!bootstrap" in ignored(folder):
        shutil.copy(deployed(example) / "bootstrap", folder)
    return folder


def ignored(folder: Path) -> list[str]:
    path = folder / ".dockerignore"
    return path.read_text().splitlines() if path.exists() else []
