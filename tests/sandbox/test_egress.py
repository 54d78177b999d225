from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rie.sandbox import egress
from rie.sandbox.egress import NoEgress, connect
from rie.worker import process_table
from tests.support.emulator import wait_until
from tests.support.raw_http import LIMIT

ROOT = Path(egress.__file__).parents[2]

# A machine of the test's own: a network namespace with an address on which something answers,
# and in it the function's namespace, held by a process. `ask` speaks from within the latter.
OUTSIDE = """
import os, socketserver, subprocess, sys, threading
from rie.sandbox.egress import connect

class Answer(socketserver.BaseRequestHandler):
    def handle(self): self.request.sendall(b"hello")

def serve(address, port):
    server = socketserver.ThreadingTCPServer((address, port), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]

def hold(*options):
    command = ("unshare", *options, "sh", "-c", "echo held; read x")
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    holder.stdout.readline()
    return holder.pid

def namespace(kind): return os.open(f"/proc/{inside}/ns/{kind}", os.O_RDONLY)

ASK = '''
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3) as connection:
        print(connection.recv(9).decode())
except OSError as error:
    print("unreachable")
'''

def ask(address):
    command = ("nsenter", f"--net=/proc/{inside}/ns/net", sys.executable, "-S", "-c", ASK)
    subprocess.run((*command, address, str(port)), timeout=LIMIT)

def is_connected(): return "tap0" in open(f"/proc/{inside}/net/dev").read()

subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
subprocess.run(("ip", "address", "add", "192.0.2.1/24", "dev", "lo"), check=True)
port = serve("192.0.2.1", 0)
serve("127.0.0.1", port)
inside = hold("--net")
"""


def why_no_egress() -> str | None:
    if os.geteuid() != 0:
        return "network namespaces: need root"
    if shutil.which("slirp4netns") is None:
        return "slirp4netns: is not installed"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
        made = subprocess.run(("unshare", "--net", "true"), capture_output=True, check=False)
    except OSError as reason:
        return str(reason)
    return made.stderr.decode().strip() or None


NO_EGRESS = why_no_egress()
needs_egress = pytest.mark.skipif(NO_EGRESS is not None, reason=str(NO_EGRESS))


def outside(script: str) -> tuple[str, ...]:
    return ("unshare", "--net", sys.executable, "-c", f"LIMIT = {LIMIT}\n{OUTSIDE}\n{script}")


def said_outside(script: str) -> list[str]:
    """Run a script in the outer namespace; return the lines that it and `ask` printed."""
    process = subprocess.run(
        outside(script), capture_output=True, text=True, timeout=LIMIT, check=False, cwd=ROOT
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@contextmanager
def running_outside(script: str) -> Iterator[tuple[subprocess.Popen[bytes], bytes]]:
    """Start a script in the outer namespace; yield it with its first line."""
    with subprocess.Popen(
        outside(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@contextmanager
def namespace(kind: str) -> Iterator[int]:
    """Open a namespace of this process. Nothing in this file connects one that is real."""
    descriptor = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_files() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def put_on_path(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "slirp4netns"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# The way out


@needs_egress
def test_without_egress_nothing_is_reached() -> None:
    assert said_outside("ask('192.0.2.1')") == ["unreachable"]


@needs_egress
def test_what_the_machine_reaches_is_reached_from_within() -> None:
    script = """
egress = connect(namespace("net"), None)
ask("192.0.2.1")
egress.close()
"""
    assert said_outside(script) == ["hello"]


@needs_egress
def test_the_loopback_of_the_machine_is_not_reached() -> None:
    script = """
egress = connect(namespace("net"), None)
ask("10.0.2.2")
ask("127.0.0.1")
egress.close()
"""
    assert said_outside(script) == ["unreachable", "unreachable"]


@needs_egress
def test_a_namespace_that_belongs_to_another_user_namespace_is_connected() -> None:
    script = """
inside = hold("--user", "--map-root-user", "--net")
egress = connect(namespace("net"), namespace("user"))
ask("192.0.2.1")
egress.close()
"""
    assert said_outside(script) == ["hello"]


@needs_egress
def test_two_namespaces_are_connected_at_once() -> None:
    script = """
first = connect(namespace("net"), None)
inside = hold("--net")
second = connect(namespace("net"), None)
first.close()
ask("192.0.2.1")
second.close()
"""
    assert said_outside(script) == ["hello"]


# Its end


@needs_egress
def test_closing_ends_it_and_leaves_nothing_open() -> None:
    script = """
network = namespace("net")
before = sorted(os.listdir("/proc/self/fd"))
egress = connect(network, None)
print(is_connected())
egress.close()
egress.close()
# It is killed, or has seen before that it is not wanted any more.
ended = egress._process.returncode in (0, -9)
print(is_connected(), ended, sorted(os.listdir("/proc/self/fd")) == before)
"""
    assert said_outside(script) == ["True", "False True True"]


@needs_egress
def test_it_ends_when_its_owner_is_killed() -> None:
    script = """
egress = connect(namespace("net"), None)
print(egress._process.pid, flush=True)
sys.stdin.read()
"""
    with running_outside(script) as (owner, line):
        pid = int(line)
        assert process_table.is_running(pid)
        owner.send_signal(signal.SIGKILL)
        owner.wait(LIMIT)

        wait_until(lambda: not process_table.is_running(pid), "the end of slirp4netns")


@needs_egress
def test_an_interrupt_from_the_terminal_does_not_reach_it() -> None:
    script = """
egress = connect(namespace("net"), None)
print(os.getpgid(egress._process.pid) != os.getpgid(0))
egress.close()
"""
    assert said_outside(script) == ["True"]


# Why there is none


def test_without_slirp4netns_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with namespace("net") as network:
        before = open_files()
        with pytest.raises(NoEgress, match=r"^slirp4netns is not on PATH: install slirp4netns$"):
            connect(network, None)
        assert open_files() == before


def test_a_program_that_cannot_be_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slirp4netns").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))

    with namespace("net") as network, pytest.raises(NoEgress, match="cannot be started"):
        connect(network, None)


@needs_egress
def test_the_reason_of_a_failure_is_told() -> None:
    with namespace("user") as not_a_network, pytest.raises(NoEgress) as raised:
        connect(not_a_network, None)

    assert str(raised.value) == "slirp4netns failed: setns(CLONE_NEWNET): Invalid argument"


def test_a_failure_without_a_word_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(tmp_path, "exit 1", monkeypatch)

    with namespace("net") as network:
        before = open_files()
        with pytest.raises(NoEgress, match=r"^slirp4netns failed: it does not say why$"):
            connect(network, None)
        assert open_files() == before


def test_one_that_is_never_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_on_path(tmp_path, f"exec sleep {LIMIT:.0f}", monkeypatch)
    monkeypatch.setattr(egress, "_READY_LIMIT", 0.05)
    before = set(process_table.orphans())

    with namespace("net") as network, pytest.raises(NoEgress, match=r"is not ready after 0\.05 s"):
        connect(network, None)
    assert set(process_table.orphans()) == before
