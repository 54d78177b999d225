"""Messages as Go's ExitError has them: recorded from AWS for the first, second and SIGKILL."""

from __future__ import annotations

import signal

import pytest

from rie.core.exit_status import ExitStatus


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (ExitStatus(0), "Runtime exited without providing a reason"),
        (ExitStatus(1), "Runtime exited with error: exit status 1"),
        (ExitStatus(255), "Runtime exited with error: exit status 255"),
        (ExitStatus(-signal.SIGKILL), "Runtime exited with error: signal: killed"),
        (ExitStatus(-signal.SIGTERM), "Runtime exited with error: signal: terminated"),
        (ExitStatus(-signal.SIGSEGV), "Runtime exited with error: signal: segmentation fault"),
        (
            ExitStatus(-signal.SIGABRT, core_dumped=True),
            "Runtime exited with error: signal: aborted (core dumped)",
        ),
        (ExitStatus(-signal.SIGUSR1), "Runtime exited with error: signal: user defined signal 1"),
        # Go has no name for these.
        (ExitStatus(-31), "Runtime exited with error: signal: signal 31"),
        (ExitStatus(-64), "Runtime exited with error: signal: signal 64"),
    ],
)
def test_a_process_s_end_is_told_in_the_platform_s_words(status: ExitStatus, said: str) -> None:
    assert status.describe() == said
