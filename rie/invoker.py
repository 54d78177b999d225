"""The one door for every invocation: resolve the function, admit, run.

Whoever has an invocation to make (the Invoke API, the library, later event sources) comes
through here and gets one Outcome. Asynchronous ones stay in order: there is one line.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from rie.core.arn import LATEST, FunctionReference
from rie.core.errors import ResourceNotFoundException
from rie.core.function import FunctionConfiguration
from rie.core.invocation import Invocation
from rie.core.platform import Tracing
from rie.worker.driver import Reply
from rie.worker.fleet import Fleet

# The official emulator's path names the function so, whatever its name is.
ANY_FUNCTION = "function"


class Target(NamedTuple):
    """The version that an invocation runs, and its ARN as the caller named it."""

    arn: str
    version: str


class Invoker:
    """Runs invocations of the function that this emulator has."""

    def __init__(self, function: FunctionConfiguration, fleet: Fleet) -> None:
        self._function = function
        self._fleet = fleet

    def resolve(self, reference: FunctionReference) -> Target:
        """Find the function version that `reference` means; ResourceNotFoundException."""
        function = self._function
        qualifier = reference.qualifier
        known = reference.name == ANY_FUNCTION or reference.means(function.name)
        if known and (qualifier is None or qualifier in (LATEST, function.version)):
            return Target(function.name.arn(qualifier), function.version)
        wanted = function.name.named(reference)
        raise ResourceNotFoundException(f"Function not found: {wanted.arn(qualifier or LATEST)}")

    def run(self, invocation: Invocation, reply: Reply) -> None:
        """Run it; `reply` is called once with its outcome, maybe before this returns."""
        self._fleet.submit(invocation, reply, patient=invocation.type == "Event")


class _Chance:
    """Random hexadecimal digits, fetched from the kernel many at a time.

    A call of the kernel for each of an invocation's three ids would cost more than the ids.
    """

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def take(self, count: int) -> str:
        start, end = self._at, self._at + count
        if end > len(self._digits):
            self._digits = os.urandom(2048).hex()
            start, end = 0, count
        self._at = end
        return self._digits[start:end]


_chance = _Chance()


def new_id() -> str:
    """Make a request id: a random UUID (version 4)."""
    digits = _chance.take(32)
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_nonce() -> str:
    """Make an invocation id: 32 hexadecimal digits, never used before."""
    return _chance.take(32)


def tracing(header: bytes | None) -> Tracing:
    """Read a caller's X-Amzn-Trace-Id, or make one: AWS always gives the function one.

    Source: X-Ray developer guide, "Tracing header": Root=1-<epoch, 8 hex>-<24 hex>, Parent of
    16 hex digits, Sampled 0 or 1. Without active tracing a new trace is not sampled.
    """
    if header and b"Root=" in header:
        value = header.decode("latin-1")
        return Tracing(value, sampled="Sampled=1" in value)
    root, parent = _chance.take(24), _chance.take(16)
    value = f"Root=1-{int(time.time()):08x}-{root};Parent={parent};Sampled=0"
    return Tracing(value, sampled=False)
