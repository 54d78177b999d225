"""The bootstrap client: runs a Python handler against a Lambda Runtime API.

`python -P -m bootstrap app.handler` is the whole program, `run` the same for a handler at hand,
and `RuntimeClient` for a loop of one's own. Nothing but the standard library, and little of that:
it shares a process with the user's packages, and each import is cold-start time.
"""

from bootstrap.client import Invocation, RuntimeClient
from bootstrap.context import LambdaContext
from bootstrap.errors import RuntimeApiError
from bootstrap.loop import run

__all__ = ["Invocation", "LambdaContext", "RuntimeApiError", "RuntimeClient", "run"]
