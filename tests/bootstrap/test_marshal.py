"""JSON in and out, side by side with the official client's marshaller."""

from __future__ import annotations

import json
from collections import namedtuple
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import pytest
from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller
from hypothesis import given, settings
from hypothesis import strategies as st

from bootstrap import marshal
from bootstrap.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

Point = namedtuple("Point", "x y")  # noqa: PYI024  (the untyped kind is the common one)


class Named(NamedTuple):
    point: Point
    name: str


official = LambdaMarshaller()
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text().map(str.encode)
    | st.builds(Point, st.integers(), st.text()),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.booleans() | st.none(), inner)
    ),
    max_leaves=20,
)


def outcome(parse: Callable[[str], object], text: str) -> object:
    """What comes out: a value, or the text of the error."""
    try:
        return parse(text)
    except ValueError as error:
        return str(error)


@settings(deadline=None)  # a busy machine is no failure
@given(values)
def test_a_result_has_the_bytes_of_the_official_client(value: object) -> None:
    if isinstance(value, bytes):
        value = [value]

    assert marshal.marshal_result(value)[0].decode() == official.marshal_response(value)[0]


@settings(deadline=None)  # a busy machine is no failure
@given(values.filter(lambda value: not isinstance(value, bytes)))
def test_both_ways_of_encoding_agree(value: object) -> None:
    for ascii_only in (True, False):
        assert marshal._fast_encode(value, ascii_only) == marshal._slow_encode(value, ascii_only)


@settings(deadline=None)  # a busy machine is no failure
@given(st.text() | values.map(lambda value: marshal.marshal_result([value])[0].decode()))
def test_an_event_is_parsed_as_the_standard_library_does(text: str) -> None:
    for event in (text, f" \n{text}\t"):
        assert outcome(marshal.loads, event) == outcome(marshal._slow_loads, event)


@pytest.mark.parametrize(
    "result",
    [
        {1, 2},
        object(),
        {"a": {Decimal(1): 1}},
        [b"\xff"],
        MappingProxyType({}),
        iter([]),
        1j,
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_result_that_is_no_json_is_refused_as_the_official_client_does(result: object) -> None:
    with pytest.raises(FaultException) as theirs:
        official.marshal_response(result)
    with pytest.raises(Fault) as ours:
        marshal.marshal_result(result)

    assert ours.value.error_type == theirs.value.exception_type
    if "keys must be" not in theirs.value.msg:  # simplejson words this one in its own way
        assert ours.value.message == theirs.value.msg


def test_a_cycle_is_refused() -> None:
    cycle: list[object] = [Point(1, 2)]
    cycle.append(cycle)

    with pytest.raises(Fault, match="Circular reference detected"):
        marshal.marshal_result(cycle)


@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), Decimal("Infinity")]
)
def test_a_number_that_is_not_json_is_refused(number: object) -> None:
    # Unlike the official client, which writes NaN, and the caller cannot read the answer.
    with pytest.raises(Fault, match=r"Unable to marshal response: Out of range") as raised:
        marshal.marshal_result({"n": number})

    assert raised.value.error_type == "Runtime.MarshalError"


def test_bytes_go_out_raw_under_the_official_content_type() -> None:
    assert marshal.marshal_result(b"\0\xff") == (b"\0\xff", "application/unknown")
    assert official.marshal_response(b"\0\xff") == (b"\0\xff", "application/unknown")


def test_all_digits_of_a_decimal_are_kept_and_its_text_elsewhere_is_left_alone() -> None:
    value = {"n": Decimal("3.14159265358979323846264338327950288"), "s": 'a "quoted" 1'}

    body, _ = marshal.marshal_result([value, value])

    assert json.loads(body, parse_float=Decimal) == [value, value]


def test_named_tuples_become_objects_at_any_depth() -> None:
    body, _ = marshal.marshal_result({"a": [Named(Point(1, 2), "n"), (3, [])]})

    assert json.loads(body) == {"a": [{"point": {"x": 1, "y": 2}, "name": "n"}, [3, []]]}


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_lone_surrogate_survives(ascii_only: bool) -> None:  # noqa: FBT001
    event = marshal.loads('["\\ud83d", "é"]')

    assert json.loads(marshal.dumps(event, ascii_only=ascii_only)) == event


@pytest.mark.parametrize(
    ("environment", "ascii_only"),
    [
        ("", True),
        ("AWS_Lambda_Image", True),
        ("AWS_Lambda_python3.11", True),
        ("AWS_Lambda_python3.12", False),
        ("AWS_Lambda_python3.14", False),
    ],
)
def test_new_python_runtimes_write_utf_8(environment: str, ascii_only: bool) -> None:  # noqa: FBT001
    assert marshal._is_ascii_only(environment) is ascii_only


def test_utf_8_results_are_shorter() -> None:
    assert marshal.dumps("é", ascii_only=False) == '"é"'.encode()
    assert marshal.dumps("é") == b'"\\u00e9"'


@pytest.mark.parametrize("body", [b"", b"not json", b'{"a":', b"[1]]"])
def test_a_malformed_event_is_named_as_the_official_client_does(body: bytes) -> None:
    with pytest.raises(Fault) as raised:
        marshal.unmarshal_event(body, "application/json")

    assert raised.value.error_type == "Runtime.UnmarshalError"
    assert raised.value.message.startswith("Unable to unmarshal input: ")


def test_an_empty_event_has_the_official_message() -> None:
    with pytest.raises(Fault) as raised:
        marshal.unmarshal_event(b"", "application/json")

    expected = "Unable to unmarshal input: Expecting value: line 1 column 1 (char 0)"
    assert raised.value.message == expected


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"-Infinity", b"\xff\xfe", b"[" * 100_000])
def test_an_event_that_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Fault, match="Unable to unmarshal input: "):
        marshal.unmarshal_event(body, None)


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "Application/JSON; charset=utf-8"]
)
def test_json_by_any_of_its_names_is_parsed(content_type: str | None) -> None:
    assert marshal.unmarshal_event(bytearray(b' {"a": "\xc3\xa9"}'), content_type) == {"a": "é"}
    assert marshal.unmarshal_event(b"\xef\xbb\xbf1", content_type) == 1


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_an_event_of_another_type_is_handed_on_as_bytes(content_type: str) -> None:
    assert marshal.unmarshal_event(bytearray(b"{}"), content_type) == b"{}"


def test_deep_and_large_numbers_come_through() -> None:
    text = "[" * 512 + "1.10, -0.0, 1e-7, 123456789012345678901234567890" + "]" * 512

    assert json.loads(marshal.dumps(marshal.loads(text))) == json.loads(text)


def test_without_the_c_half_the_standard_library_does_it_all() -> None:
    with pytest.raises(StopIteration):
        marshal._slow_scan("1", 0)
