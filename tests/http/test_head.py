from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rie.http.head import (
    _NAMES,
    CHUNKED,
    MAX_NAMES,
    BadHeadError,
    Head,
    parse_any_head,
    parse_head,
    parse_trailers,
)


def parse(line: bytes, *headers: bytes) -> Head:
    return parse_head(b"\r\n".join((line, *headers, b"", b"")))


def test_a_request_line_is_taken_apart() -> None:
    head = parse(b"GET /a%20b?c=%20d?e HTTP/1.1")

    assert (head.method, head.http_version) == ("GET", "1.1")
    assert (head.path, head.raw_path, head.query) == ("/a b", b"/a%20b", b"c=%20d?e")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://host/path", b"/path"),
        (b"http://host", b"/"),
        (b"https://host:1/a/b", b"/a/b"),
        (b"/to?url=http://host/path", b"/to"),
        (b"*", b"*"),
    ],
)
def test_a_whole_url_is_reduced_to_its_path(target: bytes, path: bytes) -> None:
    assert parse(b"OPTIONS %b HTTP/1.1" % target).raw_path == path


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b"A: b", 0),
        (b"Content-Length: 0", 0),
        (b"content-length:  12 ", 12),
        (b"Transfer-Encoding: chunked", CHUNKED),
        (b"TRANSFER-ENCODING: Chunked", CHUNKED),
    ],
)
@pytest.mark.parametrize("upgrade", [(), (b"Connection: Upgrade", b"Upgrade: h2c")])
def test_a_body_is_framed_by_length_or_chunks_whatever_upgrade_says(
    header: bytes, length: int, upgrade: tuple[bytes, ...]
) -> None:
    assert parse(b"POST / HTTP/1.1", header, *upgrade).length == length


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"A: b", True),
        (b"1.1", b"Connection: close", False),
        (b"1.1", b"Connection: Upgrade", True),
        (b"1.0", b"A: b", False),
        (b"1.0", b"Connection: keep-alive", True),
    ],
)
def test_a_connection_is_kept_as_version_and_header_say(
    version: bytes, connection: bytes, *, kept: bool
) -> None:
    assert parse(b"GET / HTTP/" + version, connection).keep_alive is kept


def test_header_values_are_bytes_as_they_came() -> None:
    headers = parse(b"GET / HTTP/1.1", b"Name: \xc3\xa9\xff\t\x80").headers

    assert headers.get(b"name") == b"\xc3\xa9\xff\t\x80"


@pytest.mark.parametrize(
    ("line", "header", "status"),
    [
        (b"GET / HTTP/2.0", b"A: b", 505),
        (b"GET /", b"A: b", 505),
        (b"POST / HTTP/1.1", b"Transfer-Encoding: gzip, chunked", 501),
        (b"GET / HTTP/1.1", b"A: b\n", 400),
        (b"GET / HTTP/1.1", b"A: b\r\n folded", 400),
        (b"GET / HTTP/1.1", b"no colon", 400),
        (b"CONNECT host:80 HTTP/1.1", b"A: b", 400),
    ],
)
def test_what_is_refused_says_with_which_status(line: bytes, header: bytes, status: int) -> None:
    with pytest.raises(BadHeadError) as refusal:
        parse(line, header)

    assert refusal.value.status == status


def test_trailers_are_fields() -> None:
    assert parse_trailers(b"A: b\r\nC:\r\n\r\n") == {b"a": b"b", b"c": b""}


def test_of_a_field_that_comes_twice_the_first_counts() -> None:
    headers = parse(b"GET / HTTP/1.1", b"A: 1", b"B: 2", b"a: 3", b"A: 4").headers

    assert headers == {b"a": b"1", b"b": b"2"}


# What is usual is parsed without llhttp, and must be what llhttp makes of it.

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "CONNECT", "get", "")
NAMES = (
    "Host",
    "content-type",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "Upgrade",
    "X-a_b.c",
    "X a",
    "",
    "\u00e9",
)
VALUES = (
    "",
    "a",
    "12",
    "+1",
    "1 2",
    "0" * 20,
    "chunked",
    "close",
    "100-continue",
    "a:b",
    "\t",
    "é",
)
BLANKS = ("", " ", "  ", "\t")
LINE_ENDS = ("\r\n",) * 8 + ("\n", "\r", "\r\r\n", "\0\r\n")

fields = st.tuples(*map(st.sampled_from, (NAMES, (":", "", "::"), BLANKS, VALUES, BLANKS)))
request_lines = st.tuples(
    st.sampled_from(METHODS),
    st.sampled_from((" ", "  ", "\t")),
    st.sampled_from(("/", "/a?b=c", "/%20{}", "*", "http://h/p", "/é", "/a#b", "")),
    st.sampled_from((" HTTP/1.1",) * 5 + (" HTTP/1.0", " HTTP/2.0", " http/1.1", "")),
)


def said(parser: Callable[[bytes], Head], raw: bytes) -> object:
    try:
        head = parser(raw)
    except BadHeadError as refusal:
        return refusal.status
    names = set(Head.__slots__) - {"endpoint", "params", "meaning"}
    return {name: getattr(head, name) for name in names}


@given(request_lines, st.lists(fields, max_size=4), st.lists(st.sampled_from(LINE_ENDS)))
def test_the_quick_parser_takes_nothing_otherwise_than_llhttp_does(
    line: tuple[str, ...], fields: list[tuple[str, ...]], ends: list[str]
) -> None:
    lines = ["".join(parts) for parts in (line, *fields)]
    ends += ["\r\n"] * len(lines)
    raw = "".join(text + end for text, end in zip(lines, ends, strict=False)).encode() + b"\r\n"

    assert said(parse_head, raw) == said(parse_any_head, raw)


def test_what_is_usual_goes_without_llhttp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rie.http.head.HttpRequestParser", None)

    head = parse(b"POST /a?b HTTP/1.1", b"Host: h", b"X-Y: a: b", b"Content-Length: 12")

    assert (head.method, head.raw_path, head.query, head.length) == ("POST", b"/a", b"b", 12)
    assert head.headers == {b"host": b"h", b"x-y": b"a: b", b"content-length": b"12"}


def test_names_of_fields_are_remembered_within_bounds() -> None:
    for number in range(2 * MAX_NAMES):
        assert parse(b"GET / HTTP/1.1", b"X-%d: a" % number).headers == {b"x-%d" % number: b"a"}

    assert len(_NAMES) <= MAX_NAMES


def test_nothing_is_left_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        parse_head(b"GET / HTTP/1.1\r\nHost: rie\r\n\r\n")
        assert gc.collect() == 0
    finally:
        gc.enable()
