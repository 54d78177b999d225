"""`rie run` as a process that is told to stop: callers are answered, nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rie.worker import process_table
from tests.support.emulator import is_running, wait_until
from tests.support.raw_http import LIMIT, Connection, request
from tests.support.scripted_runtime import Script

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
INVOKE = "/2015-03-31/functions/function/invocations"


@contextmanager
def program(
    folder: Path, script: Script, *options: str, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    ready = folder / "ready"
    command = [sys.executable, "-m", "rie", "run", "--listen=127.0.0.1:0", "--timeout=60"]
    with subprocess.Popen(
        [*command, f"--ready-file={ready}", *options, "--", *script.command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=stderr,
    ) as process:
        try:
            wait_until(lambda: ready.exists() or process.poll() is not None, "the start")
            yield process
        finally:
            process.kill()


def call(folder: Path, payload: bytes = b"{}", *, event: bool = False) -> Connection:
    url = json.loads((folder / "ready").read_text())["invoke_api"]
    connection = Connection(url.removeprefix("http://"))
    headers = (("X-Amz-Invocation-Type", "Event"),) if event else ()
    connection.send(request("POST", INVOKE, payload, headers))
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_answers_all_callers_and_leaves_nothing_alive(
    number: signal.Signals, tmp_path: Path
) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()
        runtime.ignore(number)
        children = runtime.fork(orphan=True), runtime.fork(orphan=False)
        with call(tmp_path) as running, call(tmp_path) as waiting:
            runtime.next()

            process.send_signal(number)

            for caller in (running, waiting):
                answer = caller.read_response()
                assert answer.status == 500
                assert answer.header("X-Amzn-ErrorType") == "ServiceException"
        assert process.wait(LIMIT) == (130 if number is signal.SIGINT else 0)
        wait_until(
            lambda: not any(map(is_running, (runtime.pid, *children))), "the end of all processes"
        )
        log, diary = process.communicate(timeout=LIMIT)

    assert b"END RequestId" in log
    assert b"Traceback" not in diary


def test_a_signal_during_a_reset_ends_it_too(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()
        child = runtime.fork()
        with call(tmp_path) as caller:
            runtime.next()
            runtime.exit(1)

            process.terminate()

            assert caller.read_response().status in {200, 500}
        assert process.wait(LIMIT) == 0
        wait_until(lambda: not is_running(child), "the end of what the runtime started")
        assert b"Traceback" not in process.communicate(timeout=LIMIT)[1]


def test_a_signal_with_a_cold_environment_ends_it_too(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()
        runtime.exit(1)
        runtime.wait_for_end()

        process.terminate()

        assert process.wait(LIMIT) == 0


def test_a_signal_with_events_in_the_queue_ends_it_too(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()
        for _ in range(3):
            with call(tmp_path, event=True) as caller:
                assert caller.read_response().status == 202
        runtime.next()

        process.terminate()

        assert process.wait(LIMIT) == 0
        diary = process.communicate(timeout=LIMIT)[1]

    assert b"Traceback" not in diary
    assert b"accepted events are not run" in diary
    assert b"count=2" in diary


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()

        process.terminate()
        process.terminate()

        assert process.wait(LIMIT) in {0, 128 + signal.SIGTERM}
        wait_until(lambda: not is_running(runtime.pid), "the end of the runtime")


TWICE = """
import asyncio, signal, sys
from rie.serving import _stopper

class Emulator:
    def kill_now(self):
        print("killed", flush=True)

async def ask_twice():
    stop = asyncio.get_running_loop().create_future()
    stopped = _stopper(signal.SIGTERM, stop, Emulator())
    stopped()
    print("asked", stop.result(), flush=True)
    stopped()
    print("still there")

asyncio.run(ask_twice())
"""


def test_a_second_signal_kills_all_without_waiting_for_a_clean_end() -> None:
    done = subprocess.run(
        (sys.executable, "-c", TWICE), capture_output=True, check=False, timeout=LIMIT
    )

    assert done.stdout.splitlines() == [b"asked 0", b"killed"]
    assert done.returncode == 128 + signal.SIGTERM


def test_a_stalled_caller_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        script.runtime().park()
        url = json.loads((tmp_path / "ready").read_text())["invoke_api"]
        with Connection(url.removeprefix("http://")) as stalled:
            stalled.send(
                f"POST {INVOKE} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{{".encode()
            )

            process.terminate()

            assert process.wait(LIMIT) == 0


def test_what_short_calls_leave_behind_and_has_ended_does_not_pile_up(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()
        for _ in range(3):
            with call(tmp_path) as caller:
                request_id = runtime.next().request_id
                orphan = runtime.fork(orphan=True)
                os.kill(orphan, signal.SIGKILL)
                runtime.respond(request_id)
                assert caller.read_response().status == 200
        runtime.park()

        keeper = process_table.parent(runtime.pid)
        wait_until(
            lambda: list(process_table.descendants(keeper)) == [runtime.pid],
            "the end of what was left behind",
        )
        assert len(list(process_table.descendants(process.pid))) <= 3  # supervisor, init, runtime
