"""The one door for every invocation: resolve the function, admit, run.

Whoever has an invocation to make (the Invoke API, the library, later event sources) comes
through here and gets one Outcome. Asynchronous ones stay in order: there is one line.
"""

from __future__ import annotations

import os
import time

from rie.core.arn import LATEST, FunctionReference
from rie.core.errors import ResourceNotFoundException
from rie.core.function import FunctionConfiguration
from rie.core.invocation import Invocation
from rie.core.platform import Tracing
from rie.worker.driver import Reply
from rie.worker.fleet import Fleet

# The official emulator's path names the function so, whatever its name is.
ANY_FUNCTION = "function"


class Invoker:
    """Runs invocations of the function that this emulator has."""

    def __init__(self, function: FunctionConfiguration, fleet: Fleet) -> None:
        self._function = function
        self._fleet = fleet

    def resolve(self, reference: FunctionReference) -> FunctionConfiguration:
        """Find the function version that `reference` means; ResourceNotFoundException."""
        function = self._function
        known = reference.name == ANY_FUNCTION or reference.means(function.name)
        if known and reference.qualifier in {None, LATEST, function.version}:
            return function
        wanted = function.name.named(reference)
        raise ResourceNotFoundException(
            f"Function not found: {wanted.arn(reference.qualifier or LATEST)}"
        )

    def run(self, invocation: Invocation, reply: Reply) -> None:
        """Run it; `reply` is called once with its outcome, maybe before this returns."""
        self._fleet.submit(invocation, reply, patient=invocation.type == "Event")


def new_id() -> str:
    """Make a request id: a random UUID, in a fifth of the time that the uuid module takes."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def tracing(header: bytes | None) -> Tracing:
    """Read a caller's X-Amzn-Trace-Id, or make one: AWS always gives the function one.

    Source: X-Ray developer guide, "Tracing header": Root=1-<epoch, 8 hex>-<24 hex>, Parent of
    16 hex digits, Sampled 0 or 1. Without active tracing a new trace is not sampled.
    """
    if header and b"Root=" in header:
        value = header.decode("latin-1")
        return Tracing(value, sampled="Sampled=1" in value)
    random = os.urandom(20).hex()
    value = f"Root=1-{int(time.time()):08x}-{random[:24]};Parent={random[24:]};Sampled=0"
    return Tracing(value, sampled=False)
