"""What one client may cost. Sizes in bytes, times in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of every connection of a server; the size of a body is its endpoint's matter."""

    head_bytes: int = 2 * 1024 * 1024  # one header of 1 MiB must pass
    head_timeout: float = 30.0  # from a head's first byte to its last
    stall_timeout: float = 60.0  # without a byte of a body that is due
    idle: float | None = None  # between requests; None: a kept connection is kept for ever
    drain_bytes: int = (
        64 * 1024 * 1024
    )  # of an unwanted body that is read, so that the client reads
    linger: float = 5.0  # for a client to hang up after the last answer
    held_bytes: int = 256 * 1024  # of input ahead of its turn; more is left to the kernel
