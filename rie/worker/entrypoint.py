"""Which program an environment runs, and why it cannot be run.

A command is looked up on the caller's PATH before Lambda's own PATH is set for it. Without
a command the first `bootstrap` is taken where Lambda looks for one. The messages are those
of AWS's supervisor, which is written in Go.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rie.core.errors import RieError

INVALID_ENTRYPOINT = "Runtime.InvalidEntrypoint"
INVALID_WORKING_DIRECTORY = "Runtime.InvalidWorkingDir"

# e_machine in an ELF header: what `uname -m` calls the machines that it names.
_ELF_MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0x28: "arm", 0x03: "i386", 0xF3: "riscv64"}
_SHEBANG_READ = 256

# Where Lambda looks for a bootstrap, after the task root; the last is the official images'.
BOOTSTRAP_FOLDERS = (Path("/var/task"), Path("/opt"), Path("/var/runtime"))

# Linux takes 128 KiB for one variable or argument, and for all of them a quarter of the stack.
_TOO_MUCH = "the function's variables or the command's arguments are too large for this system"


class LaunchError(RieError):
    """The command cannot be run. `hint` says in plain words what to mend, where we know."""

    def __init__(self, error_type: str, message: str, hint: str | None = None) -> None:
        # A path may be any bytes; what is told of it goes into JSON and logs.
        message = message.encode("utf-8", "replace").decode()
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.hint = hint and hint.encode("utf-8", "replace").decode()

    def in_archive(self, unpacked: str, inside: str) -> LaunchError:
        """Tell of a file as the function sees it, not where it was unpacked.

        To mend it there would help this machine, and no other.
        """
        hint = self.hint
        if hint is not None:
            hint = f"{hint.replace(unpacked, inside)}, where it was packed, and pack it again"
        return LaunchError(self.error_type, self.message.replace(unpacked, inside), hint)


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """A program to start: its file and its argument vector."""

    executable: str
    arguments: tuple[str, ...]


def find(
    command: tuple[str, ...],
    task_root: Path,
    search_path: str | None,
    layers: Sequence[Path] = (),
) -> Entrypoint:
    """Find the program of `command`, or the first bootstrap; LaunchError when there is none.

    `layers` are folders that the function finds at /opt, the last on top: what is in their `bin`
    is on its PATH.
    """
    if not command:
        return _bootstrap(task_root, layers)
    program = command[0]
    if os.sep in program:
        # Go runs a path as it stands, relative to the working folder.
        return Entrypoint(str(task_root / program), command)
    bins = [str(layer / "bin") for layer in reversed(layers)]
    found = shutil.which(program, path=search_path) or shutil.which(program, path=_path(bins))
    if found is None:
        message = f'exec: "{program}": executable file not found in $PATH'
        hint = f"no program named {program!r} on PATH; give its path, or install it"
        raise LaunchError(INVALID_ENTRYPOINT, message, hint)
    # Python finds the packages of its virtual environment by the path that it is started as.
    path = str(Path(found).absolute())
    return Entrypoint(path, (path, *command[1:]))


def _path(folders: Sequence[str]) -> str:
    return os.pathsep.join(folders)


def _bootstrap(task_root: Path, layers: Sequence[Path]) -> Entrypoint:
    first, *others = BOOTSTRAP_FOLDERS
    folders = dict.fromkeys((task_root, first, *reversed(layers), *others))
    candidates = [folder / "bootstrap" for folder in folders]
    for path in candidates:
        if os.path.isfile(path):  # noqa: PTH113 - where it may not look, Path's raises
            return Entrypoint(str(path), (str(path),))
    # The official text names Lambda's own two places, whatever the task root is here.
    raise LaunchError(
        INVALID_ENTRYPOINT,
        "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
        f"no file {', '.join(map(str, candidates))}; "
        "name a command after --, or put an executable file named bootstrap there",
    )


def launch_error(error: OSError, entrypoint: Entrypoint, folder: Path) -> LaunchError:
    """Turn what the system said to a start into what AWS says, with a hint."""
    if not os.path.isdir(folder):  # noqa: PTH112 - as above
        message = f"chdir {folder}: no such file or directory"
        return LaunchError(INVALID_WORKING_DIRECTORY, message, f"{folder} is no folder")
    reason = (error.strerror or str(error)).lower()
    if error.filename == str(folder):
        message = f"chdir {folder}: {reason}"
        return LaunchError(INVALID_WORKING_DIRECTORY, message, f"{folder} cannot be entered")
    message = f"fork/exec {entrypoint.executable}: {reason}"
    if error.errno == errno.E2BIG:
        return LaunchError(INVALID_ENTRYPOINT, message, _TOO_MUCH)
    return LaunchError(INVALID_ENTRYPOINT, message, diagnose(Path(entrypoint.executable)))


def diagnose(path: Path) -> str | None:
    """Say in plain words what keeps a file from being run, or None when nothing is seen."""
    try:
        if not path.exists():
            return f"{path} does not exist"
        if path.is_dir():
            return f"{path} is a folder"
        if not os.access(path, os.X_OK):
            return f"{path} is not executable; run: chmod +x {path}"
        with path.open("rb") as file:
            head = file.read(_SHEBANG_READ)
        return _diagnose_head(path, head)
    except OSError as error:  # a folder on the way is closed to us, a name is too long
        return f"{path} cannot be read: {error.strerror}"


def _diagnose_head(path: Path, head: bytes) -> str | None:
    if head.startswith(b"\x7fELF"):
        return _diagnose_elf(path, head)
    if not head.startswith(b"#!"):
        return f"{path} is neither a program of this system nor a script that begins with #!"
    line = head.splitlines(keepends=True)[0]
    if line.endswith(b"\r\n"):
        return f"{path} has Windows line ends; save it with Unix ones (dos2unix, sed 's/\\r$//')"
    words = line[2:].split()
    interpreter = Path(os.fsdecode(words[0])) if words else None
    if interpreter is None or not interpreter.exists():
        return f"{path} names an interpreter that does not exist: {interpreter or '(none)'}"
    return None


def _diagnose_elf(path: Path, head: bytes) -> str | None:
    order = "big" if head[5:6] == b"\x02" else "little"
    number = int.from_bytes(head[18:20], order)  # type: ignore[arg-type]
    machine = _ELF_MACHINES.get(number, f"machine {number:#x}")
    if machine != platform.machine():
        return f"{path} is built for {machine}, this machine is {platform.machine()}"
    return f"{path} is a program of this machine, but its loader or a library is missing"
