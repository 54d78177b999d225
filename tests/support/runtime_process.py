"""The process of a scripted runtime: tells who it is, then does as a test orders.

Started by the emulator as a function's command, with the standard library and no site
packages: `python -I -S runtime_process.py SOCKET`. It connects to the test's Unix socket,
writes one JSON line about itself, and answers each order (a JSON line) with a line of its
own, once it is done. The Runtime API is called by the test, not from here.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

KEPT: list[bytearray] = []  # memory that was allocated by order


def main() -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    with connection.makefile("rwb") as file:
        _tell(file, _about())
        for line in file:
            order = json.loads(line)
            _tell(file, ORDERS[order.pop("do")](**order))


def _tell(file: Any, value: object) -> None:  # noqa: ANN401 - a socket's file has no better type
    file.write(json.dumps(value).encode() + b"\n")
    file.flush()


def _about() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "session": os.getsid(0),
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "environment": dict(os.environ),
        "stdin": str(Path("/proc/self/fd/0").readlink()),
        "descriptors": _descriptors(),
    }


def _descriptors() -> list[int]:
    found = []
    for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - names, not paths
        try:
            target = str(Path(f"/proc/self/fd/{number}").readlink())
        except OSError:  # the one that listed
            continue
        if "/proc/" not in target:
            found.append(number)
    return sorted(found)


def _exit(code: int) -> None:
    os._exit(code)


def _kill(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()  # until it has arrived


def _write(descriptor: int, data: str) -> None:
    rest = base64.b64decode(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _allocate(size: int) -> None:
    KEPT.append(bytearray(os.urandom(4096)) * (size // 4096))


def _fork(*, orphan: bool) -> int:
    """Start a process in a session of its own that ignores SIGTERM; return its id.

    An orphan's parent is gone: it descends from nobody in the environment.
    """
    answer, question = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if orphan and os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(question, b"%d" % os.getpid())
        os.closerange(3, 1024)  # the test's socket too: its end tells of the runtime's
        while True:
            signal.pause()
    if orphan:
        os.wait()
    return int(os.read(answer, 32))


def _ignore(number: int) -> None:
    signal.signal(number, signal.SIG_IGN)


def _write_file(path: str, text: str) -> None:
    Path(path).write_text(text)


def _read_file(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return None


ORDERS: dict[str, Any] = {
    "allocate": _allocate,
    "exit": _exit,
    "fork": _fork,
    "ignore": _ignore,
    "kill": _kill,
    "read_file": _read_file,
    "write": _write,
    "write_file": _write_file,
}

if __name__ == "__main__":
    main()
