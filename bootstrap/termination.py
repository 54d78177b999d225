"""SIGTERM: the user's exit hooks run, then the process dies by the signal, at once.

By default the kernel kills the process without a word to Python, and as PID 1 of a container it
does not even do that. A handler that the user sets with `signal.signal` takes this one's place.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # `signal` imports `enum`, 3 ms

EXIT_CODE = 143  # 128 + SIGTERM, where the signal itself does nothing: as PID 1


def die_by_sigterm() -> None:
    """Set the handler, unless SIGTERM is ignored or someone else's by now."""
    owner = os.getpid()

    def die(signum: int, _frame: object) -> None:
        # Not SystemExit: user code could catch it, and threads that never end would hold it up.
        # A fork of ours is not the owner: the hooks are not its own.
        _end(signum, runs_hooks=os.getpid() == owner)

    if _signal.getsignal(_signal.SIGTERM) == _signal.SIG_DFL:
        with suppress(ValueError):  # not the main thread's to set
            _signal.signal(_signal.SIGTERM, die)


def _end(signum: int, *, runs_hooks: bool) -> None:  # pragma: no cover  (coverage is such a hook)
    if runs_hooks:
        atexit._run_exitfuncs()  # noqa: SLF001  (what the interpreter calls at its end)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, RuntimeError, ValueError):  # gone, or in use
            stream.flush()
    _signal.signal(signum, _signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(EXIT_CODE)
