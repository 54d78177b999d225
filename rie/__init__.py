"""AWS Lambda's execution model on one's own machine.

The public names: an Emulator to run a function in, its Settings, what an invocation comes
to, and the errors. Loaded when first asked for, so that `rie run` pays for none of it.
"""

from __future__ import annotations

from rie.version import __version__

TYPE_CHECKING = False  # typing's own takes 10 ms to import
if TYPE_CHECKING:
    from rie.core.errors import RieError, ServiceError
    from rie.emulator import Emulator, InvokeResult
    from rie.settings import Settings, SettingsError

__all__ = [
    "Emulator",
    "InvokeResult",
    "RieError",
    "ServiceError",
    "Settings",
    "SettingsError",
    "__version__",
]

_HOMES = {
    "Emulator": "rie.emulator",
    "InvokeResult": "rie.emulator",
    "RieError": "rie.core.errors",
    "ServiceError": "rie.core.errors",
    "Settings": "rie.settings",
    "SettingsError": "rie.settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only for whoever asks

    return getattr(import_module(_HOMES[name]), name)
