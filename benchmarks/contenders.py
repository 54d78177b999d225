"""The emulators that are measured, and the runtimes that they are measured with.

Each contender says how it is started for a runtime, a port and a number of environments. All write
their logs to the same sink, /dev/null, and get the same small environment.
"""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from benchmarks import load, native, peers, processes
from benchmarks.load import Load, Shape
from benchmarks.peers import UnavailableError
from benchmarks.places import BUILDS, FUNCTION, HERE
from benchmarks.processes import Cores

READY_SECONDS = 15.0
TIMEOUT_SECONDS = 30
MEMORY_SIZE_MB = 1024


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime client: its name and the command that an emulator is given."""

    name: str
    command: tuple[str, ...]
    module: str = ""

    def checked(self) -> "Runtime":
        """Return itself, when the module that it needs is installed."""
        if self.module and importlib.util.find_spec(self.module) is None:
            raise UnavailableError(f"{self.module} is not installed beside this Python")
        return self


RAW = Runtime("raw runtime", (sys.executable, "-I", "-S", str(HERE / "raw_runtime.py")))
OFFICIAL_CLIENT = Runtime(
    "awslambdaric", (sys.executable, "-m", "awslambdaric", "app.handler"), "awslambdaric"
)
BOOTSTRAP = Runtime(
    "bootstrap", (sys.executable, "-P", "-m", "bootstrap", "app.handler"), "bootstrap"
)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start an emulator, and what to start beside it when it starts no runtimes itself."""

    command: tuple[str, ...]
    cwd: Path = FUNCTION
    function: str = "function"
    runtimes: tuple[tuple[str, ...], ...] = ()
    runtime_api: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """An emulator that runs."""

    process: subprocess.Popen[bytes]
    port: int
    function: str
    cores: Cores

    def measure(self, shape: Shape) -> Load:
        """Send a load of which every answer must be right, from the server's own cores."""
        return load.measure(shape, port=self.port, function=self.function, cores=self.cores)

    def pin(self, cores: Cores) -> "Server":
        """Move the emulator and all below it to other cores."""
        for pid in [self.process.pid, *processes.descendants(self.process.pid)]:
            processes.pin(pid, cores)
        return replace(self, cores=cores)

    def occupy(self, environments: int) -> None:
        """Use that many environments at once, so that all of them are started.

        Each call is held long enough for all of the environments to come up beside it.
        """
        self.measure(Shape(calls=1))
        if environments > 1:
            hold_ms = 200 + 10 * environments
            self.measure(Shape(calls=environments, callers=environments, hold_ms=hold_ms))


class Contender(Protocol):
    """An emulator that can be started."""

    @property
    def name(self) -> str:
        """What the tables call it."""

    def launch(self, runtime: Runtime, port: int, environments: int) -> Launch:
        """Say how it is started; UnavailableError when it cannot take part."""


def base_environment() -> dict[str, str]:
    """Return what every contender is given of this process's environment."""
    kept = {
        name: os.environ[name]
        for name in ("HOME", "PATH", "CARGO_HOME", "RUSTUP_HOME")
        if name in os.environ
    }
    return {**kept, "LANG": "C.UTF-8", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}


@contextlib.contextmanager
def serving(
    contender: Contender,
    runtime: Runtime,
    *,
    cores: Cores,
    environments: int = 1,
    occupied: int | None = None,
) -> Iterator[Server]:
    """Run a contender; it has answered in all of its environments, or in as many as `occupied`."""
    port = processes.free_port()
    launch = contender.launch(runtime.checked(), port, environments)
    env = base_environment()
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            processes.running(launch.command, cores=cores, env=env, cwd=launch.cwd)
        )
        try:
            processes.wait_until_it_listens(process, port, READY_SECONDS)
        except processes.EndedError as error:
            words = processes.last_words(launch.command, env=env, cwd=launch.cwd)
            raise processes.EndedError(f"{error}: {words}") from None
        for command in launch.runtimes:
            stack.enter_context(
                processes.running(
                    command,
                    cores=cores,
                    env={**env, "AWS_LAMBDA_RUNTIME_API": launch.runtime_api},
                    cwd=FUNCTION,
                )
            )
        server = Server(process, port, launch.function, cores)
        server.occupy(environments if occupied is None else occupied)
        yield server


