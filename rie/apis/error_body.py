"""What of a runtime's error document the caller gets to see.

A body of the type application/vnd.aws.lambda.error.cause+json holds the X-Ray cause beside
the error: the cause is for the trace, not for the caller. Source: the official emulator.
"""

from __future__ import annotations

import orjson

from rie.core.invocation import JSON, Payload

WITH_CAUSE = b"application/vnd.aws.lambda.error.cause+json"
_INVALID = b'"Invalid error body"'
_SHOWN = ("errorMessage", "errorType", "stackTrace")


def for_caller(body: Payload, content_type: bytes | None) -> tuple[Payload, bytes]:
    """Strip the cause from a document that has one; anything else goes through untouched.

    Gives the document and its content type.
    """
    if content_type is None:
        return body, JSON
    if content_type.partition(b";")[0].strip().lower() != WITH_CAUSE:
        return body, content_type
    return _stripped(body), JSON


def _stripped(body: Payload) -> bytes:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _INVALID
    if not isinstance(document, dict):
        return _INVALID
    return orjson.dumps({key: document[key] for key in _SHOWN if key in document})
