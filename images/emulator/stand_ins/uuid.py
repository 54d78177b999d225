"""Stands in for the standard library's uuid, which looks at the machine when it is imported.

orjson wants to know the type, and nobody makes any. Whoever asks more gets the real one.
"""

from __future__ import annotations


class UUID:
    """What no value here is."""


def __getattr__(name: str) -> object:
    import real_uuid  # type: ignore[import-not-found]  # noqa: PLC0415 - rarely needed

    return getattr(real_uuid, name)
