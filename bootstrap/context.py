"""The second argument of a handler, with every attribute and method of AWS's.

Source: Lambda developer guide, "Using the Lambda context object to retrieve Python function
information", and awslambdaric 4.2.2 for what the guide leaves out (`log`, `w3c`, `repr`).
"""

from __future__ import annotations

import os
import time

from bootstrap import logs, marshal
from bootstrap.errors import BAD_CONTEXT, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bootstrap.client import Invocation

# What may be shown of the W3C trace context in `clientContext.w3c`; the rest is dropped.
W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class _Record:
    """Named values that are None where nobody gave them."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, values: dict[str, object]) -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        return _show(self, self.__slots__)


class CognitoIdentity(_Record):
    """Who called, if the AWS Mobile SDK said so."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")
    cognito_identity_id: str | None
    cognito_identity_pool_id: str | None


class Client(_Record):
    """The mobile application that called."""

    __slots__ = (  # noqa: RUF023  (the order of repr, which is the official client's)
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )
    installation_id: str | None
    app_title: str | None
    app_version_name: str | None
    app_version_code: str | None
    app_package_name: str | None


class ClientContext(_Record):
    """What the caller gave as ClientContext."""

    __slots__ = ("custom", "env", "client")  # noqa: RUF023  (as above)
    custom: dict[str, object] | None
    env: dict[str, object] | None
    client: Client | None

    def __init__(self, values: dict[str, object]) -> None:
        super().__init__(values)
        client = values.get("client")
        self.client = Client(client) if isinstance(client, dict) else None


class LambdaFunction:
    """What the environment says of the function: the same for each invocation, so read once."""

    __slots__ = ("log_group", "log_stream", "memory", "name", "version")

    def __init__(self) -> None:
        self.name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")


class LambdaContext:
    """One invocation, its function and its caller.

    Raises Fault (Runtime.LambdaContextUnmarshalError) if client context or identity are not JSON
    objects. `memory_limit_in_mb` is a string, as on AWS.
    """

    def __init__(self, invocation: Invocation, function: LambdaFunction | None = None) -> None:
        function = function or LambdaFunction()
        self.aws_request_id = invocation.request_id
        self.log_group_name = function.log_group
        self.log_stream_name = function.log_stream
        self.function_name = function.name
        self.memory_limit_in_mb = function.memory
        self.function_version = function.version
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id
        self._epoch_deadline_time_in_ms = invocation.deadline_ms
        given = _parse(invocation.client_context, "Client Context")
        self._w3c = _take_w3c(given)
        self.client_context = None if given is None else ClientContext(given)
        self.identity = _identity(_parse(invocation.cognito_identity, "Cognito Identity"))

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is stopped, never below 0; 0 without a deadline."""
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        """Write `message` to the function's log as it is, without a line end of its own."""
        logs.sink().write(str(message))

    def w3c(self) -> dict[str, str]:
        """Return the caller's W3C trace context: what it gave of W3C_FIELDS."""
        return dict(self._w3c)

    def __repr__(self) -> str:
        return _show(
            self,
            (
                "aws_request_id",
                "log_group_name",
                "log_stream_name",
                "function_name",
                "memory_limit_in_mb",
                "function_version",
                "invoked_function_arn",
                "client_context",
                "identity",
                "tenant_id",
            ),
        )


def _show(value: object, names: tuple[str, ...]) -> str:
    fields = ",".join(f"{name}={getattr(value, name)}" for name in names)
    return f"{type(value).__name__}([{fields}])"


def _parse(header: str | None, name: str) -> dict[str, object] | None:
    if not header:
        return None
    try:
        value = marshal.loads(header)
    except Exception as error:
        raise Fault(BAD_CONTEXT, f"Unable to parse {name} JSON: {error}") from error
    if value is not None and not isinstance(value, dict):
        raise Fault(BAD_CONTEXT, f"Unable to parse {name} JSON: it is not an object")
    return value


def _identity(given: dict[str, object] | None) -> CognitoIdentity:
    given = given or {}
    return CognitoIdentity(
        {
            "cognito_identity_id": given.get("cognitoIdentityId"),
            "cognito_identity_pool_id": given.get("cognitoIdentityPoolId"),
        }
    )


def _take_w3c(client_context: dict[str, object] | None) -> dict[str, str]:
    """Take the trace context out of the client context: it is shown by `w3c` alone."""
    given = client_context.pop("w3c", None) if client_context else None
    if not isinstance(given, dict):
        return {}
    return {name: given[name] for name in W3C_FIELDS if isinstance(given.get(name), str)}
