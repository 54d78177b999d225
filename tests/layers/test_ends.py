"""How the layers' runtimes end: by SIGTERM, which extensions have Lambda send, and by SIGKILL.

The Runtime API is a socket of the test's own that never answers, as when nothing is to be done.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.layers.built import FUNCTIONS, built
from tests.real.emulator import LIMIT, wait_until

# What the process says of itself: its number, and later that it was asked to end.
WORKER = """#!/bin/bash
trap 'echo asked >>"$SAYS"; exit 0' TERM
echo $$ >>"$SAYS"
while [[ -e $SAYS ]]; do sleep 0.02; done
"""
SERVER = """#!/usr/bin/env python3
import os, signal, socket, sys
says = open(os.environ["SAYS"], "a", buffering=1)
def end(*_):
    print("asked", file=says)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
print(os.getpid(), file=says)
while True:
    listener.accept()
"""


@dataclass(frozen=True, slots=True)
class Parked:
    """A runtime that waits for an event, and what its child has said so far."""

    process: subprocess.Popen[bytes]
    says: Path

    def child(self) -> int:
        return int(self.says.read_text().split()[0])


@contextmanager
def parked(layer: str, folder: Path, handler: str, **variables: str) -> Iterator[Parked]:
    says = folder / "says"
    with socket.create_server(("127.0.0.1", 0)) as api:
        api.settimeout(LIMIT)
        env = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.getsockname()[1]}",
            "LAMBDA_TASK_ROOT": str(folder),
            "_HANDLER": handler,
            "SAYS": str(says),
            **variables,
        }
        process = subprocess.Popen([built(layer) / "bootstrap"], env=env, cwd=folder)
        try:
            connection, _ = api.accept()
            with connection:
                assert connection.recv(4096).startswith(b"GET /2018-06-01/runtime/invocation/next")
                yield Parked(process, says)
        finally:
            process.kill()
            process.wait()


def put(folder: Path, text: str) -> str:
    (folder / "handler").write_text(text)
    (folder / "handler").chmod(0o755)
    return "handler"


def has_ended(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


KEEPERS = {
    "exec": (WORKER, {"RIE_EXEC_MODE": "lines"}),
    "http": (SERVER, {"RIE_HTTP_PORT": "0", "RIE_HTTP_READY_PROTOCOL": "tcp"}),
}


@pytest.mark.parametrize("layer", KEEPERS)
def test_sigterm_ends_the_process_that_is_kept_and_then_the_runtime(
    tmp_path: Path, layer: str
) -> None:
    text, variables = KEEPERS[layer]
    with parked(layer, tmp_path, put(tmp_path, text), **variables) as runtime:
        wait_until(lambda: runtime.says.exists() and bool(runtime.says.read_text()), "its number")

        runtime.process.send_signal(signal.SIGTERM)

        assert runtime.process.wait(LIMIT) == 0
        assert runtime.says.read_text().split()[1:] == ["asked"]
        assert has_ended(runtime.child())


@pytest.mark.parametrize("layer", KEEPERS)
def test_the_process_that_is_kept_dies_with_the_runtime(tmp_path: Path, layer: str) -> None:
    text, variables = KEEPERS[layer]
    with parked(layer, tmp_path, put(tmp_path, text), **variables) as runtime:
        wait_until(lambda: runtime.says.exists() and bool(runtime.says.read_text()), "its number")

        runtime.process.kill()

        wait_until(lambda: has_ended(runtime.child()), "the child's end")


@pytest.mark.parametrize(
    ("layer", "handler", "status"),
    [("exec", "once.py", 0), ("shell", "shell.kit", -signal.SIGTERM)],
)
def test_sigterm_ends_a_runtime_that_waits(
    tmp_path: Path, layer: str, handler: str, status: int
) -> None:
    with parked(layer, tmp_path, handler, LAMBDA_TASK_ROOT=str(FUNCTIONS)) as runtime:
        runtime.process.send_signal(signal.SIGTERM)

        assert runtime.process.wait(LIMIT) == status
