"""Stands in for the standard library's inspect, which takes four other modules and 6 ms to import.

asyncio and uvloop ask it a handful of questions. Whoever asks more gets the real one.
"""

from __future__ import annotations

from types import CoroutineType, FunctionType, GeneratorType, MethodType

CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200


def __getattr__(name: str) -> object:
    import real_inspect  # type: ignore[import-not-found]  # noqa: PLC0415 - rarely needed

    return getattr(real_inspect, name)


def iscoroutine(thing: object) -> bool:
    """As in the standard library."""
    return isinstance(thing, CoroutineType)


def isgenerator(thing: object) -> bool:
    """As in the standard library."""
    return isinstance(thing, GeneratorType)


def isfunction(thing: object) -> bool:
    """As in the standard library."""
    return isinstance(thing, FunctionType)


def ismethod(thing: object) -> bool:
    """As in the standard library."""
    return isinstance(thing, MethodType)


def isclass(thing: object) -> bool:
    """As in the standard library."""
    return isinstance(thing, type)


def iscoroutinefunction(thing: object) -> bool:
    """As in the standard library."""
    return _has_flag(thing, CO_COROUTINE)


def isgeneratorfunction(thing: object) -> bool:
    """As in the standard library."""
    return _has_flag(thing, CO_GENERATOR)


def _has_flag(thing: object, flag: int) -> bool:
    import functools  # noqa: PLC0415 - it may be importing us

    while isinstance(thing, MethodType):
        thing = thing.__func__
    while isinstance(thing, functools.partial):
        thing = thing.func
    code = getattr(thing, "__code__", None) if isinstance(thing, FunctionType) else None
    return code is not None and bool(code.co_flags & flag)
