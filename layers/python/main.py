# ruff: noqa: INP001 - it is run as a folder, and belongs to no package
"""What Python runs when it is given this folder: the package `bootstrap` that is in it.

Python 3.6 can parse it, so that one that is too old can be told so.
"""

import os
import sys

OLDEST = (3, 10)


def refuse() -> None:
    """Report an init error, and end."""
    import json  # noqa: PLC0415 - not for those who are new enough
    from urllib.request import ProxyHandler, Request, build_opener  # noqa: PLC0415 - nor these

    kind = "Runtime.PythonTooOld"
    version, oldest = (".".join(map(str, numbers)) for numbers in (sys.version_info[:3], OLDEST))
    message = (
        f"{sys.executable} is Python {version}; the bootstrap needs {oldest} or newer: "
        "set RIE_PYTHON to another"
    )
    sys.stderr.write(f"bootstrap: {kind}: {message}\n")
    address = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    if address:
        error = {"errorMessage": message, "errorType": kind, "stackTrace": []}
        request = Request(
            f"http://{address}/2018-06-01/runtime/init/error",
            json.dumps(error).encode(),
            {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": kind},
        )
        build_opener(ProxyHandler({})).open(request).close()
    sys.exit(1)


if sys.version_info < OLDEST:
    refuse()

from bootstrap.__main__ import main  # noqa: E402 - it cannot be parsed by an older one

# This folder: now that the package is loaded, it would only stand in front of the user's modules.
del sys.path[0]
main(sys.argv[1:])
