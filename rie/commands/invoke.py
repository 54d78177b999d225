"""`rie invoke`: call a function that an emulator is running, and print what it says.

The payload goes to stdout as it came, the function's log to stderr, so that both can be
piped. httpx is imported when the call is made: it costs 100 ms.
"""

from __future__ import annotations

import os
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rie.commands.printing import to_stderr, to_stdout
from rie.options import (
    BadValueError,
    CommandError,
    Option,
    Reading,
    UsageError,
    boolean,
    read,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

USAGE = "rie invoke [NAME] [OPTION]..."
ABOUT = """\
Call a function that an emulator is running. NAME is its name or ARN; the
default, `function`, is whichever one runs there. The answer goes to stdout.
Exit status: 0 answered, 1 the function failed (its error is the answer),
2 no emulator or bad options, 3 the emulator refused the call."""

DEFAULT_ENDPOINT = "http://127.0.0.1:8080"
DEFAULT_PAYLOAD = b"{}"
CONNECT_TIMEOUT = 5.0  # the answer itself may take as long as the function does
EXIT_FUNCTION_ERROR = 1


class RefusedError(CommandError):
    """The emulator did not take the call, or ended without an answer."""

    status = 3


def payload(value: str) -> bytes:
    """Take JSON, @FILE or - for stdin; sent as it is, for the service to judge."""
    if value == "-":
        return _stdin()
    if not value.startswith("@"):
        return as_given(value)
    try:
        return Path(value[1:]).read_bytes()
    except OSError as error:
        raise BadValueError(f"cannot be read: {error.strerror}") from None


def _stdin() -> bytes:
    if sys.stdin is None:  # closed before this program began: <&-
        raise BadValueError("cannot be read: stdin is closed")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise BadValueError(f"cannot be read: {error.strerror}") from None


def as_given(value: str) -> bytes:
    """Take the bytes of an argument, UTF-8 or not."""
    return os.fsencode(value)


def url(value: str) -> str:
    """Take the address of an emulator."""
    if not value.startswith(("http://", "https://")):
        raise BadValueError(f"must be a URL, such as {DEFAULT_ENDPOINT}")
    return value.rstrip("/")


OPTIONS: tuple[Option, ...] = (
    Option(
        name="payload",
        parse=payload,
        metavar="JSON|@FILE|-",
        help="The function's input: as written, from a file, or from stdin.",
        default="{}",
        variable="",
    ),
    Option(
        name="async",
        parse=boolean,
        switch=True,
        help="Have the function run after the answer (invocation type Event).",
        default="no",
        variable="",
    ),
    Option(
        name="tail",
        parse=boolean,
        switch=True,
        help="Print the last 4 KB of the function's log to stderr.",
        default="no",
        variable="",
    ),
    Option(
        name="qualifier",
        parse=text,
        metavar="VERSION",
        help="The version or alias to call.",
        variable="",
    ),
    Option(
        name="client-context",
        parse=as_given,
        metavar="JSON",
        help="What the handler finds in context.client_context.",
        variable="",
    ),
    Option(
        name="endpoint",
        parse=url,
        metavar="URL",
        help="Where the emulator takes calls.",
        default=DEFAULT_ENDPOINT,
    ),
)


def invoke(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Make the call that `rie invoke ARGV...` asks for, print its answer, return the status.

    Raises UsageError, RefusedError, HelpWanted and VersionWanted.
    """
    reading = read(OPTIONS, argv, environ, interspersed=True)
    if len(reading.positional) > 1:
        raise UsageError(f"one function at a time, not {' '.join(reading.positional)!r}")
    if reading.values().get("async") and reading.values().get("tail"):
        raise UsageError("--tail has no log to show with --async: it runs later")
    response = _send(reading)
    if response.is_error:
        raise RefusedError(_refusal(response))
    _show(response)
    return EXIT_FUNCTION_ERROR if "x-amz-function-error" in response.headers else 0


def _send(reading: Reading) -> httpx.Response:
    import httpx  # noqa: PLC0415 - slow, and --help needs none

    values = reading.values()
    endpoint = values.get("endpoint", DEFAULT_ENDPOINT)
    name = _quoted(reading.positional[0] if reading.positional else "function")
    query = f"?Qualifier={_quoted(values['qualifier'])}" if "qualifier" in values else ""
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT)
    try:
        with httpx.Client(trust_env=False, timeout=timeout) as client:
            return client.post(
                f"{endpoint}/2015-03-31/functions/{name}/invocations{query}",
                content=values.get("payload", DEFAULT_PAYLOAD),
                headers=_headers(reading),
            )
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UsageError(f"{endpoint!r} is no URL: {error}") from None
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UsageError(
            f"no emulator at {endpoint} ({error}); start one with "
            "`rie run -- COMMAND` or say where it is with --endpoint"
        ) from None
    except httpx.TransportError as error:
        raise RefusedError(f"{endpoint} ended without an answer: {error}") from None


def _quoted(word: str) -> str:
    return quote(os.fsencode(word), safe="")


def _headers(reading: Reading) -> dict[str, str]:
    values = reading.values()
    headers = {"Content-Type": "application/json"}
    if values.get("async"):
        headers["X-Amz-Invocation-Type"] = "Event"
    if values.get("tail"):
        headers["X-Amz-Log-Type"] = "Tail"
    if context := values.get("client_context"):
        headers["X-Amz-Client-Context"] = b64encode(context).decode()
    return headers


def _refusal(response: httpx.Response) -> str:
    error_type = response.headers.get("x-amzn-errortype", f"HTTP status {response.status_code}")
    try:
        body = response.json()
        message = body.get("message") or body.get("Message") or response.text
    except (ValueError, AttributeError):
        message = response.text
    return f"{error_type}: {' '.join(str(message).split())}"


def _show(response: httpx.Response) -> None:
    if log := response.headers.get("x-amz-log-result"):
        to_stderr(b64decode(log))
    unfinished = not response.content.endswith(b"\n")
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    line_end = b"\n" if unfinished and on_terminal else b""
    to_stdout(response.content + line_end)
