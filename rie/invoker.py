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


class Ids(NamedTuple):
    """What an invocation is known by."""

    request_id: str  # a random UUID (version 4)
    invocation_id: str  # 32 hexadecimal digits, never used before
    trace: str  # the random parts of an X-Amzn-Trace-Id


# Made many at a time: a call of the kernel for each, and the cutting to size of each alone,
# would cost more than all the rest of taking an invocation in.
_AT_ONCE = 64
_HEX_DIGITS = 32 + 32 + 40
_ids: list[Ids] = []


def new_ids() -> Ids:
    """Make the ids of one invocation."""
    if not _ids:
        text = os.urandom(_AT_ONCE * _HEX_DIGITS // 2).hex()
        _ids.extend(_cut(text[at : at + _HEX_DIGITS]) for at in range(0, len(text), _HEX_DIGITS))
    return _ids.pop()


def _cut(digits: str) -> Ids:
    variant = "89ab"[int(digits[16], 16) & 3]
    request_id = (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"
    )
    trace = f"-{digits[64:88]};Parent={digits[88:]};Sampled=0"
    return Ids(request_id, digits[32:64], trace)


def tracing(header: bytes | None, ids: Ids) -> Tracing:
    """Read a caller's X-Amzn-Trace-Id, or make one: AWS always gives the function one.

    Source: X-Ray developer guide, "Tracing header": Root=1-<epoch, 8 hex>-<24 hex>, Parent of
    16 hex digits, Sampled 0 or 1. Without active tracing a new trace is not sampled.
    """
    if header and b"Root=" in header:
        value = header.decode("latin-1")
        return Tracing(value, sampled="Sampled=1" in value)
    return Tracing(f"Root=1-{int(time.time()):08x}{ids.trace}", False)
