"""Which error types a runtime may report, and what becomes of the others.

Source: the official emulator's filter, which is AWS's own code: the header must contain
`(Runtime|Function).` and a word that begins with a capital and has two letters or more.
"""

from __future__ import annotations

import re

_VALID = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


def filtered(header: str | None) -> str:
    """Reduce the header Lambda-Runtime-Function-Error-Type to a type that may be shown."""
    if not header:
        return "Runtime.Unknown"
    if _VALID.search(header):
        return header
    return "Function.Unknown" if header.startswith("Function.") else "Runtime.Unknown"
