"""`rie run` as a process: how it starts, what it says when it cannot, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.pipes import read_some

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 20.0  # for what is waited for, in seconds
RUN = (sys.executable, "-m", "rie", "run")
DROP_IN = (sys.executable, "-c", "import sys; from rie.cli import drop_in; sys.exit(drop_in())")
# Never calls the Runtime API: an environment that stays in its init phase.
SLEEPER = ("--", "sleep", "1000")


def variables(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | more


def run_to_its_end(*argv: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=cwd,
        env=variables(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


@contextmanager
def started(
    *argv: str, cwd: Path, output: int | None = None, **more: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program; whatever becomes of the test, it ends."""
    with subprocess.Popen(
        argv, cwd=cwd, env=variables(**more), stdout=output, stderr=output
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # a kill would leave its runtime behind
            try:
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@contextmanager
def running(folder: Path, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    ready = folder / "ready"
    command = (*RUN, "--listen=127.0.0.1:0", f"--ready-file={ready}", *argv)
    with started(*command, cwd=folder, output=subprocess.PIPE) as process:
        wait_for(lambda: ready.exists() or process.poll() is not None)
        yield process


def wait_for(condition: object, limit: float = LIMIT) -> None:
    assert callable(condition)
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def processes_of(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in entry.read_bytes():
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


@pytest.fixture
def taken() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("command", "name", "flag"),
    [
        (RUN, "rie run", "--listen"),
        (DROP_IN, "aws-lambda-rie", "--runtime-interface-emulator-address"),
    ],
)
def test_a_port_in_use_is_one_line_and_exits_with_2(
    command: tuple[str, ...], name: str, flag: str, taken: str, tmp_path: Path
) -> None:
    result = run_to_its_end(*command, flag, taken, *SLEEPER, cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr == (
        f"{name}: --listen '{taken}' cannot be listened on: address already in use; "
        "choose another with --listen\n"
    )


def test_a_runtime_api_port_in_use_is_said_as_such(taken: str, tmp_path: Path) -> None:
    options = ("--listen=127.0.0.1:0", "--runtime-api", taken)

    result = run_to_its_end(*RUN, *options, *SLEEPER, cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr.startswith(f"rie run: --runtime-api '{taken}' cannot be listened on")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_standard_descriptor_that_is_closed_is_not_taken_for_something_else(
    number: int, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    command = (*RUN, "--listen=127.0.0.1:0", f"--ready-file={ready}", *SLEEPER)
    closing = ("sh", "-c", f'exec "$@" {number}>&-', "sh")
    with started(*closing, *command, cwd=tmp_path) as process:
        wait_for(lambda: ready.exists() or process.poll() is not None)

        standard = Path(f"/proc/{process.pid}/fd/{number}").readlink()

    assert standard == Path("/dev/null")
    assert process.returncode == 0


def test_a_variable_that_is_too_large_to_start_with_is_a_launch_error(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("HUGE=" + "x" * 200_000)
    with running(tmp_path, "--env-file=env", "--diary-format=json", *SLEEPER) as process:
        process.terminate()
        log, diary = process.communicate(timeout=LIMIT)

    assert b"Runtime.InvalidEntrypoint" in log
    assert b"argument list too long" in diary
    assert b"variables or the command's arguments are too large" in diary
    assert b"the function's variables take 200004 bytes" in diary
    assert b"Traceback" not in diary


@pytest.mark.parametrize("host", [f"{'x' * 64}.x", "no host", b"\xff"])
def test_a_host_that_is_none_is_one_line_and_exits_with_2(
    host: str | bytes, tmp_path: Path
) -> None:
    listen = f"--listen={os.fsdecode(host)}:0"

    result = run_to_its_end(*RUN, listen, *SLEEPER, cwd=tmp_path)

    assert result.returncode == 2
    assert "cannot be listened on: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_ready_file_says_where_and_who(tmp_path: Path) -> None:
    with running(tmp_path, *SLEEPER) as process:
        ready = json.loads((tmp_path / "ready").read_text())

        assert ready["pid"] == process.pid
        assert ready["invoke_api"].startswith("http://127.0.0.1:")


def test_a_ready_file_that_cannot_be_written_is_all_that_is_told(tmp_path: Path) -> None:
    options = ("--listen=127.0.0.1:0", "--ready-file=none/ready")

    result = run_to_its_end(*RUN, *options, *SLEEPER, cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr == (
        f"rie run: --ready-file '{tmp_path}/none/ready' cannot be written: "
        "No such file or directory\n"
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_what_it_started(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    mark = f"CLI_TEST={tmp_path}"
    with running(tmp_path, f"--env={mark}", *SLEEPER) as process:
        wait_for(lambda: processes_of(mark))

        process.send_signal(number)

        assert process.wait(LIMIT) == status
        wait_for(lambda: not processes_of(mark))


def test_the_diary_says_where_calls_are_taken(tmp_path: Path) -> None:
    with running(tmp_path, "--diary-format=json", *SLEEPER) as process:
        process.terminate()
        _, diary = process.communicate(timeout=LIMIT)

    events = [json.loads(line) for line in diary.splitlines()]
    assert [event["invoke_api"] for event in events if event["event"] == "listening"] == [
        json.loads((tmp_path / "ready").read_text())["invoke_api"]
    ]


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0)]
)
def test_an_end_before_it_is_up_leaves_nothing_running(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    mark = f"CLI_TEST={tmp_path}"
    command = (*RUN, "--listen=127.0.0.1:0", f"--env={mark}", *SLEEPER)
    with started(*command, cwd=tmp_path) as process:
        wait_for(lambda: processes_of(mark))  # well before the emulator's imports are done

        process.send_signal(number)

        assert process.wait(LIMIT) == status
        wait_for(lambda: not processes_of(mark))


def test_a_diary_without_structlog_does_not_end_it(tmp_path: Path) -> None:
    (tmp_path / "structlog.py").write_text("raise OSError(24, 'Too many open files')")
    command = (*RUN, "--listen=127.0.0.1:0", "--ready-file=ready", *SLEEPER)
    path = f"{tmp_path}:{ROOT}"
    with started(*command, cwd=tmp_path, output=subprocess.PIPE, PYTHONPATH=path) as process:
        assert process.stderr
        told = b""
        while not (b"listening" in told and told.endswith(b"\n")):
            piece = read_some(process.stderr.fileno(), 1)
            assert piece, told
            told += piece
        process.terminate()
        _, rest = process.communicate(timeout=LIMIT)

    assert process.returncode == 0
    assert b"[info] listening invoke_api=http://127.0.0.1:" in told
    assert b"stopping signal=SIGTERM" in rest
    assert b"Traceback" not in rest


def test_nohup_keeps_it_running(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited, as from nohup
    try:
        with running(tmp_path, *SLEEPER) as process:
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            _, diary = process.communicate(timeout=LIMIT)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert b"SIGTERM" in diary
    assert b"SIGHUP" not in diary


START_OF_ALL = """
import os, signal
from rie.core import assignment

begin = assignment.Assignment.__init__

def begin_and_end(*arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    begin(*arguments, **options)

assignment.Assignment.__init__ = begin_and_end
"""


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("uvloop", "import os, signal; os.kill(os.getpid(), signal.SIGTERM); raise ImportError"),
        ("sitecustomize", START_OF_ALL),
    ],
    ids=["before the event loop", "while all is put together"],
)
def test_an_end_in_the_middle_of_the_start_leaves_nothing_running(
    module: str, code: str, tmp_path: Path
) -> None:
    mark = f"CLI_TEST={tmp_path}"
    (tmp_path / f"{module}.py").write_text(code)
    command = (*RUN, "--listen=127.0.0.1:0", f"--env={mark}", *SLEEPER)

    result = run_to_its_end(*command, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")

    assert "Traceback" not in result.stderr
    assert result.returncode == 0
    wait_for(lambda: not processes_of(mark))


def test_an_end_does_not_break_into_an_import(tmp_path: Path) -> None:
    # orjson dies of SIGSEGV when an exception does.
    (tmp_path / "orjson.py").write_text(
        "import os, signal, sys\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "open('whole', 'w').close()\n"
        "sys.path.remove(os.path.dirname(__file__))\n"
        "del sys.modules['orjson']\n"
        "import orjson\n"
    )
    command = (*RUN, "--listen=127.0.0.1:0", *SLEEPER)

    result = run_to_its_end(*command, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{ROOT}")

    assert result.returncode == 0
    assert (tmp_path / "whole").exists()
