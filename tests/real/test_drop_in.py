"""The end-to-end behaviours that the official emulator's own tests check, of `aws-lambda-rie`.

Started as in AWS's base images: an entrypoint script, the official variables and flags, the
official Python client. Where that emulator differs from AWS (a timeout), AWS's answer is
expected.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import socket
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.real.emulator import MARK, Function, Program, function, user_variables
from tests.real.runtimes import CACHE, FUNCTIONS, require

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRYPOINT = Path(__file__).parent / "lambda-entrypoint.sh"
OLDER_PYTHON = CACHE / "older-python/bin/python"
ARN = "arn:aws:lambda:us-east-1:012345678912:function:"


def test_a_variable_with_an_equals_sign_survives(tmp_path: Path) -> None:
    with drop_in("official.variable", tmp_path, MyEnv="4=4") as function:
        assert function.invoke({"name": "MyEnv"}).json() == "4=4"


def test_two_calls_in_a_row_are_answered(tmp_path: Path) -> None:
    with drop_in("kit.handler", tmp_path) as function:
        assert function.invoke("first").json() == "first"
        assert function.invoke("second").json() == "second"


def test_the_arn_has_the_default_name(tmp_path: Path) -> None:
    with drop_in("official.arn", tmp_path) as function:
        assert function.invoke({}).json() == f"{ARN}test_function"


def test_the_arn_has_the_name_of_the_variable(tmp_path: Path) -> None:
    with drop_in("official.arn", tmp_path, AWS_LAMBDA_FUNCTION_NAME="MyCoolName") as function:
        assert function.invoke({}).json() == f"{ARN}MyCoolName"


def test_the_function_is_told_the_name_of_the_variable(tmp_path: Path) -> None:
    with drop_in("official.name", tmp_path, AWS_LAMBDA_FUNCTION_NAME="MyCoolName") as function:
        assert function.invoke({}).json() == "MyCoolName"


def test_the_timeout_of_the_variable_ends_the_call(tmp_path: Path) -> None:
    with drop_in("official.too_long", tmp_path, AWS_LAMBDA_FUNCTION_TIMEOUT="1") as function:
        answer = function.invoke({})

    assert answer.error == "Unhandled"
    assert answer.fields() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer.request_id} Error: Task timed out after 1.00 seconds",
    }


def test_an_exception_comes_back_with_its_stack_trace(tmp_path: Path) -> None:
    with drop_in("official.exception", tmp_path) as function:
        answer = function.invoke({})

    error = answer.fields()
    assert answer.error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("RuntimeError", "Raising an exception")
    assert isinstance(error["stackTrace"], list)
    assert "in exception" in error["stackTrace"][-1]


@pytest.mark.parametrize("timeout", [3, 10, None])
def test_the_remaining_time_follows_the_timeout(timeout: int | None, tmp_path: Path) -> None:
    variables = {"AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout)} if timeout else {}

    with drop_in("official.remaining_after_a_second", tmp_path, **variables) as function:
        times = function.invoke({}).fields()

    assert isinstance(times["remaining"], int)
    assert isinstance(times["elapsed"], float)
    assert abs(times["elapsed"] + times["remaining"] - (timeout or 300) * 1000) < 1000


def test_a_client_older_than_the_newest_headers_is_served(tmp_path: Path) -> None:
    require(str(OLDER_PYTHON))

    with drop_in("kit.handler", tmp_path, PYTHON=str(OLDER_PYTHON)) as function:
        assert function.invoke("first").json() == "first"
        assert function.invoke("second").json() == "second"


def test_each_listens_at_the_port_of_its_flag(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()

    with drop_in("kit.handler", folders[0]) as one, drop_in("kit.handler", folders[1]) as other:
        assert one.url != other.url
        assert one.invoke("one").json() == "one"
        assert other.invoke("other").json() == "other"


def test_a_client_context_is_passed_on(tmp_path: Path) -> None:
    context = base64.b64encode(json.dumps({"custom": {"foo": "bär", "n": 1}}).encode()).decode()

    with drop_in("official.client_context", tmp_path) as function:
        answer = function.send(b"{}", client_context=context)

    assert answer.json() == {"foo": "bär", "n": 1}


@contextlib.contextmanager
def drop_in(handler: str, directory: Path, **variables: str) -> Iterator[Function]:
    """Run the entrypoint script, with the official emulator's variables."""
    url, runtime_api = f"http://{free_address()}", free_address()
    flags = (
        f"--runtime-interface-emulator-address {urlsplit(url).netloc}"
        f" --runtime-api-address {runtime_api}"
    )
    programs = Path(sys.executable).parent  # aws-lambda-rie is installed there
    program = Program(
        [str(ENTRYPOINT), handler],
        directory=directory,
        cwd=FUNCTIONS / "python",
        variables={
            **user_variables(),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "EMULATOR_FLAGS": flags,
            MARK: uuid.uuid4().hex,
            **variables,
        },
    )
    try:
        program.wait_until(lambda: accepts(url))
        with function(url) as running:
            yield running
    finally:
        program.end()


def free_address() -> str:
    """Find a port from the kernel, at a loopback address that hardly anyone else listens at."""
    host = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.1"  # noqa: S311
    with socket.create_server((host, 0)) as server:
        return f"{host}:{server.getsockname()[1]}"


def accepts(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0)).close()
    except ConnectionRefusedError:
        return False
    return True
