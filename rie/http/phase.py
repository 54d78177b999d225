"""What the next byte of a connection belongs to."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """The state of a connection, as far as its input is concerned."""

    HEAD = auto()  # a head, or nothing yet
    BUSY = auto()  # what comes after the exchange that the endpoint has; it is held
    BODY = auto()  # the body that the endpoint asked for
    DRAIN = auto()  # a body that nobody asked for; the answer is out
    LINGER = auto()  # nobody: the last answer is out, the client has not hung up yet
    CLOSED = auto()


# By themselves, for the hot path: Python 3.11 takes its time for a member of an Enum.
HEAD, BUSY, BODY = Phase.HEAD, Phase.BUSY, Phase.BODY
DRAIN, LINGER, CLOSED = Phase.DRAIN, Phase.LINGER, Phase.CLOSED
