"""What a function is, as far as its invocations need to know."""

from __future__ import annotations

from dataclasses import dataclass

from rie.core.arn import FunctionName
from rie.core.limits import INIT_TIMEOUT


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionConfiguration:
    """One function version. Times in seconds, `memory_size` in MB."""

    name: FunctionName
    version: str = "$LATEST"
    handler: str = ""
    timeout: float = 3.0
    memory_size: int = 128
    init_timeout: float = INIT_TIMEOUT
