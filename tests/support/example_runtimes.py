"""The example runtimes that need more than their own folder: each made ready to be deployed.

`deployed` gives a folder as Lambda would unpack it, with an executable `bootstrap`, in
.cache/examples. It is compiled there under a lock, so that test runs at the same time don't
disturb each other; compilers and copies leave alone what is up to date.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.real.runtimes import EXAMPLES, FUNCTIONS, ROOT, require

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = ROOT / ".cache/examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An example runtime. `handlers` is how its functions are named, `{}` being the function.

    `files` are copied from its folder, `broken` from tests/real/functions; `broken_handler`
    is then a handler that fails while it is loaded. `no_name` is the type of the error that
    `greet` makes, `unknown` of that for a handler which does not exist. `trace`: whether an
    error has a stack trace. `command` is how its README starts it, but for the handler.
    """

    name: str
    tools: tuple[str, ...]
    handlers: str
    files: tuple[str, ...]
    echo: str = "echo"
    broken: str = ""
    broken_handler: str = ""
    no_name: str = "NoName"
    unknown: str = "Runtime.HandlerNotFound"
    trace: bool = True
    command: tuple[str, ...] = ("./bootstrap",)

    def handler(self, function: str) -> str:
        return self.handlers.format(self.echo if function == "echo" else function)


GO = Example(name="go", tools=("go",), handlers="{}", files=(), trace=False)
RUST = Example(name="rust", tools=("cargo", "cc"), handlers="{}", files=(), trace=False)
NODE = Example(
    name="node",
    tools=("node",),
    handlers="hello.{}",
    files=("bootstrap", "runtime.mjs", "hello.mjs"),
    broken="node/broken.js",
    broken_handler="broken.handler",
)
JAVA = Example(
    name="java",
    tools=("java", "javac"),
    handlers="Hello.{}",
    files=("bootstrap",),
    broken="java/Defective.java",
    broken_handler="Defective.handler",
    no_name="IllegalArgumentException",
    unknown="NoSuchMethodException",
    command=("java", "-cp", "classes", "Runtime"),
)
BASH = Example(
    name="bash",
    tools=("bash", "curl", "jq"),
    handlers="hello.{}",
    files=("bootstrap", "hello.sh"),
    echo="echo_event",
    broken="bash/broken.sh",
    broken_handler="broken.handler",
)
ALL = (GO, RUST, NODE, JAVA, BASH)


def deployed(example: Example) -> Path:
    """Compile and copy what the example is deployed as; its folder is for everyone to read."""
    require(*example.tools)
    folder = CACHE / example.name
    with _locked(folder):
        for name in example.files:
            _copy(EXAMPLES / example.name / name, folder / name)
        match example.name:
            case "go":
                compile_go(folder)
            case "rust":
                compile_rust(folder)
            case "java":
                _compile_java(folder / "classes", FUNCTIONS / example.broken)
            case _:
                broken = FUNCTIONS / example.broken
                _copy(broken, folder / broken.name)
    return folder


def compile_go(folder: Path) -> None:
    command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / "bootstrap"), "."]
    _run(command, EXAMPLES / "go", CGO_ENABLED="0")


def compile_rust(folder: Path) -> None:
    target = CACHE / "rust-target"
    _run(
        ["cargo", "build", "--quiet", "--release", "--locked"],
        EXAMPLES / "rust",
        CARGO_TARGET_DIR=str(target),
    )
    _copy(target / "release/bootstrap", folder / "bootstrap")


def _compile_java(classes: Path, *more: Path) -> None:
    sources = [*(EXAMPLES / "java").glob("*.java"), *more]
    _run(["javac", "-d", str(classes), *map(str, sources)], ROOT)


def _run(command: list[str], folder: Path, **variables: str) -> None:
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}"


def _copy(source: Path, target: Path) -> None:
    """Put a file in its place at once: a runtime of another test run may be reading it."""
    if target.exists() and target.read_bytes() == source.read_bytes():
        return
    new = target.with_name(f"{target.name}.new")
    shutil.copy(source, new)
    new.replace(target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
