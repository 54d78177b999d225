"""The kernel's account of when something arrived. Source: tcp(7), TCP_INFO."""

from __future__ import annotations

import socket
import time

import pytest

from rie.http.arrival import waited
from rie.http.listening import listen

LIMIT = 10.0  # seconds

needs_tcp_info = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="TCP_INFO is Linux's; elsewhere the answer is 0"
)


@needs_tcp_info
def test_what_has_lain_unread_grows_older() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"GET /")
                server.recv(1, socket.MSG_PEEK)
                arrived = time.monotonic()
                while waited(server) < 0.03:
                    assert time.monotonic() - arrived < LIMIT

                # A tick of the kernel's clock is at most 10 ms.
                assert time.monotonic() - arrived >= 0.02


@needs_tcp_info
def test_what_has_just_come_is_not_old() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"first")
                while waited(server) < 0.03:
                    pass
                began = time.monotonic()
                client.sendall(b"second")
                while server.recv(64, socket.MSG_PEEK) != b"firstsecond":
                    pass

                assert waited(server) <= time.monotonic() - began + 0.02


def test_without_a_socket_or_its_account_nothing_has_waited() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert waited(sock) == 0.0
    assert waited(None) == 0.0
