"""The listening socket, bound before anything heavy is imported: `socket` is all this needs."""

import socket

BACKLOG = 1024


def listen(host: str, port: int, *, backlog: int = BACKLOG) -> socket.socket:
    """Return a socket bound to `host` and `port` (0: one from the kernel) that listens.

    `host` is a name or an address, of either family; the first that can be bound is taken.
    Raises OSError, with errno EADDRINUSE for a port in use.
    """
    places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    failure: OSError | None = None
    for family, kind, protocol, _, address in places:
        sock = socket.socket(family, kind, protocol)
        try:
            # A restart need not wait for the TIME_WAIT of the last run's connections.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(backlog)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError(f"no address for {host!r}")
