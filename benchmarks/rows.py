"""The rows of the benchmark: what is measured, with whom, and what is asked of it.

Each row measures its contenders in interleaved rounds (A B C, A B C, ...), starting each one anew
every time, so that what else the machine does falls on all of them alike.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from benchmarks import load, processes
from benchmarks.bounds import bounds_row
from benchmarks.containers import containers_row
from benchmarks.contenders import (
    BOOTSTRAP,
    CARGO_LAMBDA,
    FLOOR,
    OFFICIAL,
    OFFICIAL_CLIENT,
    OURS,
    RAW,
    Contender,
    Runtime,
    base_environment,
    serving,
)
from benchmarks.load import Load, Shape
from benchmarks.peers import UnavailableError
from benchmarks.processes import Cores
from benchmarks.report import Metric, Result, Target

KB, MB = 1024, 1_000_000
Figures = dict[str, float]
Sampler = Callable[[], Figures]

FLOOR_NAME, OURS_NAME = FLOOR.name, OURS.name
OFFICIAL_NAME, CARGO_NAME = OFFICIAL.name, CARGO_LAMBDA.name
OUR_PAIR = f"{OURS_NAME} + {BOOTSTRAP.name}"
OFFICIAL_PAIR = f"{OFFICIAL_NAME} + {OFFICIAL_CLIENT.name}"
OFFICIAL_RAW = f"{OFFICIAL_NAME} + {RAW.name}"
FLOOR_RAW, OUR_RAW = f"{FLOOR_NAME} + {RAW.name}", f"{OURS_NAME} + {RAW.name}"

P50, P99 = Metric("p50", "us", 1), Metric("p99", "us", 1)
CPU = Metric("CPU per call", "us", 1)
BOTH_REGIMES = (
    Metric("one core p50", "us", 1),
    Metric("one core p99", "us", 1),
    Metric("two cores p50", "us", 1),
)
PER_SECOND = Metric("throughput", "calls/s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: calls and seconds are for one contender in one round."""

    rounds: int
    calls: int
    spaced_calls: int
    concurrent_calls: int
    large_calls: int
    memory_calls: int
    idle: tuple[int, ...]
    seconds: float


QUICK = Scale(
    rounds=3,
    calls=2500,
    spaced_calls=150,
    concurrent_calls=6000,
    large_calls=20,
    memory_calls=10_000,
    idle=(1, 64),
    seconds=3.0,
)
FULL = Scale(
    rounds=7,
    calls=5000,
    spaced_calls=250,
    concurrent_calls=12_000,
    large_calls=30,
    memory_calls=100_000,
    idle=(1, 16, 64, 256),
    seconds=5.0,
)


def say(text: str) -> None:
    """Tell on stderr what is being done."""
    print(text, file=sys.stderr, flush=True)


def interleave(result: Result, rounds: int, samplers: Mapping[str, Sampler]) -> Result:
    """Measure all, round by round; a contender that fails is left out, with the reason."""
    remaining = dict(samplers)
    for number in range(1, rounds + 1):
        for name, sample in list(remaining.items()):
            say(f"{result.id} {number}/{rounds}: {name}")
            try:
                result.add(name, sample())
            except (UnavailableError, load.FailedError, processes.NotReadyError) as error:
                result.drop(name, str(error))
                del remaining[name]
    return result


def sample_load(
    contender: Contender, runtime: Runtime, shape: Shape, cores: Cores, environments: int = 1
) -> Load:
    """Start a contender, measure one load, end it."""
    with serving(contender, runtime, cores=cores, environments=environments) as server:
        return server.measure(shape)


def at_most(
    what: str, contenders: tuple[str, str], metric: str, limit: float, *, required: bool = False
) -> Target:
    """Ask that one contender's figure is no more than so many times another's."""
    top, bottom = contenders
    return Target(
        what=what,
        top=(top, metric),
        bottom=(bottom, metric),
        bound="at most",
        limit=limit,
        required=required,
    )


