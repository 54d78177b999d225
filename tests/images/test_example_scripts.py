"""The example runtimes in Perl, Ruby, PHP, Lua and C as images, run as on Lambda."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.real.runtimes import EXAMPLES
from tests.support import containers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.containers import Container

pytestmark = pytest.mark.matrix

SIZE = 5_000_000
MEMORY = 512


@pytest.fixture(scope="module", params=["perl", "ruby", "php", "lua", "c"])
def image(request: pytest.FixtureRequest) -> str:
    """Build the example's folder as it is; the one in C is compiled in its own Dockerfile."""
    containers.base("provided")
    return containers.build(EXAMPLES / str(request.param))


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


def test_its_image_goes_on_after_an_error(greeter: Container) -> None:
    failed = greeter.invoke({})
    after = greeter.invoke({"name": "Grace"})

    assert failed.function_error == "Unhandled"
    assert failed.payload["errorType"] == "NoName"
    assert failed.payload["errorMessage"] == 'The event has no "name"'
    assert after.payload == {"greeting": "Hello, Grace!"}


def test_its_log_has_nothing_about_locales(greeter: Container) -> None:
    greeter.invoke({"name": "Ada"})

    # Interpreters have much to say about those that are not installed.
    assert "locale" not in "".join(greeter.logs()).lower()


def test_its_image_runs_as_it_is_too(image: str) -> None:
    with containers.running(image) as container:
        assert container.invoke({"name": "Ada"}).payload == {"greeting": "Hello, Ada!"}


def test_its_image_tells_why_it_cannot_start(image: str) -> None:
    with containers.running(image, "hello.nowhere", lambda_like=True, memory=MEMORY) as container:
        answer = container.invoke({})

    assert answer.function_error == "Unhandled"
    assert answer.payload["errorType"] == "Runtime.HandlerNotFound"


def test_its_image_takes_large_events_and_any_text(image: str) -> None:
    event = {"text": "x" * SIZE, "more": "žluťoučký 漢 😀"}

    with containers.running(image, "hello.echo", lambda_like=True, memory=MEMORY) as container:
        assert container.invoke(event).payload == event


def test_its_image_knows_the_invocation(image: str) -> None:
    context = base64.b64encode(json.dumps({"custom": {"colour": "green"}}).encode()).decode()

    with containers.running(image, "hello.about", lambda_like=True, memory=MEMORY) as container:
        told = container.invoke({}, ClientContext=context).payload

    assert told["clientContext"] == {"custom": {"colour": "green"}}
    assert told["requestId"]
    assert told["arn"].endswith(f":function:{told['name']}")


def test_its_container_ends_when_it_is_told_to(image: str) -> None:
    with containers.running(image, lambda_like=True, memory=MEMORY) as container:
        assert container.invoke({"name": "Ada"}).function_error is None

        assert container.stop() == 0
