"""podman or docker: which one, whether it works, and one call of its program.

Both understand the same commands, but for what `Engine` has a method for. Whatever is started
here ends: after its limit, on Ctrl-C, and when its caller fails. Times are in seconds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal

from rie.artifacts.errors import BuildError
from rie.artifacts.images.ending import end
from rie.artifacts.images.engine_errors import remedy_for, says_absent

Name = Literal["podman", "docker"]
NAMES: tuple[Name, ...] = ("podman", "docker")

CALL_LIMIT = 120.0  # a call that starts, stops or asks; far more than any takes
BUILD_LIMIT = 3600.0  # a build

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_INSTALL = "install podman (Debian, Ubuntu: apt-get install podman) or docker"


class EngineError(BuildError):
    """The engine said no, or nothing; `output` is all that it said."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


@dataclass(frozen=True, slots=True)
class Image:
    """What an engine knows of an image; `architecture` by the engines' name: amd64, arm64."""

    id: str
    architecture: str
    size: int
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine that is installed; `environ` is what its program runs with, and `folder` where.

    A relative path in its arguments is one in `folder`, by default the current one.
    """

    name: Name
    program: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    folder: Path | None = None

    def call(self, *arguments: str, limit: float = CALL_LIMIT, both: bool = False) -> str:
        """Run `podman ARGUMENTS...` and return its stdout; after it, if `both`, its stderr.

        Raises EngineError.
        """
        with self._started(arguments, subprocess.PIPE) as process:
            try:
                printed, complaint = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                raise self._too_long(arguments[0], limit) from None
        text = complaint.decode(errors="replace")
        self._check_end(process.returncode, text, text or f"exit status {process.returncode}")
        return (printed + complaint if both else printed).decode(errors="replace")

    def follow(
        self, *arguments: str, line: Callable[[str], None], limit: float = BUILD_LIMIT
    ) -> None:
        """Run it and hand on each line that it prints, as it comes. Raises EngineError."""
        expired = threading.Event()
        with self._started(arguments, subprocess.STDOUT) as process:

            def expire() -> None:
                expired.set()
                end(process)

            timer = threading.Timer(limit, expire)
            timer.start()
            try:
                said = [*_lines(process.stdout, line)]
                process.wait()
            finally:
                timer.cancel()
        if expired.is_set():
            raise self._too_long(arguments[0], limit)
        text = "\n".join(said)
        self._check_end(process.returncode, text, text)

    def image(self, name: str) -> Image | None:
        """Return what is known of an image that is on this machine. Raises EngineError."""
        try:
            said = self.call("image", "inspect", "--", name)
        except EngineError as error:
            if says_absent(error.output):
                return None
            raise
        try:
            found = json.loads(said)[0]
        except (ValueError, LookupError):
            raise EngineError(f"{self.name} told nothing of the image: {said[:100]!r}") from None
        config = found.get("Config") or {}
        pairs = (each.partition("=") for each in config.get("Env") or ())
        return Image(
            id=found["Id"].removeprefix("sha256:"),
            architecture=found["Architecture"],
            size=found["Size"],
            labels=config.get("Labels") or {},
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            user=config.get("User") or "",
            variables={name: value for name, _, value in pairs},
        )

    def architecture(self) -> str:
        """Return the machine's, by the engines' name: amd64. Raises EngineError if it fails.

        It is the first thing to ask: an engine that is there need not work.
        """
        if self.name == "podman":
            return self.call("info", "--format", "{{.Host.Arch}}").strip()
        return self.call("version", "--format", "{{.Server.Arch}}").strip()

    def has_buildkit(self) -> bool:
        """Whether this docker builds with BuildKit, which has options of its own."""
        try:
            self.call("buildx", "version")
        except EngineError:
            return False
        return True

    def explained(self, complaint: str) -> str:
        """Say in one line what the engine complained of, and what helps where that is known."""
        lines = [each.strip() for each in complaint.splitlines() if each.strip()]
        reason = lines[-1].removeprefix("Error: ") if lines else "failed without a word"
        remedy = remedy_for(complaint)
        return f"{self.name}: {reason}" + (f"; {remedy}" if remedy else "")

    def _check_end(self, status: int, output: str, complaint: str) -> None:
        if status < 0:  # nothing that it has said is the reason
            raise EngineError(f"{self.name} was killed by signal {-status}", output)
        if status:
            raise EngineError(self.explained(complaint), output)

    def _too_long(self, command: str, limit: float) -> EngineError:
        return EngineError(f"{self.name} {command} was ended: it took more than {limit:g} s")

    @contextmanager
    def _started(self, arguments: Sequence[str], stderr: int) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(  # noqa: S603 - the engine that the user chose
            [str(self.program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=dict(self.environ),
            cwd=self.folder,
            # A group of its own: Ctrl-C comes to us, and we end it with all that it started.
            process_group=0,
        )
        with process:
            try:
                yield process
            finally:
                end(process)


def find(wanted: str | None, environ: Mapping[str, str]) -> Engine:
    """Return the engine of that name, or the first that is installed. Raises BuildError."""
    if wanted:
        name: Name = "docker" if wanted == "docker" else "podman"
        program = _which(name, environ)
        if program is None:
            raise BuildError(f"{name} was asked for and is not installed: {_INSTALL}")
        return Engine(name, program, environ)
    for each in NAMES:
        program = _which(each, environ)
        if program is not None:
            return Engine(each, program, environ)
    raise BuildError(f"neither podman nor docker is installed: {_INSTALL}")


def _which(name: Name, environ: Mapping[str, str]) -> Path | None:
    found = shutil.which(name, path=environ.get("PATH"))
    return Path(found) if found else None


def _lines(stream: IO[bytes] | None, line: Callable[[str], None]) -> Iterator[str]:
    assert stream is not None  # noqa: S101 - it was asked for
    for raw in stream:
        text = _COLOUR.sub("", raw.decode(errors="replace")).rstrip("\r\n")
        line(text)
        yield text
