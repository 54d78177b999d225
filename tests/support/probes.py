"""The function under test: it tries what a function may and may not do, and tells how that went.

Runs as `app` in a task root of its own (running_function.py), under the bootstrap client, by
any Python from 3.10 on: standard library only. The event names a probe and its arguments; the
answer is what the probe returns. Sizes are in MB, errors are told by their number, None is none.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MB = 1 << 20
TMP = Path("/tmp")
MS_REMOUNT, MS_BIND = 32, 4096  # mount(2)


def handler(event: dict[str, Any], context: object) -> object:
    del context
    return PROBES[event["probe"]](*event["arguments"])


# Memory


def touched(size: int) -> bytearray:
    taken = bytearray(size * MB)
    taken[::4096] = b"x" * (size * MB // 4096)
    return taken


def touch_memory(size: int) -> int:
    return len(touched(size)) // MB


def hold_memory(size: int) -> None:
    taken = touched(size)
    signal.pause()  # whoever looks at it now and then must see it
    taken.clear()


def touch_memory_in_child(size: int) -> int:
    """Have a child take memory; return how it ended."""
    child = os.fork()
    if child == 0:
        touched(size)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def hold_memory_in_child(size: int) -> int:
    child = os.fork()
    if child == 0:
        hold_memory(size)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# Files


def write_file(path: str, text: str) -> int | None:
    try:
        Path(path).write_text(text)
    except OSError as error:
        return error.errno
    return None


def read_file(path: str) -> str | None:
    with suppress(FileNotFoundError):
        return Path(path).read_text()
    return None


def fill_tmp(size: int) -> tuple[int, int | None]:
    """Write until there is no more room; return how much, and the error."""
    piece = os.urandom(MB)  # what is all alike could be stored in less
    written = 0
    try:
        with Path(TMP, "large").open("wb", buffering=0) as file:
            while written < size:
                file.write(piece)
                written += 1
    except OSError as error:
        return written, error.errno
    return written, None


def reserve_tmp(size: int) -> int | None:
    """Have a file's blocks without writing them, which would take the disk's time."""
    with Path(TMP, "reserved").open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size * MB)
        except OSError as error:
            return error.errno
    return None


def look_at_tmp() -> dict[str, object]:
    facts = TMP.stat()
    device = f"{os.major(facts.st_dev)}:{os.minor(facts.st_dev)}"
    names = sorted(each.name for each in TMP.iterdir())
    return {"names": names, "mode": facts.st_mode & 0o7777, "device": device}


def temporary_folder() -> str:
    return tempfile.gettempdir()


def remount(path: str) -> int | None:
    """Make a mount writable: of this view of it only, should nothing keep us from it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(None, path.encode(), None, MS_REMOUNT | MS_BIND, None) == 0:
        return None
    return ctypes.get_errno()


def look_at_devices() -> list[str]:
    return sorted(each.name for each in Path("/dev").iterdir())


def use_devices() -> dict[str, object]:
    with Path("/dev/full").open("wb", buffering=0) as full:
        try:
            filled = full.write(b"x")
        except OSError as error:
            filled = -(error.errno or 0)
    with Path("/dev/zero").open("rb") as zero, Path("/dev/urandom").open("rb") as random:
        read = {"zero": zero.read(4).hex(), "urandom": len(random.read(4))}
    return {"null": Path("/dev/null").write_bytes(b"x"), "full": filled} | read


def make_semaphore() -> int | None:
    import multiprocessing  # noqa: PLC0415 - for this probe only

    try:
        multiprocessing.Lock()
    except OSError as error:
        return error.errno
    return None


def shell(command: str) -> int:
    return subprocess.run(("sh", "-c", command), check=False).returncode


def where_it_runs() -> dict[str, str]:
    return {
        "cwd": str(Path.cwd()),
        "file": __file__,
        "task root": os.environ["LAMBDA_TASK_ROOT"],
        "prefix": sys.prefix,
        "executable": sys.executable,
    }


def fail() -> None:
    raise RuntimeError("as told to")


# Processes


