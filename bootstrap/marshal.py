"""Events and results: JSON in, JSON out, as AWS's own Python client has them.

The official client encodes with simplejson; what users can see of that is kept with the standard
library: Decimal becomes a number with all its digits, bytes inside a result a string, a named
tuple an object. Unlike it, NaN and Infinity are refused: they are not JSON, and the caller could
not read them.

`_json`, the C half of `json`, does the work, because `json` itself imports `re` and costs 4 ms of
each cold start. Whatever is unusual goes to `json`: malformed text, and interpreters without
that half.
"""

from __future__ import annotations

import os
import sys

from bootstrap.errors import BAD_EVENT, BAD_RESULT, Fault

JSON = "application/json"
RAW = "application/unknown"  # what the official client calls a result of bytes
SPACE = " \t\n\r"

# What `json` itself gives its C encoder after the function that quotes strings: no indent, the
# separators, and no to sorted keys, skipped keys, NaN.
_STYLE = (None, ": ", ", ", False, False, False)

# Stands before the digits of a Decimal until they have lost their quotes again: unguessable, so
# that no string of the user's can be taken for a number.
_MARK = os.urandom(16).hex()
_QUOTED_MARK = f'"{_MARK}'

try:
    import _json

    # Private to CPython: another version may have it otherwise, another interpreter not at all.
    _json.make_encoder({}, str, _json.encode_basestring_ascii, *_STYLE)
except (ImportError, AttributeError, TypeError):
    _json = None  # type: ignore[assignment]


def unmarshal_event(body: bytes | bytearray, content_type: str | None) -> object:
    """Return the event: parsed where it is JSON (or says nothing), else as bytes."""
    if content_type is not None and not _is_json(content_type):
        return bytes(body)
    try:
        return loads(str(body, "utf-8-sig" if body[:1] == b"\xef" else "utf-8"))
    except Exception as error:
        raise Fault(BAD_EVENT, f"Unable to unmarshal input: {error}") from error


def marshal_result(result: object) -> tuple[bytes, str]:
    """Return the body of a response and its content type."""
    if isinstance(result, bytes):
        return result, RAW
    try:
        return dumps(result, ascii_only=_IS_ASCII_ONLY), JSON
    except Exception as error:
        raise Fault(BAD_RESULT, f"Unable to marshal response: {error}") from error


def loads(text: str) -> object:
    """Parse JSON; raises what `json.loads` raises, and ValueError for NaN and Infinity."""
    at = len(text) - len(text.lstrip(SPACE)) if text[:1] in SPACE else 0
    try:
        value, end = _scan(text, at)
    except (StopIteration, ValueError):
        return _slow_loads(text)
    return value if not text[end:].strip(SPACE) else _slow_loads(text)


def dumps(value: object, *, ascii_only: bool = True) -> bytes:
    """`value` as JSON; raises TypeError, ValueError or RecursionError as `json.dumps` does."""
    text = _encode(value, ascii_only)
    if "[" in text and _has_named_tuple(value):
        text = _encode(_with_objects(value), ascii_only)
    if "decimal" in sys.modules and _QUOTED_MARK in text:
        text = _without_marks(text)
    try:
        return text.encode()
    except UnicodeEncodeError:  # lone surrogates, which only an escape can carry
        return dumps(value)


def _is_json(content_type: str) -> bool:
    return content_type == JSON or content_type.partition(";")[0].strip().lower() == JSON


def _is_ascii_only(environment: str) -> bool:
    """Whether results have their non-ASCII characters escaped, which counts for their size.

    As the official client does: it writes them as UTF-8 where AWS_EXECUTION_ENV names Python
    3.12 or newer.
    """
    minor = environment.removeprefix("AWS_Lambda_python3.")
    return not (minor.isdecimal() and int(minor) >= 12)  # noqa: PLR2004


_IS_ASCII_ONLY = _is_ascii_only(os.environ.get("AWS_EXECUTION_ENV", ""))


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _slow_loads(text: str) -> object:
    import json  # noqa: PLC0415  (see above)

    value: object = json.loads(text, parse_constant=_refuse_constant)
    return value


class _Parsing:
    """What the C scanner asks for, as `json.JSONDecoder` would have it."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse_constant)


def _default(value: object) -> object:
    """Return what simplejson makes of values that `json` refuses."""
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        if not value.is_finite():
            raise ValueError(f"Out of range Decimal is not JSON compliant: {value}")
        return _MARK + str(value)
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _fast_encode(value: object, ascii_only: bool) -> str:  # noqa: FBT001  (a hot call)
    quote = _json.encode_basestring_ascii if ascii_only else _json.encode_basestring
    encoder = _json.make_encoder({}, _default, quote, *_STYLE)
    return "".join(encoder(value, 0))


def _slow_encode(value: object, ascii_only: bool) -> str:  # noqa: FBT001  (as above)
    import json  # noqa: PLC0415  (see above)

    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, default=_default)


def _slow_scan(_text: str, _at: int) -> tuple[object, int]:
    raise StopIteration


_HAS_C_HALF = _json is not None
_scan = _json.make_scanner(_Parsing) if _HAS_C_HALF else _slow_scan  # type: ignore[arg-type]
_encode = _fast_encode if _HAS_C_HALF else _slow_encode


def _without_marks(text: str) -> str:
    first, *rest = text.split(_QUOTED_MARK)
    return first + "".join(part.replace('"', "", 1) for part in rest)


def _has_named_tuple(value: object) -> bool:
    """Look for one anywhere in `value`, which has been encoded and so has no cycle."""
    pending = [value]
    for item in pending:  # grows on the way
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            if hasattr(item, "_asdict"):
                return True
            pending.extend(item)
    return False


def _with_objects(value: object) -> object:
    """`value` with each named tuple as a dict."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _with_objects(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_objects(item) for item in value]
    return value
