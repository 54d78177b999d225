"""A Node.js client as a process, played against a scripted Runtime API.

`play` gives it events, one after the other, and then the end; what it posted, how it ended and
what it logged is compared: with what AWS's own client does in the same place, or with what is
known of it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bootstrap.scripted import (
    ACCEPTED,
    Event,
    Finished,
    Request,
    ScriptedApi,
    finish,
)
from tests.real.runtimes import NODE_CLIENT, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OURS = ("node", str(ROOT / "images/node/runtime/index.cjs"))
OFFICIAL = ("node", str(NODE_CLIENT / "index.mjs"))
# The official client crashes at a reply that has no content type.
THE_END = b"HTTP/1.1 500 X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
NODE_22 = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs22.x"}
NODE_24 = {"AWS_EXECUTION_ENV": "AWS_Lambda_nodejs24.x"}
ARN = "arn:aws:lambda:us-east-1:012345678912:function:fn"
FUNCTION = {
    "AWS_LAMBDA_FUNCTION_NAME": "fn",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/28/[7]0123",
}
# A line of the log begins with a time and a request id, or "-".
RECORD = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t(\S+)\t([A-Z]+)\t(.*)$")


@dataclass(frozen=True, slots=True)
class Played:
    posts: list[Request]
    ended: Finished

    def answers(self) -> list[tuple[str, object]]:
        """Give the last word of each post's path and its body, without stack traces."""
        return [(post.path.rpartition("/")[2], _without_trace(post.body)) for post in self.posts]

    def answer(self) -> tuple[str, object]:
        (only,) = self.answers()
        return only

    def records(self) -> list[tuple[str, str, str]]:
        """Give request id, level and message of each line of the log."""
        lines = (RECORD.match(line) for line in self.ended.out.split("\n") if line)
        return [(line[1], line[2], line[3]) for line in lines if line]


def event(value: object = None, **headers: str) -> Event:
    """Make a reply to /next; header names are given without Lambda-Runtime-, with underscores."""
    given = {f"Lambda-Runtime-{name.replace('_', '-')}": text for name, text in headers.items()}
    usual = {
        "Lambda-Runtime-Deadline-Ms": "4102444800000",
        "Lambda-Runtime-Invoked-Function-Arn": ARN,
    }
    return Event(json.dumps(value).encode(), usual | given)


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def start(  # noqa: PLR0913, PLR0917 - as `play`
    command: Sequence[str],
    api: ScriptedApi,
    folder: Path,
    handler: str,
    env: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "_", "NODE_"))
    }
    return subprocess.Popen(
        command,
        env={
            **inherited,
            **FUNCTION,
            "_HANDLER": handler,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "LAMBDA_TASK_ROOT": str(folder),
            **(env or {}),
        },
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        pass_fds=pass_fds,
    )


def play(
    command: Sequence[str],
    folder: Path,
    files: Mapping[str, str],
    *events: Event,
    handler: str = "app.handler",
    env: Mapping[str, str] | None = None,
) -> Played:
    """Run a client until it ends; after the last event the Runtime API says that it shall.

    One that fails to start posts once: that takes the place of the first event.
    """
    write(folder, files)
    script = [line for each in events for line in (each, ACCEPTED)]
    with ScriptedApi(*script, THE_END) as api:
        ended = finish(start(command, api, folder, handler, env))
        return Played(api.posts(), ended)


def play_ours(
    folder: Path,
    source: str,
    *events: Event,
    file: str = "app.js",
    env: Mapping[str, str] | None = None,
) -> Played:
    """Run ours, by the rules up to Node.js 22 if `env` says nothing else, whatever runs it."""
    variables = {**NODE_22, **(env or {})}
    return play(OURS, folder, {file: source}, *(events or (event(),)), env=variables)


def _without_trace(body: bytes) -> object:
    value = json.loads(body)
    if isinstance(value, dict) and "errorType" in value:
        return {key: item for key, item in value.items() if key != "trace"}
    return value
