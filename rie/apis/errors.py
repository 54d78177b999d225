"""How the two APIs say no.

The Runtime API: `{"errorMessage","errorType"}` and a newline, as the official emulator does.
The Invoke API: AWS's JSON protocol; X-Amzn-ErrorType is what boto3 makes an exception of.
"""

from __future__ import annotations

import orjson

from rie.core.errors import RuntimeApiError, ServiceError
from rie.http.message import Response, header_lines

JSON = b"application/json"


def runtime_api_error(error: RuntimeApiError) -> Response:
    """Render a refusal of the Runtime API."""
    body = orjson.dumps({"errorMessage": error.message, "errorType": error.error_type})
    return Response(error.status, body + b"\n", content_type=JSON)


def service_error(error: ServiceError, request_id: str) -> Response:
    """Render a refusal of the Invoke API."""
    document: dict[str, str] = {"Type": error.fault, error.message_key: error.message}
    if error.reason is not None:
        document = {"Reason": error.reason, **document}
    headers = header_lines(
        (
            (b"X-Amzn-RequestId", request_id.encode()),
            (b"X-Amzn-ErrorType", error.code.encode()),
        )
    )
    return Response(error.status, orjson.dumps(document), headers, content_type=JSON)
