from __future__ import annotations

import gc

import pytest

from rie.http.head import CHUNKED, BadHeadError, Head, parse_head, parse_trailers
from rie.http.message import Request


def parse(line: bytes, *headers: bytes) -> Head:
    return parse_head(b"\r\n".join((line, *headers, b"", b"")))


def test_a_request_line_is_taken_apart() -> None:
    request = Request(parse(b"GET /a%20b?c=%20d?e HTTP/1.1"))

    assert (request.method, request.http_version) == ("GET", "1.1")
    assert (request.path, request.raw_path, request.query) == ("/a b", b"/a%20b", b"c=%20d?e")


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
    assert list(parse_trailers(b"A: b\r\nC:\r\n\r\n")) == [(b"a", b"b"), (b"c", b"")]


def test_nothing_is_left_for_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        parse_head(b"GET / HTTP/1.1\r\nHost: rie\r\n\r\n")
        assert gc.collect() == 0
    finally:
        gc.enable()
