"""The row of the execution environment's bounds: what they cost at a start, and to freeze.

Measured on the package itself, in this process: a start is 2 ms, of which an HTTP client would
see little.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from benchmarks.report import Metric, Result, Target
from rie.sandbox.launcher import Launched
from rie.sandbox.machine import Machine, SandboxError
from rie.sandbox.sandbox import Sandbox
from rie.sandbox.wanted import Wanted

STARTS = 20  # in a round, of which the median counts

BARE, BOUND, ISOLATED = "bare spawn", "in its bounds", "with a network of its own"
PREPARE = Metric("environment", "ms", 2)
START = Metric("start", "ms", 2)
OVER = Metric("start over a bare spawn", "ms", 2)
END_OF_IT = Metric("kill", "ms", 2)
FREEZE, THAW = Metric("freeze", "ms", 3), Metric("thaw", "ms", 3)

_SLEEPER = ("/bin/sleep", "600")
_Median = dict[str, float]


def sample_bare() -> float:
    """Return how long it takes to spawn a program, in ms, until it has been executed."""
    began = time.perf_counter()
    with subprocess.Popen(_SLEEPER, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        took = time.perf_counter() - began
        process.kill()
    return took * 1e3


def sample_start(sandbox: Sandbox, output: int) -> _Median:
    """Start a runtime, freeze and thaw it, kill it; return what each took, in ms."""
    times = [time.perf_counter()]

    def done() -> None:
        times.append(time.perf_counter())

    launched = _started(sandbox, output)
    done()
    sandbox.freeze()
    done()
    sandbox.thaw()
    done()
    _kill(launched)
    done()
    sandbox.ended()
    spans = [(after - before) * 1e3 for before, after in pairwise(times)]
    names = (START.name, FREEZE.name, THAW.name, END_OF_IT.name)
    return dict(zip(names, spans, strict=True))


def _started(sandbox: Sandbox, output: int) -> Launched:
    return sandbox.start(
        _SLEEPER[0], _SLEEPER, folder=Path("/"), environment={}, output=output, inherited=()
    )


def _kill(launched: Launched) -> None:
    launched.control.close()
    launched.supervisor.wait()


def sample(wanted: Wanted) -> _Median:
    """Make an environment, start in it again and again; return medians, in ms."""
    with _nowhere() as output:
        machine = Machine(wanted)
        machine.open().close()  # what is found out once is found out now
        began = time.perf_counter()
        sandbox = machine.open()
        prepared = (time.perf_counter() - began) * 1e3
        try:
            rounds = [(sample_start(sandbox, output), sample_bare()) for _ in range(STARTS)]
        finally:
            sandbox.close()
            machine.close()
    found = {name: median(each[name] for each, _ in rounds) for name in rounds[0][0]}
    over = median(each[START.name] - bare for each, bare in rounds)
    return {PREPARE.name: prepared, OVER.name: over, **found}


def median(values: Iterator[float]) -> float:
    """Return the middle of them."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


@contextmanager
def _nowhere() -> Iterator[int]:
    output = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield output
    finally:
        os.close(output)


def bounds_row(rounds: int, interleave: Callable[..., Result]) -> Result:
    """Row 10: a start in an execution environment, beside that of a program without any."""
    result = Result(
        id="bounds",
        title="The environment's bounds: a start, freezing, the end",
        method=(
            f"Medians of {STARTS} starts of /bin/sleep a round, each followed by a bare spawn of "
            "it: until it has been executed; then freeze, thaw, and kill until all of it is gone. "
            "`environment` is what is made once for each: control group, disk, namespaces, mounts."
        ),
        metrics=(PREPARE, START, OVER, FREEZE, THAW, END_OF_IT),
        targets=(
            Target(
                what="ms over a bare spawn",
                top=(BOUND, OVER.name),
                bound="at most",
                limit=3,
                required=True,
            ),
            Target(
                what="ms to freeze",
                top=(BOUND, FREEZE.name),
                bound="at most",
                limit=1,
                required=True,
            ),
            Target(
                what="ms to thaw", top=(BOUND, THAW.name), bound="at most", limit=1, required=True
            ),
        ),
    )
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # not /tmp, which is covered
        wanted = Wanted(memory_size=128, task_root=Path(folder))
        isolated = Wanted(memory_size=128, task_root=Path(folder), network="isolated", egress=False)
        samplers: dict[str, Callable[[], _Median]] = {
            BARE: lambda: {START.name: median(sample_bare() for _ in range(STARTS))},
            BOUND: lambda: sample(wanted),
        }
        try:
            sample(isolated)
        except SandboxError as error:
            result.drop(ISOLATED, str(error))
        else:
            samplers[ISOLATED] = lambda: sample(isolated)
        return interleave(result, rounds, samplers)
