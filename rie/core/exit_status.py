"""How a process ended, in the words that AWS uses.

AWS's supervisor is written in Go: its messages are those of Go's ExitError ("exit status
1", "signal: killed"), so the names of signals are Go's.
"""

from __future__ import annotations

from dataclasses import dataclass

_SIGNALS = {
    1: "hangup",
    2: "interrupt",
    3: "quit",
    4: "illegal instruction",
    5: "trace/breakpoint trap",
    6: "aborted",
    7: "bus error",
    8: "floating point exception",
    9: "killed",
    10: "user defined signal 1",
    11: "segmentation fault",
    12: "user defined signal 2",
    13: "broken pipe",
    14: "alarm clock",
    15: "terminated",
}


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """A process's end: its exit code, or minus the number of the signal that killed it."""

    code: int
    core_dumped: bool = False
    out_of_memory: bool = False  # the kernel killed it, for want of memory

    def describe(self) -> str:
        """Say it as the platform does."""
        if self.code == 0:
            return "Runtime exited without providing a reason"
        return f"Runtime exited with error: {self._cause()}"

    def _cause(self) -> str:
        if self.code > 0:
            return f"exit status {self.code}"
        name = _SIGNALS.get(-self.code, f"signal {-self.code}")
        return f"signal: {name}" + (" (core dumped)" if self.core_dumped else "")
