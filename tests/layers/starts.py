"""A runtime that does not start, without an emulator around it: what it posts, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_httpserver import HTTPServer

from tests.layers.built import built
from tests.real.emulator import LIMIT

PATH = "/2018-06-01/runtime/init/error"


@dataclass(frozen=True, slots=True)
class FailedStart:
    kind: str
    message: str
    header: str | None  # Lambda-Runtime-Function-Error-Type
    status: int
    log: str


def fail_to_start(
    api: HTTPServer, layer: str, folder: Path, handler: str, **variables: str
) -> FailedStart:
    """Start a layer's runtime for a handler in `folder`; it has to post an init error."""
    api.expect_request(PATH, method="POST").respond_with_data('{"status":"OK"}\n', status=202)
    ended = subprocess.run(
        [built(layer) / "bootstrap"],
        env={
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"{api.host}:{api.port}",
            "LAMBDA_TASK_ROOT": str(folder),
            "_HANDLER": handler,
            **variables,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    api.check_assertions()
    (request,) = [request for request, _ in api.log]
    error = json.loads(request.get_data())
    assert set(error) >= {"errorMessage", "errorType"}, error
    return FailedStart(
        kind=error["errorType"],
        message=error["errorMessage"],
        header=request.headers.get("Lambda-Runtime-Function-Error-Type"),
        status=ended.returncode,
        log=ended.stdout + ended.stderr,
    )
