"""Function names, ARNs and qualifiers, as the Invoke API accepts them.

Source: API reference, Invoke, "FunctionName": a name (my-function, my-function:v1), a
function ARN (arn:aws:lambda:us-west-2:123456789012:function:my-function[:v1]) or a
partial ARN (123456789012:function:my-function[:v1]).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rie.core.errors import InvalidParameterValueException, ValidationException

LATEST = "$LATEST"

_PATTERN = re.compile(
    r"(arn:(?P<partition>aws[a-zA-Z-]*)?:lambda:)?"
    r"((?P<region>[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d):)?"
    r"((?P<account>\d{12}):)?"
    r"(function:)?"
    r"(?P<name>[a-zA-Z0-9_-]+)"
    r"(:(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?"
)
_MAX_LENGTH = 170  # of name and ARN alike: the pattern's own limit in the API reference


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function's place in the world: region, account and name."""

    name: str
    region: str = "us-east-1"
    account: str = "012345678912"

    def arn(self, qualifier: str | None = None) -> str:
        """Its ARN, qualified when a qualifier is given."""
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"
        return f"{arn}:{qualifier}" if qualifier else arn

    def named(self, reference: FunctionReference) -> FunctionName:
        """Fill in from this function's place what a caller's reference left out."""
        region = reference.region or self.region
        return FunctionName(reference.name, region, reference.account or self.account)


@dataclass(frozen=True, slots=True)
class FunctionReference:
    """What a caller wrote to name a function; None where the caller left it out."""

    name: str
    region: str | None = None
    account: str | None = None
    qualifier: str | None = None

    def means(self, function: FunctionName) -> bool:
        """Whether this names `function`; what is left out agrees with anything."""
        return (
            self.name == function.name
            and self.region in {None, function.region}
            and self.account in {None, function.account}
        )


@lru_cache(maxsize=1024)  # callers name the same few functions again and again
def parse_reference(text: str, qualifier: str | None = None) -> FunctionReference:
    """Read a FunctionName path parameter and the Qualifier query parameter.

    Raises ValidationException when it is no function name, InvalidParameterValueException
    when both name a qualifier and the two differ.
    """
    match = _PATTERN.fullmatch(text)
    if match is None or len(text) > _MAX_LENGTH:
        raise ValidationException(
            f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {_PATTERN.pattern}"
        )
    own = match["qualifier"]
    if own and qualifier and own != qualifier:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionReference(
        match["name"], match["region"], match["account"], own or qualifier or None
    )
