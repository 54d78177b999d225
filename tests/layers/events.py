"""Events of those who send HTTP requests to functions, as AWS documents their shapes.

Each maker takes what the client has sent and writes what the sender makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Headers = Sequence[tuple[str, str]]
BROWSER: Headers = (
    ("Host", "example.com"),
    ("Accept", "text/html"),
    ("X-Many", "one"),
    ("X-Many", "two"),
    ("Cookie", "a=1; b=2"),
)


def _last(headers: Headers) -> dict[str, str]:
    return dict(headers)


def _all(pairs: Headers) -> dict[str, list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return gathered


def rest_api(  # noqa: PLR0913 - what a request has
    method: str = "GET",
    path: str = "/",
    query: Headers = (),
    headers: Headers = BROWSER,
    body: str | None = None,
    *,
    is_base64: bool = False,
) -> dict[str, object]:
    """Write version 1.0 of the payload, of a REST API; `query` is decoded."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": _last(headers),
        "multiValueHeaders": _all(headers),
        "queryStringParameters": dict(query) or None,
        "multiValueQueryStringParameters": _all(query) or None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "stage": "prod",
            "requestId": "c6af9ac6",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "ž"},
            "httpMethod": method,
            "path": "/prod" + path,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


def http_api(  # noqa: PLR0913 - what a request has
    method: str = "GET",
    path: str = "/",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    *,
    cookies: Sequence[str] = (),
    is_base64: bool = False,
    domain: str = "id.execute-api.us-east-1.amazonaws.com",
) -> dict[str, object]:
    """Write version 2.0 of the payload, of an HTTP API; `path` is decoded, `query` is not."""
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": domain, **(headers or {})},
        "requestContext": {
            "accountId": "123456789012",
            "domainName": domain,
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "agent",
            },
            "routeKey": "$default",
            "stage": "$default",
        },
        "isBase64Encoded": is_base64,
    }
    if cookies:
        event["cookies"] = list(cookies)
    if body is not None:
        event["body"] = body
    return event


def function_url(path: str = "/", query: str = "", method: str = "GET") -> dict[str, object]:
    """Write a function URL's event; `path` is as the client wrote it."""
    return http_api(method, path, query, domain="abc123.lambda-url.us-east-1.on.aws")


def load_balancer(
    method: str = "GET",
    path: str = "/",
    query: Headers = (),
    headers: Headers = BROWSER,
    *,
    multi_value: bool = False,
) -> dict[str, object]:
    """Write a load balancer's event; `path` and `query` are as the client wrote them."""
    event: dict[str, object] = {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:x"}},
        "httpMethod": method,
        "path": path,
        "body": "",
        "isBase64Encoded": False,
    }
    if multi_value:
        event["multiValueHeaders"] = _all(headers)
        event["multiValueQueryStringParameters"] = _all(query)
    else:
        event["headers"] = _last(headers)
        event["queryStringParameters"] = _last(query)
    return event
