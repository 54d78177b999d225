"""Whether a payload is one JSON text. What it says is the function's matter.

Most large payloads are long strings of base64 or of plain text. Parsing one of 6 MB takes 4 ms
and as much memory again; most of it can be left out of the text that is parsed, at a tenth of
the price: see `abridged`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from rie.core.invocation import Payload

PIECE = 32 * 1024  # bytes that are looked at, and left out, at once
LARGE = 8 * PIECE  # from here on it is worth while
_MARK = b"~"  # may stand within a string and nowhere else
_QUOTES = 2


def check(payload: Payload) -> None:
    """Raise ValueError or RecursionError unless the payload is one JSON text."""
    if len(payload) >= LARGE and _is_valid_abridged(payload):
        return
    try:
        orjson.loads(payload)
    except orjson.JSONDecodeError:
        # AWS's parser takes a lone surrogate escape, orjson does not: the slower one decides.
        json.loads(str(payload, "utf-8"), parse_int=str, parse_constant=_refuse_constant)


def abridged(payload: Payload, piece: int = PIECE) -> bytes | None:
    """Put one character for each piece that could only be the inside of a string, or nothing else.

    Such a piece is ASCII without quote, backslash or control character. If the result is JSON,
    then each mark is within a string, and so the whole is JSON too. The reverse does not hold: a
    piece may be digits of a number. None when too little can be left out.
    """
    kept: list[bytes | memoryview] = []
    budget = len(payload) // 2
    with memoryview(payload) as view:
        for at in range(0, len(view), piece):
            part = view[at : at + piece]
            if _is_plain(part):
                kept.append(_MARK)
                continue
            kept.append(part)
            budget -= len(part)
            if budget < 0:
                return None
        return b"".join(kept)


def _is_plain(part: memoryview) -> bool:
    try:
        text = str(part, "ascii")
    except UnicodeDecodeError:
        return False
    if '"' in text or "\\" in text:
        return False
    # What has to be escaped makes it longer; orjson looks for that 16 bytes at a time and more.
    return len(orjson.dumps(text)) == len(text) + _QUOTES


def _is_valid_abridged(payload: Payload) -> bool:
    text = abridged(payload)
    if text is None:
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
