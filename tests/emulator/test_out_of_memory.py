"""An out-of-memory kill is told from others.

Source: public reports of AWS: the caller reads `signal: killed`, the REPORT line says
`Error Type: Runtime.OutOfMemory`.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.emulator import scripted_function

LIMIT = 64 << 20  # bytes
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@contextmanager
def memory_limited_group() -> Iterator[Path]:
    """Make a control group of at most 64 MiB without swap; skip where that is not allowed."""
    root, names = (V1, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"))
    if not (V1 / names[0]).exists():
        root, names = (V2, ("memory.max", "memory.swap.max"))
    group = root / f"rie-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / names[0]).write_text(str(LIMIT))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        pytest.skip(f"no control group with a memory limit can be made: {error}")
    try:
        with suppress(OSError):
            (group / names[1]).write_text(str(LIMIT) if root == V1 else "0")
        yield group
    finally:
        group.rmdir()


def test_a_runtime_that_the_kernel_kills_for_its_memory_is_reported_so() -> None:
    with memory_limited_group() as group, scripted_function(timeout=60) as function:
        runtime = function.runtime()
        call = function.begin()
        request_id = runtime.next().request_id
        (group / "cgroup.procs").write_text(str(runtime.pid))

        runtime.begin_allocating(4 * LIMIT)
        answer = call.result(60)

        reason = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
        assert answer["FunctionError"] == "Unhandled"
        assert json.loads(answer["Payload"].read()) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": reason,
        }
    lines = function.log.all()
    at = lines.index(reason)
    assert lines[at + 1] == "Runtime.ExitError"
    assert lines[at + 3].endswith("Status: error\tError Type: Runtime.OutOfMemory")


def test_a_kill_by_somebody_else_is_none_for_memory() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        call = function.begin()
        runtime.next()

        runtime.kill(signal.SIGKILL)

        assert call.result(60)["FunctionError"] == "Unhandled"
    assert any(line.endswith("Error Type: Runtime.ExitError") for line in function.log.all())
