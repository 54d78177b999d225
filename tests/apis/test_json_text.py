from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.apis.json_text import LARGE, PIECE, abridged, check

BLOB = b"QUJD/+==" * (LARGE // 8)

values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.just("x" * 40),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def test_long_strings_are_left_out_of_what_is_parsed() -> None:
    text = abridged(b'{"body":"%b"}' % BLOB)

    assert text is not None
    assert len(text) <= 3 * PIECE


def test_a_piece_is_left_out_only_where_every_character_may_be_in_a_string() -> None:
    for wrong in (b'"', b"\\", b"\x00", b"\n", b"\x1f", b"\x80", b"\xff"):
        assert abridged(b"x" * 7 + wrong + b"x" * 72, piece=8) == b"x" * 7 + wrong + b"~" * 9
    assert abridged(b" ~\x7f!" * 8, piece=8) == b"~~~~"


def test_what_has_little_to_leave_out_is_parsed_as_it_is() -> None:
    assert abridged(orjson.dumps([{"a": number} for number in range(1000)]), piece=16) is None


@settings(deadline=None)  # a busy machine is no failure
@given(values, st.integers(1, 9), st.integers(0), st.binary(max_size=3))
def test_what_is_valid_abridged_is_valid(value: object, piece: int, at: int, spoilt: bytes) -> None:
    whole = json.dumps(value, ensure_ascii=False).encode()
    at %= len(whole) + 1
    payload = whole[:at] + spoilt + whole[at:]

    text = abridged(payload, piece)

    assert text is None or not is_json(text) or is_json(payload)


@pytest.mark.parametrize("kind", [bytes, memoryview])
@pytest.mark.parametrize(
    "payload",
    [
        b'"%b"' % BLOB,
        b'{"a":["%b","%b"]}' % (BLOB, BLOB),
        b'["%b\\u00e9\xc3\xa9\\n%b"]' % (BLOB, BLOB),
        b'["\\ud800%b"]' % BLOB,
        b"[%b1]" % (b"1," * LARGE),
        b"%b1" % (b" " * LARGE),
    ],
)
def test_large_json_is_taken(payload: bytes, kind: type[bytes | memoryview]) -> None:
    check(kind(payload))


@pytest.mark.parametrize(
    "payload",
    [
        BLOB,
        b'"%b' % BLOB,
        b'"%b\n%b"' % (BLOB, BLOB),
        b'"%b\x00"' % BLOB,
        b'"%b\xff%b"' % (BLOB, BLOB),
        b'"%b\\x%b"' % (BLOB, BLOB),
        b'["%b"]]' % BLOB,
        b'["",%b,""]' % BLOB,
        b"[%bNaN]" % (b"1," * LARGE),
        b"[" * LARGE,
        b"[" + b"x" * LARGE + b"]",
    ],
)
def test_what_is_large_and_no_json_is_refused(payload: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        check(payload)
