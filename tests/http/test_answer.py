from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie.http.answer import MAX_CACHED, Clock, answer_head, http_date
from rie.http.message import Response


@given(st.integers(0, 2**33))
def test_dates_are_those_of_the_standard_library(second: int) -> None:
    assert http_date(second).decode() == formatdate(second, usegmt=True)


def test_the_date_line_is_that_of_now() -> None:
    clock = Clock()

    assert clock.date_line().startswith(b"Date: ")
    assert clock.date_line().endswith(b" GMT\r\n")


def test_a_head_has_its_lines_in_order() -> None:
    response = Response(200, b"abc", [(b"Name", b"\xff")], b"text/plain")

    assert answer_head(None, response, b"Date: now\r\n", keep_alive=False) == (
        b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        b"Connection: close\r\nName: \xff\r\n\r\n"
    )


def test_an_unknown_status_has_no_reason() -> None:
    assert answer_head(None, Response(299), b"Date: now\r\n", keep_alive=True).startswith(
        b"HTTP/1.1 299 \r\n"
    )


@pytest.mark.parametrize(
    "response",
    [
        Response(200, headers=[(b"A", b"b\r\nC: d")]),
        Response(200, headers=[(b"A", b"b\rc")]),
        Response(200, headers=[(b"A\n", b"b")]),
        Response(200, content_type=b"text/plain\r\n\r\nbody"),
    ],
)
def test_a_header_cannot_break_out_of_its_line(response: Response) -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        answer_head(None, response, b"Date: now\r\n", keep_alive=True)


def test_a_break_in_a_header_is_found_however_the_lines_would_add_up() -> None:
    for headers in ([(b"A", b"b\n"), (b"C", b"d\r")], [(b"A", b"b\r\n")], [(b"\r", b"")]):
        with pytest.raises(ValueError, match="CR or LF"):
            answer_head(None, Response(200, headers=headers), b"Date: now\r\n", keep_alive=True)


def test_a_long_content_type_is_sent_too() -> None:
    content_type = b"x" * (MAX_CACHED + 1)

    head = answer_head(None, Response(200, b"", (), content_type), b"Date: a\r\n", keep_alive=True)

    assert b"\r\nContent-Type: " + content_type + b"\r\n" in head
