"""Runs what the pages tell their reader to type.

A fenced block is run when a comment stands before it: `<!-- test GROUP ...: WORD ... -->`.
The blocks of one group share a folder and are taken in the order of the page; a block may
belong to several:

    file NAME        the block is the content of this file
    start            a command that starts an emulator; it lives until the group's end
    serve            a command that runs a container; it takes calls at port 9000
    run [if PROGRAM] a shell script or Python program that must succeed; `if`: where there is one
    tests NAME       the block is a test file, whose tests must pass
    prints           what the run before it printed; `...` stands for anything in a line
    prints each      lines that are among those which the run before it printed

Ports come from the kernel: 127.0.0.1:8080 in a block is put right before it is run, and 9000 in
that of a group whose name begins with `container-`. Such a group has an engine, named docker too;
where it has other images to build it takes minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from tests.support.emulator import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rie.artifacts.images.engine import Engine

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("layers/*/README.md")),
    *sorted(ROOT.glob("examples/*/*/README.md")),
)
LIMIT = 30.0  # seconds for anything that a page tells its reader to run
BUILD_LIMIT = 600.0  # and where it builds images
CONTAINERS = "container-"

_BLOCK = re.compile(
    r"^<!-- test (?P<groups>[\w -]+): (?P<what>.+?) -->\n+```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SHELLS = {"sh", "bash"}
_USUAL_ADDRESS = "127.0.0.1:8080"
_CONTAINERS_PORT = "9000"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page that is to be tried."""

    language: str
    text: str
    words: tuple[str, ...]


def groups() -> dict[str, list[Block]]:
    """Collect the blocks of all pages: `page group` to its blocks."""
    found: dict[str, list[Block]] = {}
    for page in PAGES:
        for match in _BLOCK.finditer(page.read_text("utf-8")):
            block = Block(match["language"], match["text"], tuple(match["what"].split()))
            for group in match["groups"].split():
                found.setdefault(f"{title(page)} {group}", []).append(block)
    return found


def title(page: Path) -> str:
    """Name a page: `layers.md`, `layers/exec/README.md`."""
    return page.name if page.parent in {ROOT, ROOT / "docs"} else str(page.relative_to(ROOT))


class Reader:
    """Does in a folder what a page says."""

    def __init__(self, folder: Path, life: ExitStack) -> None:
        self._folder = folder
        self._life = life
        self._limit = LIMIT
        self._port = _CONTAINERS_PORT
        self._address = _USUAL_ADDRESS
        self._printed = ""
        self._variables = {
            # The programs of this environment, and no option from outside.
            **{name: value for name, value in os.environ.items() if not name.startswith("RIE_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def take_engine(self, engine: Engine) -> None:
        """Build and run containers with this engine."""
        bin_folder = self._folder.parent / f"{self._folder.name}-bin"
        bin_folder.mkdir()
        docker = bin_folder / "docker"
        docker.write_text(f'#!/bin/sh\nexec {engine.program} "$@"\n')
        docker.chmod(0o755)
        self._variables |= {
            **engine.environ,
            "PATH": f"{bin_folder}:{self._variables['PATH']}",
            "RIE_ENGINE": engine.name,
        }
        self._limit = BUILD_LIMIT
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = str(probe.getsockname()[1])

    def do(self, block: Block) -> None:
        match block.words:
            case ("file", name):
                path = self._folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, "utf-8")
            case ("tests", name):
                (self._folder / name).write_text(block.text, "utf-8")
                self._run(Block("sh", f"python -m pytest -W error {name}\n", ()))
            case ("start",):
                self._start(block)
            case ("serve",):
                self._serve(block)
            case ("run",):
                self._run(block)
            case ("run", "if", program):
                if self._has(program):
                    self._run(block)
            case ("prints",):
                printed = self._printed.rstrip("\n")
                assert _pattern(block.text.rstrip("\n")).fullmatch(printed), self._printed
            case ("prints", "each"):
                lines = set(self._printed.splitlines())
                assert not set(block.text.splitlines()) - lines, self._printed
            case _:
                raise AssertionError(f"no such thing to do: {block.words}")

    def _run(self, block: Block) -> None:
        result = subprocess.run(
            self._command(block),
            cwd=self._folder,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=self._limit,
            check=False,
        )
        assert result.returncode == 0, f"{block.text}\n{result.stdout}\n{result.stderr}"
        self._printed = result.stdout

    def _start(self, block: Block) -> None:
        ready = self._folder / "ready.json"
        ports = {
            "RIE_LISTEN": "127.0.0.1:0",
            "RIE_RUNTIME_API": "127.0.0.1:0",
            "RIE_READY_FILE": str(ready),
        }
        process = self._life.enter_context(
            _started(self._command(block), self._folder, self._variables | ports)
        )
        wait_until(lambda: ready.exists() or process.poll() is not None, "the emulator")
        assert process.poll() is None, f"ended: {block.text}"
        url = str(json.loads(ready.read_text("utf-8"))["invoke_api"])
        self._address = url.removeprefix("http://")
        self._variables["RIE_ENDPOINT"] = url

    def _serve(self, block: Block) -> None:
        process = self._life.enter_context(
            _started(self._command(block), self._folder, self._variables)
        )
        url = f"http://127.0.0.1:{self._port}/ping"
        wait_until(lambda: process.poll() is not None or _answers(url), "the container")
        assert process.poll() is None, f"ended: {block.text}"

    def _command(self, block: Block) -> list[str]:
        text = block.text.replace(_USUAL_ADDRESS, self._address)
        text = re.sub(rf"\b{_CONTAINERS_PORT}\b", self._port, text)
        if block.language in _SHELLS:
            return ["bash", "-euo", "pipefail", "-c", text]
        assert block.language == "python", f"cannot run {block.language!r}"
        return [sys.executable, "-W", "error", "-c", text]

    def _has(self, program: str) -> bool:
        return shutil.which(program, path=self._variables["PATH"]) is not None


def follow(blocks: list[Block], folder: Path, engine: Engine | None = None) -> None:
    """Do what the blocks say; end what they started."""
    with ExitStack() as life:
        reader = Reader(folder, life)
        if engine is not None:
            reader.take_engine(engine)
        for block in blocks:
            reader.do(block)


@contextmanager
def _started(
    command: list[str], folder: Path, variables: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=folder, env=variables, start_new_session=True)
    with process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


def _answers(url: str) -> bool:
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=LIMIT):
            return True
    except HTTPError:
        return True  # whatever it says, it takes calls
    except OSError:
        return False


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text).replace(re.escape("..."), ".*"))
