from __future__ import annotations

import re
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.http.answer import MAX_KEPT, MAX_OPENINGS, Answers, http_date
from rie.http.message import Response, header_lines


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(0, 2**33))
def test_dates_are_those_of_the_standard_library(second: int) -> None:
    assert http_date(second).decode() == formatdate(second, usegmt=True)


def test_a_head_has_its_lines_in_order() -> None:
    response = Response(200, b"abc", header_lines([(b"Name", b"\xff")]), b"text/plain")

    head = Answers().head(None, response, keep_alive=False)

    assert re.sub(rb"Date: .*? GMT", b"Date: now", head) == (
        b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
        b"Connection: close\r\nName: \xff\r\n\r\n"
    )


@pytest.mark.parametrize(
    "response",
    [
        Response(200, b"abc", header_lines([(b"Name", b"\xff")]), b"text/plain"),
        Response(200, memoryview(b"abc")),
        Response(202),
        Response(204, headers=header_lines([(b"A", b"b")])),
        Response(299, b"x", content_type=b"x" * (MAX_KEPT + 1)),
    ],
)
def test_a_whole_answer_is_its_head_and_its_body(response: Response) -> None:
    answers = Answers()

    for _ in range(2):  # made, and found
        head = answers.head(None, response, keep_alive=True)
        assert without_date(answers.whole(response)) == without_date(head) + bytes(response.body)


def test_an_answer_has_the_date_of_now_whichever_way_the_clock_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers()

    for now in (1e9, 1e9 + 0.9, 1e9 + 1.0, 1e9 - 3600.5, 1e9):
        monkeypatch.setattr("rie.http.answer.time", lambda now=now: now)
        date = formatdate(int(now), usegmt=True).encode()
        for _ in range(2):
            assert b"Date: " + date in answers.whole(Response(200))
            assert b"Date: " + date in answers.head(None, Response(200), keep_alive=True)


def test_an_unknown_status_has_no_reason() -> None:
    assert Answers().whole(Response(299)).startswith(b"HTTP/1.1 299 \r\n")


def test_a_content_type_cannot_break_out_of_its_line() -> None:
    response = Response(200, content_type=b"text/plain\r\n\r\nbody")

    with pytest.raises(ValueError, match="CR or LF"):
        Answers().whole(response)


def test_no_more_openings_are_kept_than_there_are_kinds_of_answers() -> None:
    answers = Answers()

    for number in range(100):
        answers.whole(Response(200, content_type=b"x-%d" % number))
        answers.whole(Response(200, content_type=b"x" * MAX_KEPT + b"%d" % number))

    assert len(answers._openings) <= MAX_OPENINGS
    assert all(len(content_type or b"") <= MAX_KEPT for _, content_type in answers._openings)


def without_date(answer: bytes) -> bytes:
    return re.sub(rb"Date: .*? GMT", b"", answer)