@dataclass(frozen=True, slots=True)
class Floor:
    """floor.c: what the same path costs at least."""

    name: str = "floor in C"

    def launch(self, runtime: Runtime, port: int, environments: int) -> Launch:
        """Start it with all its environments at once."""
        program = str(native.build("floor"))
        options = ("-p", str(port), "-n", str(environments), "--")
        return Launch((program, *options, *runtime.command))


@dataclass(frozen=True, slots=True)
class Ours:
    """This project's emulator."""

    name: str = "rie"
    program: tuple[str, ...] = field(default=())

    def launch(self, runtime: Runtime, port: int, environments: int) -> Launch:
        """Start `rie run` with AWS's limits out of the way."""
        options = {
            "--listen": f"127.0.0.1:{port}",
            "--environments": str(environments),
            "--timeout": str(TIMEOUT_SECONDS),
            "--memory-size": str(MEMORY_SIZE_MB),
            "--function-name": "function",
        }
        flags = [text for option in options.items() for text in option]
        program = self.program or self.installed()
        return Launch((*program, "run", *flags, "--", *runtime.command))

    def installed(self) -> tuple[str, ...]:
        """Return the program beside this interpreter, else the module."""
        script = Path(sys.executable).parent / "rie"
        if script.exists():
            return (str(script),)
        with contextlib.suppress(ModuleNotFoundError):
            if importlib.util.find_spec("rie.__main__"):
                return (sys.executable, "-m", "rie")
        raise UnavailableError("rie is not installed beside this Python: run `make install`")


@dataclass(frozen=True, slots=True)
class Official:
    """AWS's own emulator, in Go."""

    name: str = "official emulator"

    def launch(self, runtime: Runtime, port: int, environments: int) -> Launch:
        """Start it; it has one environment, and concurrent calls crash it."""
        if environments > 1:
            raise UnavailableError("it has one environment, and concurrent calls crash it")
        program = str(peers.fetch(peers.OFFICIAL))
        addresses = {
            "--runtime-interface-emulator-address": f"127.0.0.1:{port}",
            "--runtime-api-address": f"127.0.0.1:{processes.free_port()}",
        }
        flags = [text for option in addresses.items() for text in option]
        return Launch((program, *flags, *runtime.command))


@dataclass(frozen=True, slots=True)
class CargoLambda:
    """cargo-lambda's emulator, in Rust: it writes no log, and runtimes start beside it."""

    name: str = "cargo-lambda"

    def launch(self, runtime: Runtime, port: int, environments: int) -> Launch:
        """Start its emulator alone, in the folder of a Cargo project, which it insists on."""
        if runtime is not RAW:
            raise UnavailableError("it answers 204 to an empty /next, which ends this client")
        if shutil.which("cargo") is None:
            raise UnavailableError("it needs cargo on the PATH")
        program = str(peers.fetch(peers.CARGO_LAMBDA))
        flags = ("--only-lambda-apis", "--quiet", "--invoke-address", "127.0.0.1")
        # Without --concurrency: with it, it runs `cargo run` although it was told not to start
        # functions, and without it, it serves as many runtimes as come and poll.
        return Launch(
            (program, "lambda", "watch", *flags, "--invoke-port", str(port)),
            cwd=cargo_project(),
            function="_",
            runtimes=(runtime.command,) * environments,
            runtime_api=f"127.0.0.1:{port}/.rt/_",
        )


def cargo_project() -> Path:
    """Return a folder with an empty Cargo project."""
    folder = BUILDS / "cargo-project"
    (folder / "src").mkdir(parents=True, exist_ok=True)
    manifest = '[package]\nname = "function"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n'
    (folder / "Cargo.toml").write_text(manifest)
    (folder / "src" / "main.rs").write_text("fn main() {}\n")
    return folder


FLOOR = Floor()
OURS = Ours()
OFFICIAL = Official()
CARGO_LAMBDA = CargoLambda()
