"""The kernel's account of when something arrived. Source: tcp(7), TCP_INFO."""

from __future__ import annotations

import socket
import time

import pytest

from rie.http.arrival import waited
from rie.http.listening import listen

LIMIT = 10.0  # seconds
AGE = 0.03

needs_tcp_info = pytest.mark.skipif(
    not hasattr(socket, "TCP_INFO"), reason="TCP_INFO is Linux's; elsewhere the answer is 0"
)


def wait_for_age(sock: socket.socket) -> None:
    """Wait until what lies unread is AGE old, as the kernel tells it."""
    began = time.monotonic()
    while waited(sock) < AGE:
        assert time.monotonic() - began < LIMIT


@needs_tcp_info
def test_what_has_lain_unread_grows_older() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                before = time.monotonic()
                client.sendall(b"GET /")
                server.recv(1, socket.MSG_PEEK)
                wait_for_age(server)

                # A tick of the kernel's clock is at most 10 ms.
                assert time.monotonic() - before >= AGE - 0.01


@needs_tcp_info
def test_what_has_just_come_is_not_old() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"first")
                wait_for_age(server)
                began = time.monotonic()
                client.sendall(b"second")
                while server.recv(64, socket.MSG_PEEK) != b"firstsecond":
                    assert time.monotonic() - began < LIMIT

                assert waited(server) <= time.monotonic() - began + 0.02


def test_without_a_socket_or_its_account_nothing_has_waited() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert waited(sock) == 0.0
    assert waited(None) == 0.0


@needs_tcp_info
def test_nothing_is_told_to_be_older_than_it_is() -> None:
    with listen("127.0.0.1", 0) as listener:
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            with server:
                for _ in range(3000):  # some of them just before a tick of the kernel's clock
                    sent = time.monotonic()
                    client.sendall(b"x")
                    server.recv(1)
                    told = waited(server)
                    assert told <= time.monotonic() - sent
