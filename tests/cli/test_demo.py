"""`make demo`: the first thing that a new user sees."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.raw_http import LIMIT

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples/demo/demo.sh"


@pytest.fixture(scope="module")
def output() -> str:
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    began = time.monotonic()
    result = subprocess.run(
        [DEMO], env=environ, capture_output=True, text=True, check=False, timeout=LIMIT
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert time.monotonic() - began < 10
    return result.stdout


def test_the_demo_shows_the_answer(output: str) -> None:
    assert "Hello, Lambda!" in output


def test_the_demo_shows_the_functions_log_in_order(output: str) -> None:
    log = output[output.index("its log") :]
    places = [log.index(mark) for mark in ("START RequestId", "END RequestId", "REPORT RequestId")]

    assert places == sorted(places)
    assert log[places[0] : places[1]].count("\n") > 1  # the function's own line stands between


def test_the_demo_leaves_nothing_running(output: str) -> None:
    endpoint = output.split("takes calls at ")[1].split(maxsplit=1)[0]
    program = [sys.executable, "-m", "rie", "invoke", "--endpoint", endpoint]

    done = subprocess.run(program, capture_output=True, check=False, timeout=LIMIT)
    assert done.returncode == 2
