"""The row of containers: from `podman run` to the first answer, of the Python image.

Beside it the same image with the official emulator in our own's place, started in turns.
"""

import http.client
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import copy

from benchmarks import peers, processes
from benchmarks.peers import UnavailableError
from benchmarks.places import CACHE, FUNCTION
from benchmarks.processes import NotReadyError
from benchmarks.report import Metric, Result, Target
from rie.artifacts.errors import BuildError
from rie.artifacts.images.engine import Engine, EngineError, find

STARTS = 7  # in a round, of which the median counts
BUILD_SECONDS, ANSWER_SECONDS = 900, 30
PAUSE = 0.001  # seconds, between two attempts to call

BASE = "rie/python:3.11"
OURS, OFFICIAL = "rie", "official emulator"
FIRST = Metric("first answer", "ms")
AFTER = Metric("after the engine's return", "ms")

DOCKERFILE = f'FROM {BASE}\nCOPY app.py ./\nCMD ["app.handler"]\n'
# Where the entrypoint has its emulator: all else is as it was.
WITH_OFFICIAL = "COPY emulator /usr/local/lib/rie/aws-lambda-rie\n"

Sampler = Callable[[], dict[str, float]]


def containers_row(rounds: int, interleave: Callable[..., Result]) -> Result:
    """Row 11: the first answered invocation of a container."""
    result = Result(
        id="containers",
        title=f"First answer of a container, {BASE}",
        method=(
            f"From `podman run` to the answer of a function that echoes, its port published on "
            f"loopback; medians of {STARTS} starts a round. The other image differs in the "
            "emulator only."
        ),
        metrics=(FIRST, AFTER),
        targets=(
            Target(
                what="first answer, times the official emulator's",
                top=(OURS, FIRST.name),
                bottom=(OFFICIAL, FIRST.name),
                bound="at most",
                limit=1.2,
                required=True,
            ),
        ),
    )
    try:
        with images() as tags:
            samplers = {name: sampler(tag) for name, tag in tags.items()}
            return interleave(result, rounds, samplers)
    except (BuildError, UnavailableError) as error:
        result.drop(OURS, str(error))
        return result


@contextmanager
def images() -> Iterator[Mapping[str, str]]:
    """Build both images; they are gone in the end. Raises BuildError, UnavailableError."""
    official = peers.fetch(peers.OFFICIAL)
    tags = {name: f"rie-bench/{secrets.token_hex(4)}" for name in (OURS, OFFICIAL)}
    try:
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder)
            copy(FUNCTION / "app.py", context)
            copy(official, context / "emulator")
            build(context, DOCKERFILE, tags[OURS])
            build(context, DOCKERFILE + WITH_OFFICIAL, tags[OFFICIAL])
        yield tags
    finally:
        for tag in tags.values():
            with suppress(EngineError):
                engine().call("rmi", "--force", tag)


def build(context: Path, dockerfile: str, tag: str) -> None:
    """Build a user's image, and what it is FROM, as a user would."""
    (context / "Dockerfile").write_text(dockerfile)
    command = [sys.executable, "-m", "rie", "image", "build", "--tag", tag, str(context)]
    done = subprocess.run(
        command,
        env={**variables(), "RIE_ENGINE": engine().name},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    if done.returncode:
        raise UnavailableError(done.stderr.strip().splitlines()[-1])


def engine() -> Engine:
    """Return the engine that is installed. Raises BuildError."""
    return find(os.environ.get("RIE_ENGINE"), variables())


def variables() -> dict[str, str]:
    """Return our variables, and the private configuration that the tests' set-up has made."""
    own = {
        "CONTAINERS_CONF": CACHE / "containers/containers.conf",
        "CONTAINERS_STORAGE_CONF": CACHE / "containers/storage.conf",
    }
    return {**os.environ, **{name: str(path) for name, path in own.items() if path.exists()}}


def sampler(tag: str) -> Sampler:
    """Return what measures a round of one image."""

    def sample() -> dict[str, float]:
        starts = sorted(measure(engine(), tag) for _ in range(STARTS))
        first, after = starts[STARTS // 2]
        return {FIRST.name: first, AFTER.name: after}

    return sample


def measure(engine: Engine, tag: str) -> tuple[float, float]:
    """Start a container; return ms to its first answer, and how many of them the engine left."""
    name, port = f"rie-bench-{secrets.token_hex(4)}", processes.free_port()
    try:
        began = time.perf_counter()
        engine.call("run", "--detach", f"--name={name}", f"--publish=127.0.0.1:{port}:8080", tag)
        returned = time.perf_counter()
        call_until_answered(port, returned + ANSWER_SECONDS)
        answered = time.perf_counter()
    finally:
        with suppress(EngineError):
            engine.call("rm", "--force", name)
    return (answered - began) * 1e3, (answered - returned) * 1e3


def call_until_answered(port: int, deadline: float) -> None:
    """Call until there is an answer. Raises NotReadyError."""
    while time.perf_counter() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", b'["x"]')
            answer = connection.getresponse()
            if (answer.status, answer.read()) == (200, b'["x"]'):
                return
            raise NotReadyError(f"the function's answer has the status {answer.status}")
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE)
        finally:
            connection.close()
    raise NotReadyError(f"no answer within {ANSWER_SECONDS} s")
