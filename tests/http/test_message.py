from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie.http.message import Headers, percent_decoded


def test_the_first_of_repeated_headers_is_got_and_all_are_iterated() -> None:
    headers = Headers([(b"A", b"1"), (b"B", b"2"), (b"a", b"3")])

    assert headers.get(b"a") == b"1"
    assert headers.get(b"c") is None
    assert list(headers) == [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]
    assert len(headers) == 3


@pytest.mark.parametrize(
    ("raw", "decoded"),
    [
        (b"/a%20b", "/a b"),
        (b"%C3%A9", "é"),
        (b"100%", "100%"),
        (b"%4", "%4"),
        (b"%%41%", "%A%"),
        (b"%0x1", "%0x1"),
        (b"%zz%+1%1_", "%zz%+1%1_"),
        (b"%25%32%35", "%25"),
        (b"%ff", "\ufffd"),
    ],
)
def test_escapes_are_decoded_and_the_rest_is_left_alone(raw: bytes, decoded: str) -> None:
    assert percent_decoded(raw) == decoded


@given(st.text())
def test_what_was_escaped_is_decoded(text: str) -> None:
    raw = b"".join(b"%%%02x" % byte for byte in text.encode("utf-8", "replace"))

    assert percent_decoded(raw) == text.encode("utf-8", "replace").decode()
