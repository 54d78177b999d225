"""The context object, side by side with the official one."""

from __future__ import annotations

import json
import time

import pytest
from awslambdaric.lambda_context import LambdaContext as OfficialContext

from bootstrap.client import Invocation
from bootstrap.context import LambdaContext
from bootstrap.errors import Fault

CLIENT_CONTEXT = {
    "custom": {"a": 1},
    "env": {"locale": "de"},
    "client": {
        "installation_id": "i",
        "app_title": "t",
        "app_version_name": "n",
        "app_version_code": "c",
        "app_package_name": "p",
    },
    "w3c": {"traceparent": "00-1", "baggage": 7, "other": "x"},
}
IDENTITY = {"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/20/[$LATEST]1",
}


def make_context(**headers: str) -> LambdaContext:
    given = {f"lambda-runtime-{name.replace('_', '-')}": text for name, text in headers.items()}
    return LambdaContext(Invocation({"lambda-runtime-aws-request-id": "r", **given}, b""))


@pytest.mark.parametrize("has_caller", [True, False])
def test_every_public_attribute_equals_the_official_ones(
    monkeypatch: pytest.MonkeyPatch,
    has_caller: bool,  # noqa: FBT001
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    client_context, identity = (CLIENT_CONTEXT, IDENTITY) if has_caller else (None, None)
    deadline = int(time.time() * 1000) + 60_000
    theirs = OfficialContext("r", json.loads(json.dumps(client_context)), identity, deadline, "arn")
    headers = {"deadline_ms": str(deadline), "invoked_function_arn": "arn"}
    if has_caller:
        headers["client_context"] = json.dumps(client_context)
        headers["cognito_identity"] = json.dumps(identity)

    ours = make_context(**headers)

    assert repr(ours) == repr(theirs)
    assert ours.w3c() == theirs.w3c()
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public == {name for name in dir(ours) if not name.startswith("_")}


def test_the_caller_is_shown_in_full() -> None:
    context = make_context(
        client_context=json.dumps(CLIENT_CONTEXT),
        cognito_identity=json.dumps(IDENTITY),
        aws_tenant_id="blue",
    )

    assert context.client_context is not None
    assert context.client_context.custom == {"a": 1}
    assert context.client_context.env == {"locale": "de"}
    assert context.client_context.client is not None
    assert context.client_context.client.installation_id == "i"
    assert context.client_context.client.app_package_name == "p"
    assert context.identity.cognito_identity_id == "id"
    assert context.identity.cognito_identity_pool_id == "pool"
    assert context.tenant_id == "blue"
    assert context.w3c() == {"traceparent": "00-1"}


def test_without_a_caller_the_identity_is_there_and_empty() -> None:
    context = make_context()

    assert context.client_context is None
    assert context.identity.cognito_identity_id is None
    assert context.tenant_id is None


def test_a_client_context_without_a_client_has_none() -> None:
    context = make_context(client_context='{"custom": 1}')

    assert context.client_context is not None
    assert context.client_context.client is None


@pytest.mark.parametrize("name", ["client_context", "cognito_identity"])
@pytest.mark.parametrize("header", ["{", "[1]", '"text"'])
def test_a_malformed_caller_is_a_fault(name: str, header: str) -> None:
    with pytest.raises(Fault, match=r"Unable to parse \w+ \w+ JSON: ") as raised:
        make_context(**{name: header})

    assert raised.value.error_type == "Runtime.LambdaContextUnmarshalError"


def test_the_remaining_time_counts_down_to_the_deadline() -> None:
    deadline = int(time.time() * 1000) + 60_000

    context = make_context(deadline_ms=str(deadline))

    before = context.get_remaining_time_in_millis()
    assert 0 < context.get_remaining_time_in_millis() <= before <= 60_000


@pytest.mark.parametrize("headers", [{}, {"deadline_ms": "1"}, {"deadline_ms": "soon"}])
def test_the_remaining_time_is_never_negative(headers: dict[str, str]) -> None:
    assert make_context(**headers).get_remaining_time_in_millis() == 0


def test_log_writes_its_message_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    make_context().log({"a": 1})

    assert capsys.readouterr().out == "{'a': 1}"
