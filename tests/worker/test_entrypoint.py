"""Why a program cannot be run: AWS's texts, each from a start that really fails, and our hints.

Sources of the texts: AWS's supervisor (Go's os/exec) as cited in public issues; developer
guide, "Troubleshoot deployment issues", for CRLF, permissions and architecture.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from rie.sandbox.machine import Machine
from rie.sandbox.wanted import Wanted
from rie.worker import entrypoint
from rie.worker.bare_process import BareProcess
from rie.worker.entrypoint import Entrypoint, LaunchError, diagnose, find, launch_error
from rie.worker.process import Launch, start_process

OTHER_MACHINE = {"x86_64": ("aarch64", 0xB7), "aarch64": ("x86_64", 0x3E)}


def make_file(path: Path, content: bytes = b"#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def elf(machine: int) -> bytes:
    """Make the head of a 64-bit little-endian program, and nothing after it."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + machine.to_bytes(2, "little")


def failure(path: Path, folder: Path | None = None) -> LaunchError:
    """Start a file for good, with and without a supervisor, and return why that failed."""
    sandbox = Machine(Wanted(memory_size=128, task_root=Path("/"), bounded=False)).open()
    launch = Launch(
        command=(str(path),),
        environment={},
        folder=folder or path.parent,
        search_path=None,
        marker=b"TEST=1",
        sandbox=sandbox,
    )
    failures = []
    for start in (start_process, BareProcess.start):
        with Path(os.devnull).open("wb") as output, pytest.raises(LaunchError) as raised:
            start(launch, output.fileno())
        failures.append(raised.value)
    sandbox.close()
    one, other = failures
    assert (one.message, one.hint) == (other.message, other.hint)
    assert str(one) == one.message
    return one


# What keeps a program from starting


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    error = failure(tmp_path / "bootstrap")

    assert error.error_type == "Runtime.InvalidEntrypoint"
    assert error.message == f"fork/exec {tmp_path}/bootstrap: no such file or directory"
    assert error.hint == f"{tmp_path}/bootstrap does not exist"


def test_a_file_that_is_not_executable_is_told_how_to_become_so(tmp_path: Path) -> None:
    path = make_file(tmp_path / "bootstrap", mode=0o644)

    error = failure(path)

    assert error.error_type == "Runtime.InvalidEntrypoint"
    assert error.message == f"fork/exec {path}: permission denied"
    assert error.hint == f"{path} is not executable; run: chmod +x {path}"


def test_a_folder_is_no_program(tmp_path: Path) -> None:
    path = tmp_path / "bootstrap"
    path.mkdir()

    error = failure(path)

    assert error.message == f"fork/exec {path}: permission denied"
    assert error.hint == f"{path} is a folder"


@pytest.mark.skipif(platform.machine() not in OTHER_MACHINE, reason="x86_64 and aarch64 only")
def test_a_program_of_another_machine_is_told_for_which_it_was_built(tmp_path: Path) -> None:
    name, number = OTHER_MACHINE[platform.machine()]
    path = make_file(tmp_path / "bootstrap", elf(number))

    error = failure(path)

    assert error.message == f"fork/exec {path}: exec format error"
    assert error.hint == f"{path} is built for {name}, this machine is {platform.machine()}"


def test_a_machine_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    path = make_file(tmp_path / "bootstrap", elf(0x1234))

    assert diagnose(path) == f"{path} is built for machine 0x1234, this machine is {os.uname()[4]}"


@pytest.mark.skipif(platform.machine() not in OTHER_MACHINE, reason="x86_64 and aarch64 only")
def test_a_program_of_this_machine_that_does_not_start_lacks_a_library(tmp_path: Path) -> None:
    own = {"x86_64": 0x3E, "aarch64": 0xB7}[platform.machine()]
    path = make_file(tmp_path / "bootstrap", elf(own))

    assert diagnose(path) == (
        f"{path} is a program of this machine, but its loader or a library is missing"
    )


def test_windows_line_ends_are_seen(tmp_path: Path) -> None:
    path = make_file(tmp_path / "bootstrap", b"#!/bin/sh\r\nexit 0\r\n")

    error = failure(path)

    assert error.message == f"fork/exec {path}: no such file or directory"
    assert error.hint == (
        f"{path} has Windows line ends; save it with Unix ones (dos2unix, sed 's/\\r$//')"
    )


@pytest.mark.parametrize("content", [b"echo hello\n", b"", b"\x00\x01"])
def test_a_file_that_is_neither_program_nor_script_is_told_so(
    tmp_path: Path, content: bytes
) -> None:
    path = make_file(tmp_path / "bootstrap", content)

    error = failure(path)

    assert error.message == f"fork/exec {path}: exec format error"
    assert error.hint == (
        f"{path} is neither a program of this system nor a script that begins with #!"
    )


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    path = make_file(tmp_path / "bootstrap", b"#!/no/such/python3 -u\n")

    error = failure(path)

    assert error.message == f"fork/exec {path}: no such file or directory"
    assert error.hint == (f"{path} names an interpreter that does not exist: /no/such/python3")


def test_a_script_that_names_no_interpreter_is_told_so(tmp_path: Path) -> None:
    path = make_file(tmp_path / "bootstrap", b"#!\n")

    assert diagnose(path) == f"{path} names an interpreter that does not exist: (none)"


