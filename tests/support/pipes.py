"""Reading from pipes and terminals: what does not come in LIMIT seconds fails the test."""

from __future__ import annotations

import os
import select

from tests.support.raw_http import LIMIT


def read_some(descriptor: int, size: int = 1 << 16) -> bytes:
    """Wait for bytes and return them; none at the end of a pipe."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(LIMIT * 1000), f"nothing came in {LIMIT} s"
    return os.read(descriptor, size)
