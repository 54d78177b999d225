"""An out-of-memory kill is told from others.

Source: public reports of AWS: the caller reads `signal: killed`, the REPORT line says
`Error Type: Runtime.OutOfMemory`.
"""

from __future__ import annotations

import json
import signal

from tests.support.emulator import scripted_function

TOO_MUCH = 400 << 20  # bytes, for a function of 128 MB


def test_a_runtime_that_the_kernel_kills_for_its_memory_is_reported_so() -> None:
    with scripted_function(timeout=60) as function:
        runtime = function.runtime()
        call = function.begin()
        request_id = runtime.next().request_id

        runtime.begin_allocating(TOO_MUCH)
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
