"""Measures this emulator beside its peers and the floor, in one run: `python -m benchmarks`.

Progress goes to stderr, the tables to stdout. With --check the exit status is 1 when a required
target is missed.
"""

import argparse
import importlib.metadata
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import native, peers, processes, report
from benchmarks.report import Result
from benchmarks.rows import FULL, QUICK, ROWS, Scale, say

STDOUT = "-"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows that were asked for, show them, and judge them if asked."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    processes.become_reaper()
    started = time.monotonic()
    try:
        results = measure(options.only, QUICK if options.quick else FULL)
    except native.CannotBuildError as error:
        say(f"benchmarks: {error}")
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        processes.sweep()
    took = time.monotonic() - started
    print(report.as_text(results, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    if options.json:
        put(options.json, report.as_json(results, {**machine(), "seconds": round(took, 1)}))
    if options.markdown:
        put_figures(options.markdown, f"{heading()}\n\n{report.as_markdown(results)}")
    say(f"benchmarks: {len(results)} rows in {took:.0f} s")
    return verdict(results) if options.check else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and calls: 60 to 90 s")
    parser.add_argument(
        "--only", type=rows, default=list(ROWS), metavar="ROWS", help=f"some of {','.join(ROWS)}"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write all figures of all rounds; - is stdout"
    )
    parser.add_argument(
        "--markdown",
        metavar="FILE",
        help=f"write the tables, between {BEGIN} and {END} where FILE has them; - is stdout",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit 1 when a required target is missed"
    )
    return parser.parse_args(arguments)


def rows(text: str) -> list[str]:
    """Read names of rows, separated by commas."""
    names = text.split(",")
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no row {unknown[0]!r}: there are {', '.join(ROWS)}")
    return names


def measure(only: Sequence[str], scale: Scale) -> list[Result]:
    """Build the C programs, then measure row by row."""
    for program in ("floor", "load"):
        native.build(program)
    return [ROWS[name](scale) for name in ROWS if name in only]


def machine() -> dict[str, object]:
    """Describe where and with what the figures were measured."""
    return {
        "measured": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": len(processes.all_cores()),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def put(where: str, text: str) -> None:
    """Write to a file, or to stdout."""
    if where == STDOUT:
        sys.stdout.write(text)
    else:
        Path(where).write_text(text)


def heading() -> str:
    """Say in one line when and on what the figures were measured."""
    about = machine()
    return (
        f"Measured on {str(about['measured'])[:10]}: {about['cores']} cores, "
        f"{about['memory_gib']} GiB, {about['system']}, Python {about['python']}. The official "
        f"emulator is that of {peers.OFFICIAL.project} {peers.OFFICIAL.version}, the others are "
        f"{peers.CARGO_LAMBDA.project} {peers.CARGO_LAMBDA.version} and {official_client()}."
    )


def official_client() -> str:
    """Return the official Python client with its version."""
    try:
        return f"awslambdaric {importlib.metadata.version('awslambdaric')}"
    except importlib.metadata.PackageNotFoundError:
        return "no awslambdaric"


def put_figures(where: str, text: str) -> None:
    """Write the tables; in a page that has a place for them, into that place."""
    page = Path(where)
    if where != STDOUT and page.exists():
        old = page.read_text()
        if BEGIN in old and END in old:
            before, after = old.partition(BEGIN)[0], old.partition(END)[2]
            text = f"{before}{BEGIN}\n{text}{END}{after}"
    put(where, text)


def verdict(results: Sequence[Result]) -> int:
    """Name the required targets that were missed; return the exit status."""
    missed = report.missed(results)
    for each in missed:
        say(f"benchmarks: {each.mark}: {each.target.what}: {each.shown}, {each.target.asked}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
