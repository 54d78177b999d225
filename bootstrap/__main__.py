"""The command line: `python -P -m bootstrap [HANDLER]`.

`-P` keeps the current folder off the path until this package has been found, so that a user's own
`bootstrap.py` does not shadow it.
"""

from __future__ import annotations

import os
import sys

from bootstrap.client import ADDRESS_VARIABLE, RuntimeClient
from bootstrap.handler import make_way_for_user_module
from bootstrap.loop import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

USAGE = """\
usage: python -P -m bootstrap [HANDLER]

Serve Lambda invocations with HANDLER, such as app.handler, package/app.handler or
app.Class.method; by default the variable _HANDLER names it. AWS_LAMBDA_RUNTIME_API says where the
Runtime API listens (host:port), LAMBDA_TASK_ROOT where the code is (by default the current folder).
"""

LAYERS = "/opt/python"


def main(arguments: list[str]) -> NoReturn:
    """Run the handler that the arguments or the environment name."""
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE)
        sys.exit(0)
    if len(arguments) > 1 or (arguments and arguments[0].startswith("-")):
        _stop(f"one handler, and no options: {' '.join(arguments)}")
    if not os.environ.get(ADDRESS_VARIABLE):
        _stop(f"{ADDRESS_VARIABLE} is not set: there is no Runtime API to ask for invocations")
    try:
        client = RuntimeClient()
    except ValueError as error:
        _stop(str(error))
    name = arguments[0] if arguments else os.environ.get("_HANDLER", "")
    task_root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()  # noqa: PTH109  (5 ms)
    if sys.path[:1] != [task_root]:
        sys.path.insert(0, task_root)
    add_layers()
    make_way_for_user_module(task_root, name)
    try:
        run(name, client)
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT; whoever pressed the keys needs no traceback


def add_layers() -> None:
    """Put the folders of layers on the path, behind the task root.

    The folders are AWS's ("Packaging your layer content"), and so is their order: the one of this
    version of Python wins. A folder that the path has already, say by PYTHONPATH, keeps its place.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folders = (f"{LAYERS}/lib/{version}/site-packages", LAYERS)
    # os.path and not pathlib, whose import takes 5 ms.
    sys.path[1:1] = [
        folder
        for folder in folders
        if os.path.isdir(folder) and folder not in sys.path  # noqa: PTH112
    ]


def _stop(why: str) -> NoReturn:
    sys.stderr.write(f"bootstrap: {why}\n\n{USAGE}")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
