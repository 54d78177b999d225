"""Real containers for tests: images are built by `rie image build`, and run with one engine.

    tag = containers.build(folder)  # whose Dockerfile is FROM rie/python:3.11
    with containers.running(tag, lambda_like=True) as container:
        assert container.invoke({"name": "you"}).payload == "hello, you"

The engine is podman with a configuration of its own in .cache/containers, which
tests/images/setup.sh makes, or what RIE_ENGINE names. Several runs of the tests may use it at
once: they take turns where they build the same image. Blocking, each wait with a limit.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, Unpack
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.images import container as lifecycle
from rie.artifacts.images.engine import Engine, EngineError, find
from rie.artifacts.images.recipe import recipe_of
from tests.support.emulator import InvokeParameters, boto3_client, wait_until

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache/containers"

BUILD_LIMIT = 1200.0  # seconds; most of it would be waiting for another run's build
STOP_LIMIT = 30.0

_built: set[str] = set()
_direct = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What an invocation came to; `log` is the tail of the function's log."""

    payload: Any
    function_error: str | None
    log: str


class Options(TypedDict, total=False):
    """How a container is run; sizes in MB, `options` as `podman run` takes them."""

    lambda_like: bool
    memory: int
    tmp: int
    env: Mapping[str, str]
    options: Sequence[str]


class Container:
    """A container that takes calls at `url`."""

    def __init__(self, engine: Engine, running: lifecycle.Container) -> None:
        self.engine = engine
        self.id = running.id
        self._running = running
        self.url = ""  # of the emulator, once it takes calls

    def invoke(self, payload: object = None, **parameters: Unpack[InvokeParameters]) -> Answer:
        """Call the function with boto3 through the published port; `payload` becomes JSON."""
        chosen: Any = {
            "FunctionName": "function",
            "LogType": "Tail",
            "Payload": json.dumps(payload).encode(),
            **parameters,
        }
        with closing(boto3_client(self.url)) as client:
            answer = client.invoke(**chosen)
            body = answer["Payload"].read()
        return Answer(
            payload=json.loads(body) if body else None,
            function_error=answer.get("FunctionError"),
            log=base64.b64decode(answer.get("LogResult", "")).decode(),
        )

    def find(self) -> str:
        """Return the emulator's URL; "" when the container has ended."""
        address = self._running.address()
        return address and f"http://{address}"

    def logs(self) -> tuple[str, str]:
        """Return what the container has printed so far: stdout, stderr."""
        result = subprocess.run(
            [str(self.engine.program), "logs", self.id],
            env=dict(self.engine.environ),
            capture_output=True,
            timeout=STOP_LIMIT,
            check=True,
        )
        return result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")

    def run(self, *command: str) -> str:
        """Run a command inside the container and return its stdout."""
        return self.engine.call("exec", self.id, *command)

    def is_running(self) -> bool:
        return self._running.is_running()

    def stop(self) -> int:
        """Send SIGTERM to its first process, wait for its end, and return its exit status."""
        return self._running.terminate(STOP_LIMIT)

    def wait(self) -> int:
        """Wait until it ends by itself, and return its exit status."""
        return self._running.wait(STOP_LIMIT)


@cache
def engine() -> Engine:
    """Return the engine that tests use; without one the test is skipped, in CI it fails."""
    try:
        found = find(os.environ.get("RIE_ENGINE"), variables())
        found.architecture()
    except BuildError as error:
        reason = f"{error}; tests/images/setup.sh sees to an engine"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def variables() -> Mapping[str, str]:
    """Return the variables to run rie, or an engine, with."""
    own = {
        "CONTAINERS_CONF": str(CACHE / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(CACHE / "storage.conf"),
    }
    return os.environ | {name: path for name, path in own.items() if Path(path).exists()}


def rie(*arguments: str, limit: float = BUILD_LIMIT) -> subprocess.CompletedProcess[str]:
    """Run `rie ARGUMENTS...` with this engine."""
    chosen = {**variables(), "RIE_ENGINE": engine().name}
    return subprocess.run(
        [sys.executable, "-m", "rie", *arguments],
        cwd=ROOT,
        env=chosen,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


@cache
def base(name: str) -> str:
    """Build a base image (`python`) if it is not there as it would be; return its tag."""
    recipe = recipe_of(name)
    for needed in recipe.needs:
        base(needed)
    with _turn(recipe.tag):
        result = rie("image", "build", name)
    assert result.returncode == 0, result.stderr
    return recipe.tag


def build(folder: Path, *options: str, tag: str = "") -> str:
    """Build a user's Dockerfile by `rie image build` and return its tag; it goes in the end."""
    tag = tag or f"rie-test/{folder.name.lower()}:{secrets.token_hex(4)}"
    with _turn(tag):
        result = rie("image", "build", *options, "--tag", tag, str(folder))
    assert result.returncode == 0, result.stderr
    _built.add(tag)
    return tag


def remove_built() -> None:
    """Remove what `build` has built."""
    while _built:
        with suppress(EngineError):
            engine().call("rmi", "--force", _built.pop())


def _written(options: Options) -> Iterator[str]:
    if options.get("lambda_like"):
        yield from lifecycle.lambda_options(options.get("memory", 128), options.get("tmp", 512))
    for name, value in options.get("env", {}).items():
        yield f"--env={name}={value}"
    yield from options.get("options", ())


@contextmanager
def started(
    tag: str,
    *command: str,
    **options: Unpack[Options],
) -> Iterator[Container]:
    """Start a container of an image; it is gone in the end."""
    with lifecycle.started(engine(), tag, [*_written(options)], command) as container:
        yield Container(engine(), container)


@contextmanager
def running(tag: str, *command: str, **options: Unpack[Options]) -> Iterator[Container]:
    """Start a container of an image and wait until it takes calls; it is gone in the end.

    `command` stands for the image's CMD: a handler.
    """
    with started(tag, *command, **options) as container:
        _await_calls(container)
        yield container


def _await_calls(container: Container) -> None:
    def is_ready() -> bool:
        container.url = container.url or container.find()
        return _answers(container.url) or not container.is_running()

    wait_until(is_ready, "the container")
    assert container.is_running(), f"it has ended: {container.logs()}"


def _answers(url: str) -> bool:
    if not url:
        return False
    try:
        with _direct.open(f"{url}/ping", timeout=STOP_LIMIT):
            return True
    except HTTPError:
        return True  # another emulator, which has no /ping
    except OSError:
        return False


@contextmanager
def _turn(tag: str) -> Iterator[None]:
    """Wait until nobody else builds this image."""
    folder = CACHE / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / tag.replace("/", "_")).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
