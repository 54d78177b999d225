"""Forms of a function's name: API reference, Invoke, "FunctionName"."""

from __future__ import annotations

import pytest

from rie.core.arn import FunctionName, FunctionReference, parse_reference
from rie.core.errors import InvalidParameterValueException, ValidationException

ARN = "arn:aws:lambda:us-west-2:123456789012:function:my-function"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("my-function", FunctionReference("my-function")),
        ("my-function:v1", FunctionReference("my-function", qualifier="v1")),
        ("my_function:$LATEST", FunctionReference("my_function", qualifier="$LATEST")),
        ("function:my-function", FunctionReference("my-function")),
        (
            "123456789012:function:my-function",
            FunctionReference("my-function", account="123456789012"),
        ),
        (ARN, FunctionReference("my-function", "us-west-2", "123456789012")),
        (f"{ARN}:42", FunctionReference("my-function", "us-west-2", "123456789012", "42")),
        (
            "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:f",
            FunctionReference("f", "us-gov-west-1", "123456789012"),
        ),
        (
            "arn:aws-cn:lambda:cn-north-1:123456789012:function:f",
            FunctionReference("f", "cn-north-1", "123456789012"),
        ),
    ],
)
def test_a_function_is_named_by_name_partial_arn_or_arn(
    text: str, reference: FunctionReference
) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    ["", "my function", "a/b", "f:", "f:v1:v2", "f:$OTHER", "arn:aws:s3:::bucket", f"{ARN}:", "ü"],
)
def test_what_is_no_function_name_breaks_the_pattern(text: str) -> None:
    with pytest.raises(ValidationException, match="at 'functionName' failed to satisfy") as raised:
        parse_reference(text)

    assert f"Value '{text}'" in raised.value.message


def test_a_name_of_170_characters_is_the_longest() -> None:
    assert parse_reference("f" * 170).name == "f" * 170
    with pytest.raises(ValidationException):
        parse_reference("f" * 171)


def test_a_newline_after_the_name_is_not_overlooked() -> None:
    with pytest.raises(ValidationException):
        parse_reference("f\n")


@pytest.mark.parametrize(
    ("text", "parameter", "qualifier"),
    [
        ("f", "v1", "v1"),
        ("f:v1", None, "v1"),
        ("f:v1", "v1", "v1"),
        ("f", "", None),
        ("f", None, None),
    ],
)
def test_the_qualifier_is_in_the_name_or_in_the_parameter(
    text: str, parameter: str | None, qualifier: str | None
) -> None:
    assert parse_reference(text, parameter).qualifier == qualifier


def test_two_qualifiers_that_differ_are_refused() -> None:
    with pytest.raises(InvalidParameterValueException) as raised:
        parse_reference("f:v1", "v2")

    assert raised.value.message == (
        "The derived qualifier from the function name does not match the specified qualifier."
    )


def test_an_arn_is_qualified_when_a_qualifier_is_given() -> None:
    function = FunctionName("billing")

    assert function.arn() == "arn:aws:lambda:us-east-1:012345678912:function:billing"
    assert function.arn("v1") == "arn:aws:lambda:us-east-1:012345678912:function:billing:v1"


def test_what_a_caller_left_out_is_filled_in_from_the_function_s_own_place() -> None:
    here = FunctionName("billing", "eu-west-1", "111111111111")

    assert here.named(FunctionReference("f")) == FunctionName("f", "eu-west-1", "111111111111")
    assert here.named(parse_reference(ARN)) == FunctionName(
        "my-function", "us-west-2", "123456789012"
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("billing", True),
        ("billing:v1", True),
        ("012345678912:function:billing", True),
        ("arn:aws:lambda:us-east-1:012345678912:function:billing", True),
        ("accounting", False),
        ("arn:aws:lambda:us-east-2:012345678912:function:billing", False),
        ("999999999999:function:billing", False),
    ],
)
def test_what_is_left_out_agrees_with_anything(text: str, meant: bool) -> None:  # noqa: FBT001
    assert parse_reference(text).means(FunctionName("billing")) is meant