def open_descriptors(count: int) -> tuple[int, int | None]:
    opened: list[int] = []
    try:
        while len(opened) < count:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return len(opened), error.errno
    finally:
        for each in opened:
            os.close(each)
    return len(opened), None


def fork_without_end(most: int) -> tuple[int, int | None]:
    """Fork up to `most` times; the children stay."""
    for count in range(most):
        try:
            child = os.fork()
        except OSError as error:
            return count, error.errno
        while child == 0:
            signal.pause()
    return most, None


def start_threads(most: int) -> int:
    release = threading.Event()
    threads: list[threading.Thread] = []
    with suppress(RuntimeError):
        while len(threads) < most:
            thread = threading.Thread(target=release.wait)
            thread.start()
            threads.append(thread)
    release.set()
    for each in threads:
        each.join()
    return len(threads)


def look_at_processes() -> dict[str, object]:
    numbers = sorted(int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal())
    commands = []
    for each in numbers:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended by now
            commands.append(Path(f"/proc/{each}/cmdline").read_text().split("\0"))
    return {"own": os.getpid(), "all": numbers, "commands": commands}


def who_it_is() -> dict[str, object]:
    pairs = (line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    status = {pair[0]: pair[1] for pair in pairs if len(pair) > 1}
    with suppress(KeyError):
        status["name"] = pwd.getpwuid(os.getuid()).pw_name
    asked = ("name", "CapEff", "CapPrm", "CapAmb", "NoNewPrivs")
    return {"ids": [*os.getresuid(), *os.getresgid()]} | {each: status.get(each) for each in asked}


def find_shared_memory(key: int) -> int:
    """Look for a segment of System V's; return the errno, 0 where there is one."""
    libc = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if libc.shmget(key, 0, 0) < 0 else 0


def make_user_namespace() -> int:
    """Try to have one of its own; return the errno, 0 where it is had."""
    libc = ctypes.CDLL(None, use_errno=True)
    return ctypes.get_errno() if libc.unshare(0x10000000) < 0 else 0


def out_of_memory_score() -> int:
    return int(Path("/proc/self/oom_score_adj").read_text())


def exit_at_once(code: int) -> None:
    os._exit(code)


def limits() -> list[int]:
    return [resource.getrlimit(each)[0] for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA)]


def burn(seconds: float) -> float:
    """Use so much of a processor; return how many times longer that took."""
    wall, used = time.perf_counter(), time.process_time()
    while (spent := time.process_time() - used) < seconds:
        pass
    return (time.perf_counter() - wall) / spent


def burn_least(seconds: float, times: int) -> float:
    """Return the least of several: others too are at work on the machine."""
    return min(burn(seconds) for _ in range(times))


# Others


def meet(path: str, name: str) -> dict[str, object]:
    """Write a file, wait at a socket until the test has seen everybody; then look around."""
    Path(TMP, name).touch()
    with socket.socket(socket.AF_UNIX) as test:
        test.connect(path)
        test.recv(1)
    api = os.environ["AWS_LAMBDA_RUNTIME_API"]
    return {"tmp": look_at_tmp()["names"], "api": api, "ping": ping(api)}


def ping(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/2018-06-01/ping")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def connect(host: str, port: int) -> int | None:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError as error:
        return error.errno
    return None


def interfaces() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


PROBES: dict[str, Any] = {
    each.__name__: each
    for each in (
        burn,
        burn_least,
        connect,
        exit_at_once,
        find_shared_memory,
        make_user_namespace,
        out_of_memory_score,
        fail,
        fill_tmp,
        fork_without_end,
        hold_memory,
        hold_memory_in_child,
        interfaces,
        limits,
        look_at_devices,
        look_at_processes,
        look_at_tmp,
        make_semaphore,
        meet,
        open_descriptors,
        ping,
        read_file,
        remount,
        reserve_tmp,
        shell,
        start_threads,
        temporary_folder,
        touch_memory,
        touch_memory_in_child,
        use_devices,
        where_it_runs,
        who_it_is,
        write_file,
    )
}

if "TAKE_AT_START" in os.environ:  # as an import of too much does
    hold_memory(int(os.environ["TAKE_AT_START"]))
