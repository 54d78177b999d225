from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.http.message import checked, header_lines, percent_decoded


def test_headers_are_lines() -> None:
    assert header_lines([(b"A", b"\xff"), (b"B", b"")]) == b"A: \xff\r\nB: \r\n"
    assert header_lines([]) == b""


@pytest.mark.parametrize(
    "headers",
    [
        [(b"A", b"b\r\nC: d")],
        [(b"A", b"b\rc")],
        [(b"A\n", b"b")],
        [(b"A", b"b\n"), (b"C", b"d\r")],
        [(b"A", b"b\r\n")],
        [(b"\r", b"")],
    ],
)
def test_a_header_cannot_break_out_of_its_line(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        header_lines(headers)


def test_lines_are_as_many_as_they_should_be() -> None:
    assert checked(b"A: b\r\n", 1) == b"A: b\r\n"
    with pytest.raises(ValueError, match="CR or LF"):
        checked(b"A: b\r\nC: d\r\n", 1)


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


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_what_was_escaped_is_decoded(text: str) -> None:
    raw = b"".join(b"%%%02x" % byte for byte in text.encode("utf-8", "replace"))

    assert percent_decoded(raw) == text.encode("utf-8", "replace").decode()