def test_nothing_is_said_of_a_script_that_looks_right(tmp_path: Path) -> None:
    assert diagnose(make_file(tmp_path / "bootstrap")) is None


def test_a_name_too_long_for_the_system_is_an_error_of_the_start(tmp_path: Path) -> None:
    error = failure(tmp_path / ("x" * 300))

    assert error.error_type == "Runtime.InvalidEntrypoint"
    assert error.message.endswith(": file name too long")
    assert str(error.hint).endswith(" cannot be read: File name too long")


# The working folder


def test_a_working_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = make_file(tmp_path / "bootstrap")

    error = failure(path, folder=tmp_path / "gone")

    assert error.error_type == "Runtime.InvalidWorkingDir"
    assert error.message == f"chdir {tmp_path}/gone: no such file or directory"
    assert error.hint == f"{tmp_path}/gone is no folder"


def test_a_working_folder_that_may_not_be_entered_is_named(tmp_path: Path) -> None:
    # As subprocess reports it; root may enter everything, so it cannot be tried for good.
    denied = PermissionError(13, "Permission denied", str(tmp_path))

    error = launch_error(denied, Entrypoint("/bin/sh", ("/bin/sh",)), tmp_path)

    assert error.error_type == "Runtime.InvalidWorkingDir"
    assert error.message == f"chdir {tmp_path}: permission denied"


# Which program is taken


def test_a_command_is_looked_up_on_the_caller_s_path(tmp_path: Path) -> None:
    make_file(tmp_path / "first" / "kit", mode=0o644)  # not executable: passed over
    path = make_file(tmp_path / "second" / "kit")
    search_path = f"{tmp_path}/first:{tmp_path}/second"

    found = find(("kit", "app.handler"), Path("/task"), search_path)

    assert found.executable == str(path)
    assert found.arguments[1:] == ("app.handler",)


def test_a_command_that_is_on_no_path_is_told_as_go_does(tmp_path: Path) -> None:
    with pytest.raises(LaunchError) as raised:
        find(("no-such-program",), tmp_path, str(tmp_path))

    assert raised.value.error_type == "Runtime.InvalidEntrypoint"
    assert raised.value.message == ('exec: "no-such-program": executable file not found in $PATH')
    assert raised.value.hint == (
        "no program named 'no-such-program' on PATH; give its path, or install it"
    )


def test_an_empty_command_name_is_on_no_path(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match='exec: "": executable file not found'):
        find(("",), tmp_path, str(tmp_path))


def test_a_path_is_relative_to_the_working_folder() -> None:
    assert find(("./kit", "x"), Path("/task"), "") == Entrypoint("/task/kit", ("./kit", "x"))
    assert find(("/bin/kit",), Path("/task"), "") == Entrypoint("/bin/kit", ("/bin/kit",))


# Without a command


def test_a_place_that_cannot_be_looked_into_holds_no_bootstrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folders(tmp_path, monkeypatch)

    with pytest.raises(LaunchError, match="Couldn't find valid bootstrap"):
        find((), tmp_path / ("x" * 300), None)


def make_folders(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    folders = tuple(root / name for name in ("task", "opt", "runtime"))
    monkeypatch.setattr(entrypoint, "BOOTSTRAP_FOLDERS", folders)
    return folders


def test_lambda_looks_for_a_bootstrap_in_these_folders() -> None:
    assert [str(folder) for folder in entrypoint.BOOTSTRAP_FOLDERS] == [
        "/var/task",
        "/opt",
        "/var/runtime",
    ]


def test_the_first_bootstrap_is_taken_the_task_root_s_own_before_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    for folder in reversed((root, *make_folders(tmp_path, monkeypatch))):
        path = make_file(folder / "bootstrap")

        assert find((), root, None) == Entrypoint(str(path), (str(path),))


def test_a_bootstrap_that_is_not_executable_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, opt, _) = make_folders(tmp_path, monkeypatch)
    make_file(opt / "bootstrap")
    path = make_file(tmp_path / "root" / "bootstrap", mode=0o644)

    assert find((), tmp_path / "root", None).executable == str(path)


def test_a_folder_named_bootstrap_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task, *_) = make_folders(tmp_path, monkeypatch)
    (tmp_path / "bootstrap").mkdir()
    path = make_file(task / "bootstrap")

    assert find((), tmp_path, None).executable == str(path)


def test_without_any_bootstrap_lambda_s_two_places_are_named_and_ours_in_the_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = make_folders(tmp_path, monkeypatch)

    with pytest.raises(LaunchError) as raised:
        find((), folders[0], None)

    assert raised.value.error_type == "Runtime.InvalidEntrypoint"
    assert raised.value.message == (
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    )
    named = ", ".join(f"{folder}/bootstrap" for folder in folders)
    assert raised.value.hint == (
        f"no file {named}; name a command after --, or put an executable file named bootstrap there"
    )


def test_a_path_that_is_no_text_is_told_with_question_marks() -> None:
    error = LaunchError("Runtime.InvalidEntrypoint", "exec: /nope\udcff", "no /nope\udcff")

    assert (error.message, error.hint) == ("exec: /nope?", "no /nope?")