def at_least(what: str, contenders: tuple[str, str], metric: str, limit: float) -> Target:
    """Ask that one contender's figure is no less than so many times another's."""
    top, bottom = contenders
    return Target(
        what=what, top=(top, metric), bottom=(bottom, metric), bound="at least", limit=limit
    )


def faster(what: str, peer: str, metric: str, limit: float, *, required: bool = False) -> Target:
    """Ask that a peer takes at least so many times as long as our emulator."""
    return Target(
        what=what,
        top=(peer, metric),
        bottom=(OURS_NAME, metric),
        bound="at least",
        limit=limit,
        required=required,
    )


def warm_shape(scale: Scale) -> Shape:
    """Return calls of 1 KB, one after the other."""
    return Shape(calls=scale.calls, warm_up=scale.calls // 10, seconds=scale.seconds)


def warm(scale: Scale) -> Result:
    """Row 1: the warm call of 1 KB on one core."""
    result = Result(
        id="warm",
        title="Warm call, 1 KB, one core",
        method=(
            "One caller, back to back; emulator, raw runtime and caller pinned to one core. "
            "CPU is the emulator's own, kernel included."
        ),
        metrics=(P50, P99, CPU),
        targets=(
            at_most("p50, times the floor", (OURS_NAME, FLOOR_NAME), "p50", 1.6, required=True),
            at_most("p50, times the floor", (OURS_NAME, FLOOR_NAME), "p50", 1.5),
            faster(
                "times faster than the official emulator", OFFICIAL_NAME, "p50", 1, required=True
            ),
            faster("times faster than cargo-lambda", CARGO_NAME, "p50", 1, required=True),
            Target(
                what="p99, times its own p50",
                top=(OURS_NAME, "p99"),
                bottom=(OURS_NAME, "p50"),
                bound="at most",
                limit=2,
            ),
        ),
    )

    def sampler(contender: Contender) -> Sampler:
        def sample() -> Figures:
            shape = warm_shape(scale)
            with serving(contender, RAW, cores=processes.one_core()) as server:
                before = processes.cpu_us(server.process.pid)
                found = server.measure(shape)
                used = processes.cpu_us(server.process.pid) - before
            per_call = used / (found.calls + shape.warm_up)
            return {"p50": found.p50_us, "p99": found.p99_us, "CPU per call": per_call}

        return sample

    contenders: tuple[Contender, ...] = (FLOOR, OURS, OFFICIAL, CARGO_LAMBDA)
    return interleave(result, scale.rounds, {each.name: sampler(each) for each in contenders})


def spaced(scale: Scale) -> Result:
    """Row 2: calls with pauses between them, where waking a core is most of the time."""
    result = Result(
        id="spaced",
        title="Calls 2 ms apart, 1 KB, two cores",
        method="One caller that pauses between calls; all processes free on two cores.",
        metrics=(P50, P99),
        targets=(
            faster(
                "times faster than the official emulator", OFFICIAL_NAME, "p50", 2.5, required=True
            ),
            faster("times faster than the official emulator", OFFICIAL_NAME, "p50", 3),
            faster("times faster than cargo-lambda", CARGO_NAME, "p50", 2),
        ),
    )
    shape = Shape(calls=scale.spaced_calls, gap_ms=2, warm_up=20, seconds=scale.seconds)

    def sampler(contender: Contender) -> Sampler:
        def sample() -> Figures:
            found = sample_load(contender, RAW, shape, processes.two_cores())
            return {"p50": found.p50_us, "p99": found.p99_us}

        return sample

    contenders: tuple[Contender, ...] = (FLOOR, OURS, OFFICIAL, CARGO_LAMBDA)
    return interleave(result, scale.rounds, {each.name: sampler(each) for each in contenders})


def concurrent(scale: Scale) -> Result:
    """Row 3: throughput."""
    result = Result(
        id="concurrent",
        title="8 callers, 4 environments, 1 KB, two cores",
        method="Eight callers, each back to back, on four environments with the raw runtime.",
        metrics=(PER_SECOND, P50),
        targets=(
            at_least("throughput, times the floor", (OURS_NAME, FLOOR_NAME), "throughput", 0.7),
            at_least("throughput, times cargo-lambda", (OURS_NAME, CARGO_NAME), "throughput", 1.6),
        ),
    )
    calls = scale.concurrent_calls
    shape = Shape(calls=calls, callers=8, warm_up=calls // 10, seconds=scale.seconds)

    def sampler(contender: Contender) -> Sampler:
        def sample() -> Figures:
            found = sample_load(contender, RAW, shape, processes.two_cores(), environments=4)
            return {"throughput": found.per_second, "p50": found.p50_us}

        return sample

    contenders: tuple[Contender, ...] = (FLOOR, OURS, OFFICIAL, CARGO_LAMBDA)
    return interleave(result, scale.rounds, {each.name: sampler(each) for each in contenders})


def large(scale: Scale) -> Result:
    """Row 4: large payloads, there and back."""
    one, six = Metric("1 MB p50", "ms", 2), Metric("6 MB p50", "ms", 2)
    tail = Metric("6 MB p99", "ms", 2)
    result = Result(
        id="large",
        title="Echo of 1 MB and of 6 MB, two cores",
        method="One caller, back to back; the raw runtime answers with the event it received.",
        metrics=(one, six, tail),
        targets=(
            at_most("6 MB, times the floor", (OURS_NAME, FLOOR_NAME), six.name, 1.3, required=True),
            at_most("6 MB, times the floor", (OURS_NAME, FLOOR_NAME), six.name, 1.15),
            faster("6 MB, times faster than the official emulator", OFFICIAL_NAME, six.name, 2),
        ),
    )

    def sampler(contender: Contender) -> Sampler:
        def sample() -> Figures:
            shape = Shape(calls=scale.large_calls, warm_up=5, size=1 * MB, seconds=scale.seconds)
            with serving(contender, RAW, cores=processes.two_cores()) as server:
                small = server.measure(shape)
                big = server.measure(replace(shape, size=6 * MB))
            return {
                one.name: small.p50_us / 1e3,
                six.name: big.p50_us / 1e3,
                tail.name: big.p99_us / 1e3,
            }

        return sample

    contenders: tuple[Contender, ...] = (FLOOR, OURS, OFFICIAL, CARGO_LAMBDA)
    return interleave(result, scale.rounds, {each.name: sampler(each) for each in contenders})


def sample_regimes(contender: Contender, runtime: Runtime, scale: Scale) -> Figures:
    """Measure the warm call pinned to one core, and free on two."""
    pinned = sample_load(contender, runtime, warm_shape(scale), processes.one_core())
    free = sample_load(contender, runtime, warm_shape(scale), processes.two_cores())
    return dict(
        zip(
            (metric.name for metric in BOTH_REGIMES),
            (pinned.p50_us, pinned.p99_us, free.p50_us),
            strict=True,
        )
    )


def client(scale: Scale) -> Result:
    """Row 5: the runtime clients, on the same emulator."""
    column = "one core p50"
    result = Result(
        id="client",
        title="Runtime clients on our emulator, warm call, 1 KB",
        method="One caller, back to back; only the client in the environment differs.",
        metrics=BOTH_REGIMES,
        targets=(
            Target(
                what="bootstrap, times faster than the official client",
                top=(OFFICIAL_CLIENT.name, column),
                bottom=(BOOTSTRAP.name, column),
                bound="at least",
                limit=1.4,
                required=True,
            ),
            at_most("bootstrap, times the raw runtime", (BOOTSTRAP.name, RAW.name), column, 1.15),
        ),
    )

    def sampler(runtime: Runtime) -> Sampler:
        return lambda: sample_regimes(OURS, runtime, scale)

    runtimes = (BOOTSTRAP, OFFICIAL_CLIENT, RAW)
    return interleave(result, scale.rounds, {each.name: sampler(each) for each in runtimes})


def pair(scale: Scale) -> Result:
    """Row 6: emulator and client together, against the official pair."""
    result = Result(
        id="pair",
        title="End to end: emulator and Python client, warm call, 1 KB",
        method="One caller, back to back; the function echoes its event.",
        metrics=BOTH_REGIMES,
        targets=tuple(
            Target(
                what=f"times faster than the official pair, {regime}",
                top=(OFFICIAL_PAIR, f"{regime} p50"),
                bottom=(OUR_PAIR, f"{regime} p50"),
                bound="at least",
                limit=2.3,
            )
            for regime in ("two cores", "one core")
        ),
    )
    return interleave(
        result,
        scale.rounds,
        {
            OUR_PAIR: lambda: sample_regimes(OURS, BOOTSTRAP, scale),
            OFFICIAL_PAIR: lambda: sample_regimes(OFFICIAL, OFFICIAL_CLIENT, scale),
        },
    )


def sample_start(contender: Contender, runtime: Runtime) -> Figures:
    """Execute an emulator and measure to its first answer."""
    port = processes.free_port()
    launch = contender.launch(runtime.checked(), port, 1)
    try:
        found = load.measure_start(
            launch.command,
            port=port,
            cores=processes.two_cores(),
            env=base_environment(),
            cwd=launch.cwd,
        )
    finally:
        processes.sweep()
    return {"accepts at": found.accepts_ms, "first answer": found.answers_ms}


def sample_further(contender: Contender, runtime: Runtime) -> Figures:
    """Measure a call that needs a second environment, while the first one is held."""
    cores = processes.two_cores()
    with serving(contender, runtime, cores=cores, environments=2, occupied=1) as server:
        hold = Shape(calls=1, hold_ms=400)
        holder = threading.Thread(target=server.measure, args=(hold,))
        holder.start()
        time.sleep(0.1)  # by now the first environment is held, and it is for 300 ms more
        found = server.measure(Shape(calls=1))
        holder.join()
    return {"further environment": found.p50_us / 1e3}


def start(scale: Scale) -> Result:
    """Row 7: the cold start."""
    first = Metric("first answer", "ms", 1)
    further = Metric("further environment", "ms", 1)
    result = Result(
        id="start",
        title="Cold start, two cores",
        method=(
            "From exec of the emulator to its first answer; and in a running emulator, a call "
            "that needs a further environment."
        ),
        metrics=(Metric("accepts at", "ms", 1), first, further),
        targets=(
            at_most(
                "first answer, times the official pair",
                (OUR_PAIR, OFFICIAL_PAIR),
                first.name,
                1.1,
            ),
            at_most(
                "with raw runtime, times the official emulator with it",
                (OUR_RAW, OFFICIAL_RAW),
                first.name,
                1.1,
            ),
            Target(
                what="further environment, times the floor's whole start",
                top=(OUR_RAW, further.name),
                bottom=(FLOOR_RAW, first.name),
                bound="at most",
                limit=1.3,
            ),
        ),
    )

    def sampler(contender: Contender, runtime: Runtime) -> Sampler:
        def sample() -> Figures:
            figures = sample_start(contender, runtime)
            return figures | sample_further(contender, runtime) if contender is OURS else figures

        return sample

    samplers = {
        OUR_PAIR: sampler(OURS, BOOTSTRAP),
        OFFICIAL_PAIR: sampler(OFFICIAL, OFFICIAL_CLIENT),
        FLOOR_RAW: sampler(FLOOR, RAW),
        OUR_RAW: sampler(OURS, RAW),
        OFFICIAL_RAW: sampler(OFFICIAL, RAW),
    }
    return interleave(result, scale.rounds + 2, samplers)


def memory(scale: Scale) -> Result:
    """Row 8: the emulator's memory, over many calls and a large payload."""
    settled, after = Metric("after 1,000 calls", "MB", 1), Metric("after all calls", "MB", 1)
    first, growth = Metric("at start", "MB", 1), Metric("growth", "MB", 2)
    copies = Metric("6 MB echo, peak above", "payloads", 2)
    result = Result(
        id="memory",
        title="Memory of the emulator",
        method=(
            f"Resident memory of the emulator's process alone, over {scale.memory_calls:,} calls "
            "of 1 KB; then the peak above that of ten echoes of 6 MB, in payloads of 6 MB."
        ),
        metrics=(first, settled, after, growth, copies),
        targets=(
            Target(
                what="MB after all calls", top=(OURS_NAME, after.name), bound="at most", limit=30
            ),
            Target(
                what="growth in MB after the first 1,000 calls",
                top=(OURS_NAME, growth.name),
                bound="at most",
                limit=1,
            ),
            Target(
                what="payloads in memory during a 6 MB echo",
                top=(OURS_NAME, copies.name),
                bound="at most",
                limit=2.1,
            ),
        ),
    )

    def sampler(contender: Contender) -> Sampler:
        def sample() -> Figures:
            with serving(contender, RAW, cores=processes.two_cores()) as server:
                pid = server.process.pid
                at_start = processes.memory_mb(pid)
                server.measure(Shape(calls=1000))
                at_1000 = processes.memory_mb(pid)
                server.measure(Shape(calls=scale.memory_calls, seconds=scale.memory_calls / 500))
                at_end = processes.memory_mb(pid)
                server.measure(Shape(calls=10, size=6 * MB))
                peak = processes.memory_mb(pid, "VmHWM")
            return {
                first.name: at_start,
                settled.name: at_1000,
                after.name: at_end,
                growth.name: at_end - at_1000,
                copies.name: (peak - at_end) * 1024 * 1024 / (6 * MB),
            }

        return sample

    contenders: tuple[Contender, ...] = (FLOOR, OURS, OFFICIAL, CARGO_LAMBDA)
    return interleave(result, 1, {each.name: sampler(each) for each in contenders})


def idle(scale: Scale) -> Result:
    """Row 9: what idle environments cost the one that works."""
    columns = tuple(Metric(f"p50 with {count}", "us", 1) for count in scale.idle)
    fewest, most = columns[0].name, columns[-1].name
    result = Result(
        id="idle",
        title=f"{scale.idle[0]} to {scale.idle[-1]} environments, one caller, 1 KB, one core",
        method="All environments are started and answer once; then one caller, back to back.",
        metrics=columns,
        targets=(
            Target(
                what=f"{most}, times {fewest}",
                top=(OURS_NAME, most),
                bottom=(OURS_NAME, fewest),
                bound="at most",
                limit=1.1,
            ),
        ),
    )

    def sampler(contender: Contender) -> Sampler:
        def sample() -> Figures:
            return {
                column.name: sample_idle(contender, count, scale)
                for column, count in zip(columns, scale.idle, strict=True)
            }

        return sample

    contenders: tuple[Contender, ...] = (FLOOR, OURS)
    rounds = max(3, scale.rounds // 3)
    return interleave(result, rounds, {each.name: sampler(each) for each in contenders})


def sample_idle(contender: Contender, count: int, scale: Scale) -> float:
    """Return the warm call's p50 on one core beside `count` - 1 idle environments.

    They start on two cores, and all processes move to one when they have.
    """
    cores = processes.two_cores()
    with serving(contender, RAW, cores=cores, environments=count) as server:
        pinned = server.pin(processes.one_core())
        # What starting that many processes leaves behind in the kernel takes a while to settle.
        shape = replace(warm_shape(scale), warm_up=scale.calls * 2)
        return pinned.measure(shape).p50_us


def bounds(scale: Scale) -> Result:
    """Row 10: what the bounds of an execution environment cost."""
    return bounds_row(scale.rounds, interleave)


def containers(scale: Scale) -> Result:
    """Row 11: the first answered invocation of a container."""
    return containers_row(scale.rounds, interleave)


ROWS: dict[str, Callable[[Scale], Result]] = {
    row.__name__: row
    for row in (
        warm,
        spaced,
        concurrent,
        large,
        client,
        pair,
        start,
        memory,
        idle,
        bounds,
        containers,
    )
}
