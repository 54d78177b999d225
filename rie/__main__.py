"""The programs: `rie`, which `python -m rie` is too, and `aws-lambda-rie`.

This module imports nothing, so that an interrupt finds somebody who takes it: loading the
command line takes 30 ms, in which a Ctrl-C would show a traceback.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_INTERRUPTED = 130


def main() -> int:
    """Run `rie` with this process's arguments; return its exit status."""

    def run() -> int:
        from rie.cli import main  # noqa: PLC0415 - see the module's docstring

        return main()

    return _quietly(run)


def drop_in() -> int:
    """Run `aws-lambda-rie` with this process's arguments; return its exit status."""

    def run() -> int:
        from rie.cli import drop_in  # noqa: PLC0415 - see the module's docstring

        return drop_in()

    return _quietly(run)


def _quietly(run: "Callable[[], int]") -> int:
    try:
        return run()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
