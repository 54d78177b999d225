"""Tries an image as Lambda would run it: one start, one invocation, one end.

Whatever it comes to, the container is removed. Where the image fails it is tried again with one
bound less, to tell which it does not stand. Times are in seconds, sizes in MB.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass, replace

from rie.artifacts.errors import BuildError
from rie.artifacts.findings import Finding, error, warning
from rie.artifacts.images.container import Container, lambda_options, started
from rie.artifacts.images.engine import Engine, EngineError, Image

LARGEST_IMAGE = 10 * 2**30
_ENTRYPOINT = "/lambda-entrypoint.sh"
_INVOKE = "/2015-03-31/functions/function/invocations"
_START_LIMIT = 60.0
_INIT_LIMIT = 30.0  # what an answer may take beside the function's own timeout
_STOP_LIMIT = 10.0
_POLL = 0.05

# Options of the container, and what it means when an image needs to be without.
_BOUNDS = {
    "--user": "it runs only as root, Lambda runs it as somebody else: chmod -R o+rX its files",
    "--read-only": "it writes outside of /tmp, which Lambda does not let it",
    "--memory": "it needs more memory: give a larger --memory-size",
}
# What entrypoints exit with.
_STATUSES = {
    126: "its ENTRYPOINT, or /var/runtime/bootstrap, may not be executed",
    127: "its ENTRYPOINT, or /var/runtime/bootstrap, is not there",
    137: "it was killed, perhaps for want of memory",
    142: 'it needs exactly one argument, the handler: CMD ["app.handler"], or --handler',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How an image is to be tried."""

    image: str
    handler: str = ""
    payload: bytes = b"{}"
    memory_size: int = 128
    tmp_size: int = 512
    timeout: int = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the function's answer, its log, and how the container ended.

    `seconds` is how long its first answer took from its start. `ended` is the exit status after
    SIGTERM; None when it had to be killed.
    """

    answer: bytes
    failed: bool
    seconds: float
    log: str
    ended: int | None
    cause: str = ""


class CannotRunError(BuildError):
    """The image takes no calls; `log` is what it printed."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


def examine(image: Image, wanted: Wanted, platform: str) -> list[Finding]:
    """Return what of Lambda's demands an image does not meet, by what the engine knows of it."""
    found: list[Finding] = []
    if image.architecture != platform:
        found.append(
            error(
                "",
                f"it is made for {image.architecture}, to be run on {platform}",
                "build it with --architecture",
            )
        )
    if image.size > LARGEST_IMAGE:
        size = f"{image.size / 2**30:.1f} GB"
        found.append(error("", f"it has {size}, Lambda takes 10 GB", "leave something out"))
    words = (*image.entrypoint, *((wanted.handler,) if wanted.handler else image.command))
    if not words:
        found.append(error("", "it has neither ENTRYPOINT nor CMD", "use one of rie's base images"))
    elif image.entrypoint == (_ENTRYPOINT,) and len(words) - 1 != 1:
        found.append(
            error(
                "",
                f"its CMD has {len(words) - 1} words, its entrypoint takes one, the handler",
                'write CMD ["app.handler"], or give --handler',
            )
        )
    elif image.entrypoint != (_ENTRYPOINT,):
        found.append(
            warning(
                "",
                f"its ENTRYPOINT is not {_ENTRYPOINT}: it must start an emulator on port 8080",
                "use one of rie's base images, or AWS's own",
            )
        )
    if image.user not in {"", "root", "0"}:
        found.append(warning("", f"its USER {image.user} means nothing to Lambda", "leave it out"))
    return found


def attempt(engine: Engine, wanted: Wanted) -> Outcome:
    """Start the image, invoke its function, end it. Raises BuildError, CannotRunError."""
    options = lambda_options(wanted.memory_size, wanted.tmp_size)
    try:
        outcome = _attempt(engine, wanted, options)
    except CannotRunError as failure:
        cause = _cause(engine, wanted, options)
        if cause:
            raise CannotRunError(f"{failure}; {cause}", failure.log) from None
        raise
    if outcome.failed:
        return replace(outcome, cause=_cause(engine, wanted, options))
    return outcome


def _cause(engine: Engine, wanted: Wanted, options: list[str]) -> str:
    """Return which of the bounds it is that the image does not stand, if it is one."""
    for bound, meaning in _BOUNDS.items():
        fewer = [each for each in options if not each.startswith(bound)]
        try:
            if not _attempt(engine, wanted, fewer).failed:
                return meaning
        except BuildError:
            continue
    return ""


def _attempt(engine: Engine, wanted: Wanted, options: list[str]) -> Outcome:
    began = time.monotonic()
    variables = [
        f"--env=AWS_LAMBDA_FUNCTION_TIMEOUT={wanted.timeout}",
        f"--env=AWS_LAMBDA_FUNCTION_MEMORY_SIZE={wanted.memory_size}",
    ]
    command = [wanted.handler] if wanted.handler else []
    with started(engine, wanted.image, [*options, *variables], command) as container:
        address = _ready(container)
        answer, failed = _invoke(address, wanted)
        seconds = time.monotonic() - began
        ended: int | None
        try:
            ended = container.terminate(_STOP_LIMIT)
        except EngineError:
            ended = None
        return Outcome(answer, failed, seconds, container.logs(), ended)


def _ready(container: Container) -> str:
    """Wait until the container takes calls, and return where. Raises CannotRunError."""
    limit = time.monotonic() + _START_LIMIT
    address = ""
    while time.monotonic() < limit:
        if not container.is_running():
            status = container.wait(_STOP_LIMIT)
            meaning = _STATUSES.get(status, "its log may tell why")
            raise CannotRunError(
                f"it ended with exit status {status} before it took calls: {meaning}",
                container.logs(),
            )
        address = address or container.address()
        if address and _answers(address):
            return address
        time.sleep(_POLL)
    raise CannotRunError(f"nothing in it takes calls, after {_START_LIMIT:g} s", container.logs())


def _answers(address: str) -> bool:
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", "/ping")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _invoke(address: str, wanted: Wanted) -> tuple[bytes, bool]:
    """Return the function's answer, and whether it failed."""
    connection = http.client.HTTPConnection(address, timeout=wanted.timeout + _INIT_LIMIT)
    try:
        connection.request("POST", _INVOKE, wanted.payload)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as failure:
        return f"no answer: {str(failure) or type(failure).__name__}".encode(), True
    finally:
        connection.close()
    said_so = answer.getheader("X-Amz-Function-Error") is not None
    return body, said_so or answer.status >= http.client.BAD_REQUEST or _reads_as_failure(body)


def _reads_as_failure(body: bytes) -> bool:
    """Whether an answer is an error's: the official emulator has no header to say so."""
    if body.startswith(b"Task timed out after"):
        return True
    try:
        content = json.loads(body)
    except ValueError:
        return False
    return isinstance(content, dict) and {"errorMessage", "errorType"} <= content.keys()
