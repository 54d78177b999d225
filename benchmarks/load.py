"""Runs the load generator (load.c) and reads what it prints."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import native, processes
from benchmarks.processes import Cores

GRACE_SECONDS = 30.0


class FailedError(Exception):
    """Answers were missing or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the load generator sends: bytes, milliseconds, seconds."""

    calls: int
    callers: int = 1
    size: int = 1024
    gap_ms: float = 0.0
    warm_up: int = 0
    hold_ms: int = 0
    seconds: float = 20.0

    def arguments(self) -> list[str]:
        """Return the same as arguments."""
        values = {
            "-n": self.calls,
            "-c": self.callers,
            "-s": self.size,
            "-g": self.gap_ms,
            "-w": self.warm_up,
            "-H": self.hold_ms,
            "-t": self.seconds,
        }
        return [text for flag, value in values.items() for text in (flag, str(value))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What it measured; times in microseconds."""

    calls: int
    errors: int
    p50_us: float
    p99_us: float
    mean_us: float
    per_second: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How long after exec an emulator accepted and answered; milliseconds."""

    accepts_ms: float
    answers_ms: float


def send(shape: Shape, *, port: int, function: str, cores: Cores) -> Load:
    """Send a load and return what was measured, errors included."""
    arguments = ["-p", str(port), "-f", function, *shape.arguments()]
    found = run(arguments, cores=cores, seconds=shape.seconds)
    return Load(
        calls=int(found["calls"]),
        errors=int(found["errors"]),
        p50_us=found["p50_us"],
        p99_us=found["p99_us"],
        mean_us=found["mean_us"],
        per_second=found["per_second"],
        seconds=found["seconds"],
    )


def measure(shape: Shape, *, port: int, function: str, cores: Cores) -> Load:
    """Send a load of which every answer must be right."""
    load = send(shape, port=port, function=function, cores=cores)
    if load.errors or not load.calls:
        raise FailedError(f"{load.errors} of {load.calls + load.errors} answers missing or wrong")
    return load


def measure_start(
    command: Sequence[str], *, port: int, cores: Cores, env: Mapping[str, str], cwd: Path
) -> Start:
    """Execute an emulator and measure to its first answer."""
    arguments = ["-x", "-p", str(port), "-t", "10", "--", *command]
    found = run(arguments, cores=cores, seconds=10.0, env=env, cwd=cwd)
    if found["errors"]:
        raise FailedError("no first answer, or a wrong one")
    return Start(accepts_ms=found["accepts_ms"], answers_ms=found["answers_ms"])


def run(
    arguments: Sequence[str],
    *,
    cores: Cores,
    seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> dict[str, float]:
    """Run the program on `cores` and return the object that it prints."""
    cores_list = ",".join(str(core) for core in sorted(cores))
    command = ["taskset", "-c", cores_list, str(native.build("load")), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=cwd
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds * 2 + GRACE_SECONDS)
        except BaseException:
            processes.kill(process.pid)
            raise
    if process.returncode:
        raise FailedError(f"the load generator: {err.strip()}")
    found: dict[str, float] = json.loads(out)
    return found
