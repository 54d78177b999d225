"""Whoever reads the log, or does not, has no power over invocations."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.emulator.test_stop import call, program
from tests.support.pipes import read_some
from tests.support.raw_http import LIMIT
from tests.support.scripted_runtime import Script

SPAM = b"a line of the function that nobody reads\n" * 500


def test_a_log_that_nobody_reads_stops_neither_timeouts_nor_the_end(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script, "--timeout=1") as process:
        runtime = script.runtime()
        for _ in range(10):  # 200 KB into a pipe that takes 64 KiB, and is not read
            runtime.print(SPAM)
        with call(tmp_path) as caller:
            runtime.next()
            assert b"Sandbox.Timedout" in caller.read_response().body

        with call(tmp_path) as waiting:
            process.send_signal(signal.SIGTERM)
            assert waiting.read_response().status == 500
        log, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert log.count(b"that nobody reads") == 5000
        assert b"Task timed out after 1.00 seconds" in log


def test_a_pipe_for_log_and_diary_that_nobody_reads_does_not_keep_it_from_ending(
    tmp_path: Path,
) -> None:
    with Script() as script, program(tmp_path, script, stderr=subprocess.STDOUT) as process:
        runtime = script.runtime()
        for _ in range(10):
            runtime.print(SPAM)
        with call(tmp_path) as waiting:
            runtime.next()

            process.send_signal(signal.SIGTERM)

            assert waiting.read_response().status == 500
        log, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        assert b"stopping" in log
        assert log.count(b"that nobody reads") == 5000


def test_a_function_whose_log_is_far_behind_waits_with_its_printing(tmp_path: Path) -> None:
    with Script() as script, program(tmp_path, script) as process:
        runtime = script.runtime()
        caller = call(tmp_path)
        request_id = runtime.next().request_id
        runtime.begin_printing((b"x" * 99 + b"\n") * 60_000)  # 6 MB

        assert process.stdout is not None
        read = 0
        while read < 60_000 * 100:
            piece = read_some(process.stdout.fileno())
            assert piece, "the log has ended"
            read += len(piece)
        runtime.finish()
        runtime.respond(request_id, b'"done"')

        with caller:
            assert caller.read_response().body == b'"done"'
