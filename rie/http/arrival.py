"""How long ago the kernel received what is only read now.

A program that was busy when a request came cannot tell by its own clock when that was. The
kernel can: TCP_INFO has the time since the last data of a connection. Linux only, to the tick of
its clock, of which one is taken off, so that nothing is told to be older than it is; elsewhere
the answer is 0.
"""

from __future__ import annotations

import socket
import struct
import time

# struct tcp_info (linux/tcp.h): eight single bytes, then numbers of 32 bits, of which the
# twelfth is tcpi_last_data_recv, in milliseconds.
_LAST_DATA_RECEIVED = struct.Struct("=8x44xI")

# CLOCK_MONOTONIC_COARSE, whose resolution is a tick; Python has no name for it.
_COARSE_CLOCK = 6
_LONGEST_TICK = 0.01  # seconds


def waited(sock: socket.socket | None) -> float:
    """Return for how many seconds at least the last data of a connection has been there."""
    option = getattr(socket, "TCP_INFO", None)
    if sock is None or option is None:
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _LAST_DATA_RECEIVED.size)
        (milliseconds,) = _LAST_DATA_RECEIVED.unpack(info)
    except (OSError, struct.error):
        return 0.0
    return max(0.0, float(milliseconds) / 1000 - _tick())


def _tick() -> float:
    try:
        return time.clock_getres(_COARSE_CLOCK)
    except OSError:
        return _LONGEST_TICK
