from __future__ import annotations

import errno
import socket
import subprocess
import sys

import pytest

from rie.http.listening import listen


def test_a_listening_socket_takes_connections() -> None:
    with listen("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()):
        assert sock.getsockname()[1] != 0


def test_a_port_in_use_is_said_so() -> None:
    with listen("127.0.0.1", 0) as sock:
        with pytest.raises(OSError) as refusal:  # noqa: PT011 - errno is looked at
            listen("127.0.0.1", sock.getsockname()[1])

        assert refusal.value.errno == errno.EADDRINUSE


def test_a_port_just_left_can_be_taken_again() -> None:
    with listen("127.0.0.1", 0) as sock:
        address = sock.getsockname()
        with socket.create_connection(address):
            accepted, _ = sock.accept()
            accepted.close()  # this side closes first, and is left in TIME_WAIT

    with listen(*address):
        pass


def test_listening_imports_nothing_heavy() -> None:
    program = "import sys, rie.http.listening; print('asyncio' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert run.stdout == "False\n"
