"""The command line as its user meets it: help, versions, one line for an error, exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rie.cli import drop_in, main
from rie.commands.drop_in import OPTIONS as DROP_IN_OPTIONS
from rie.commands.invoke import OPTIONS as INVOKE_OPTIONS
from rie.commands.run import OPTIONS as RUN_OPTIONS
from rie.options import Option
from rie.version import __version__
from tests.support.raw_http import LIMIT

BIN = Path(sys.executable).parent


def run_program(*argv: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT
    )


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"], ["help"]])
def test_rie_alone_explains_itself(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    assert "run a function as AWS Lambda runs it" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["--version"], ["run", "--version"], ["invoke", "--version"]])
def test_the_version_is_printed(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    assert capsys.readouterr().out == f"rie {__version__}\n"


def test_the_drop_in_has_a_version_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert drop_in(["--version"]) == 0
    assert capsys.readouterr().out == f"rie {__version__}\n"


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert (drop_in(["--help"]) if command == "aws-lambda-rie" else main([command, "--help"])) == 0
    return capsys.readouterr().out


TABLES = {"run": RUN_OPTIONS, "invoke": INVOKE_OPTIONS, "aws-lambda-rie": DROP_IN_OPTIONS}


@pytest.mark.parametrize("command", TABLES)
def test_help_fits_a_terminal_of_80_columns(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = help_of(command, capsys).splitlines()

    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize(
    ("command", "option"),
    [
        pytest.param(command, option, id=f"{command} {option.name}")
        for command, table in TABLES.items()
        for option in table
    ],
)
def test_help_shows_every_option_with_default_and_variables(
    command: str, option: Option, capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(help_of(command, capsys).split())

    assert f"--{option.name}" in words
    assert option.default in words
    assert all(variable in words for variable in option.all_variables)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["fly"], "rie: unknown command 'fly'; see rie --help"),
        (["run", "--timeot=1"], "rie run: unknown option '--timeot' (did you mean '--timeout'?)"),
        (["run", "--timeout=0"], "rie run: --timeout '0' must be more than 0 seconds"),
        (["run", "--timeout=soon"], "rie run: --timeout 'soon' must be a number of seconds"),
        (["run", "--task-root=/nowhere"], "rie run: --task-root '/nowhere' is not a folder"),
        (["run", "--env-file=/nowhere"], "rie run: --env-file '/nowhere' cannot be read"),
        (["invoke", "--tale"], "rie invoke: unknown option '--tale'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_exits_with_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2

    out, err = capsys.readouterr()
    assert err.startswith(message)
    assert (out, err.count("\n")) == ("", 1)


def test_the_drop_in_says_errors_under_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert drop_in(["--runtime-api-address", "9001"]) == 2
    assert capsys.readouterr().err == (
        "aws-lambda-rie: --runtime-api-address '9001' must be HOST:PORT, such as 127.0.0.1:8080\n"
    )


def test_variables_of_the_process_are_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIE_MEMORY_SIZE", "1")

    assert main(["run"]) == 2
    assert capsys.readouterr().err == "rie run: RIE_MEMORY_SIZE '1' must be from 128 to 10240 MB\n"


@pytest.mark.parametrize(
    "program", [(BIN / "rie",), (sys.executable, "-m", "rie")], ids=["rie", "python -m rie"]
)
def test_the_installed_program_exits_with_the_status(program: tuple[str | Path, ...]) -> None:
    good, bad = run_program(*program, "--version"), run_program(*program, "run", "--nonsense")

    assert (good.returncode, good.stdout) == (0, f"rie {__version__}\n")
    assert (bad.returncode, bad.stdout) == (2, "")


def test_the_drop_in_is_installed_under_the_official_name() -> None:
    result = run_program(BIN / "aws-lambda-rie", "--help")

    assert result.returncode == 0
    assert "--runtime-interface-emulator-address" in result.stdout


PROGRAM = (sys.executable, "-m", "rie")


def run_shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of sh, in which $RIE is `rie`."""
    environ = {"RIE": f"{sys.executable} -m rie", "PATH": os.environ["PATH"]}
    return subprocess.run(
        ("sh", "-c", command),
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def test_a_working_folder_that_was_deleted_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()

    result = run_shell("cd gone && rmdir ../gone && $RIE run -- true", tmp_path)

    assert result.returncode == 2
    assert result.stderr == (
        "rie run: the current folder cannot be used: no such file or directory\n"
    )


@pytest.mark.parametrize("arguments", ["run --help", "--help", "--version", "invoke --version"])
def test_a_full_stdout_is_said_in_one_line(arguments: str, tmp_path: Path) -> None:
    result = run_shell(f"$RIE {arguments} >/dev/full", tmp_path)

    assert result.returncode == 2
    assert "stdout cannot be written to: No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1


def test_nothing_is_said_to_a_reader_that_has_gone(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = subprocess.run(
            (*PROGRAM, "run", "--help"),
            cwd=tmp_path,
            stdout=write_end,
            stderr=subprocess.PIPE,
            check=False,
            timeout=LIMIT,
        )
    finally:
        os.close(write_end)

    assert (result.returncode, result.stderr) == (141, b"")


def test_a_full_stderr_leaves_the_exit_status_as_it_is(tmp_path: Path) -> None:
    assert run_shell("$RIE fly 2>/dev/full", tmp_path).returncode == 2


def test_an_error_does_not_go_to_stdout_where_stderr_is_closed(tmp_path: Path) -> None:
    result = run_shell("$RIE fly 2>&-", tmp_path)

    assert (result.returncode, result.stdout) == (2, "")


def test_help_for_a_closed_stdout_is_no_error(tmp_path: Path) -> None:
    result = run_shell("$RIE run --help >&-", tmp_path)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("program", ["main", "drop_in"])
def test_an_interrupt_while_the_command_line_is_loaded_is_silent(
    program: str, tmp_path: Path
) -> None:
    (tmp_path / "dataclasses.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    )
    code = f"import sys; from rie.__main__ import {program} as run; sys.exit(run())"

    result = run_program(sys.executable, "-c", code, PYTHONPATH=str(tmp_path))

    assert (result.returncode, result.stderr) == (130, "")
