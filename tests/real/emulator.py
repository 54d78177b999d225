"""The emulator as its user has it: a process of its own, called with boto3.

`Program` starts and ends a process and sees to it that nothing survives it; `Function` is the
caller's side. What runs in the emulator is for runtimes.py to say. Times are in seconds.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import InvocationRequestTypeDef

LIMIT = 30.0  # for anything that is waited for: generous, since the machine may be busy
MARK = "REAL_TEST_MARK"  # a variable that all processes of one program have


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller got. `error` is X-Amz-Function-Error, `log` the decoded log tail."""

    payload: bytes
    error: str | None
    request_id: str
    log: bytes | None

    def json(self) -> object:
        return json.loads(self.payload)

    def fields(self) -> dict[str, object]:
        fields = self.json()
        assert isinstance(fields, dict), fields
        return fields


@dataclass(frozen=True, slots=True)
class Function:
    """A function in a running emulator, named as `--function-name` or its default says."""

    client: LambdaClient
    url: str
    name: str = "function"

    def call(self, do: str, **arguments: object) -> Answer:
        """Have the kit (functions/) do something."""
        return self.invoke({"do": do, **arguments})

    def invoke(self, event: object) -> Answer:
        return self.send(json.dumps(event, ensure_ascii=False).encode())

    def send(self, payload: bytes, *, client_context: str = "", tail: bool = False) -> Answer:
        request: InvocationRequestTypeDef = {
            "FunctionName": self.name,
            "Payload": payload,
            "LogType": "Tail" if tail else "None",
        }
        if client_context:
            request["ClientContext"] = client_context
        response = self.client.invoke(**request)
        log = response.get("LogResult")
        return Answer(
            payload=response["Payload"].read(),
            error=response.get("FunctionError"),
            request_id=response["ResponseMetadata"]["RequestId"],
            log=base64.b64decode(log) if log else None,
        )


class Program:
    """A running process, marked so that what it starts can be found."""

    def __init__(
        self, command: Sequence[str], *, directory: Path, cwd: Path, variables: Mapping[str, str]
    ) -> None:
        self.mark = variables[MARK]
        self.log = directory / "log"
        self.diary = directory / "diary"
        with self.log.open("wb") as stdout, self.diary.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    def wait_until(self, ready: Callable[[], bool]) -> None:
        wait_until(lambda: self._process.poll() is not None or ready(), "the emulator's start")
        assert self._process.poll() is None, self.diary.read_text()

    def end(self) -> None:
        """End it as `docker stop` does, and check that it ends well and takes all with it."""
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(LIMIT)
        finally:
            self._process.kill()
            self._process.wait()
        diary = self.diary.read_text()
        assert code == 0, f"exit {code}\n{diary}"
        # A function's failure is no failure of the emulator's.
        assert not re.search("Traceback|error|critical", diary), diary
        # A killed process is still listed while the kernel takes it down.
        wait_until(lambda: not survivors(self.mark), lambda: f"the end of {survivors(self.mark)}")


@contextlib.contextmanager
def emulator(  # noqa: PLR0913 - a knob of the program each
    command: Sequence[str],
    *,
    task_root: Path,
    directory: Path,
    timeout: int = 60,
    environments: int = 1,
    options: Sequence[str] = (),
) -> Iterator[Function]:
    """Run `rie run` with `command`, as a function of the files in `task_root`.

    `directory` is the run's own: log, diary and ready file go there, and the function's
    temporary files.
    """
    ready = directory / "ready"
    mark = uuid.uuid4().hex
    program = Program(
        [
            *(sys.executable, "-P", "-m", "rie", "run"),
            *("--listen", "127.0.0.1:0", "--ready-file", str(ready)),
            *("--timeout", str(timeout), "--memory-size", "1024"),
            *("--environments", str(environments), "--task-root", str(task_root)),
            *("--env", f"{MARK}={mark}"),
            *options,
            *("--", *command),
        ],
        directory=directory,
        cwd=task_root,
        variables={**user_variables(), MARK: mark},
    )
    try:
        program.wait_until(lambda: _parsed(ready) is not None)
        with function(str((_parsed(ready) or {})["invoke_api"])) as callable_function:
            yield callable_function
    finally:
        program.end()


@contextlib.contextmanager
def function(url: str, name: str = "function") -> Iterator[Function]:
    client = boto3.client(
        "lambda",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - of no account
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=50),
    )
    with contextlib.closing(client):
        yield Function(client, url, name)


def user_variables() -> dict[str, str]:
    """Give this process's variables without those that would configure an emulator or a client."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RIE_", "AWS_", "_HANDLER", "LAMBDA_"))
    }


def survivors(mark: str) -> list[str]:
    """Find the running processes of the program that was started with this mark."""
    return [
        (entry.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        for entry in Path("/proc").glob("[0-9]*/environ")
        if f"{MARK}={mark}".encode() in _contents(entry)
    ]


def wait_until(condition: Callable[[], bool], what: str | Callable[[], str]) -> None:
    limit = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"waited in vain for {what if isinstance(what, str) else what()}")
        time.sleep(0.005)


def _parsed(ready: Path) -> dict[str, object] | None:
    try:
        found: dict[str, object] = json.loads(_contents(ready))
    except ValueError:  # not there yet, or half written
        return None
    return found


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # not there (any more), or another user's
        return b""
