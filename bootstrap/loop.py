"""The runtime's life: start the handler, then ask, call and answer until the end.

Exit codes: 1 when the function cannot be started or the Runtime API is of no more use; what the
handler asks for with sys.exit, without an answer being posted, as AWS's own client does.
Streaming, restore and several invocations at once are not here yet.
"""

from __future__ import annotations

import os
import sys

from bootstrap import logs
from bootstrap.client import Invocation, RuntimeClient
from bootstrap.context import LambdaContext, LambdaFunction
from bootstrap.errors import API_FAILURE, ErrorReport, Fault, RuntimeApiError
from bootstrap.handler import EventLoop, load
from bootstrap.marshal import marshal_result, unmarshal_event
from bootstrap.termination import die_by_sigterm
from bootstrap.wire import MalformedReply, came_from_a_handler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, TextIO

    from bootstrap.handler import Handler

TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


def run(handler: Handler | str, client: RuntimeClient | None = None) -> NoReturn:
    """Serve invocations with `handler`, a callable or a name such as "app.handler".

    Ends by SystemExit. `client` defaults to one for AWS_LAMBDA_RUNTIME_API; KeyError or
    ValueError if that variable is missing or malformed.
    """
    client = client or RuntimeClient()
    _write_lines_at_once()
    runtime = Runtime(client, logs.start(os.environ))
    die_by_sigterm()
    runtime.serve(runtime.start(handler))


class Runtime:
    """One environment's client, log, event loop and function."""

    __slots__ = ("_client", "_events", "_function", "_log")

    def __init__(self, client: RuntimeClient, log: logs.Log) -> None:
        self._client = client
        self._log = log
        self._events = EventLoop()
        self._function = LambdaFunction()

    def start(self, handler: Handler | str) -> Handler:
        """Return the handler, or report why there is none and exit."""
        try:
            found = load(handler) if isinstance(handler, str) else handler
            self._events.prepare(found)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (the user's module may raise anything)
            self._report_init_error(ErrorReport(error))
        else:
            return found
        sys.exit(1)

    def serve(self, handler: Handler) -> NoReturn:
        """Take invocations one after the other until the Runtime API ends it."""
        while True:
            try:
                invocation = self._client.next()
            except (RuntimeApiError, MalformedReply, OSError) as error:
                self._give_up("Failed to get next invocation", error)
            self._log.begin(invocation.request_id, invocation.tenant_id)
            _show_trace_id(invocation.trace_id)
            self._answer(handler, invocation)

    def _answer(self, handler: Handler, invocation: Invocation) -> None:
        outcome = self._call(handler, invocation)
        _flush()
        try:
            if isinstance(outcome, ErrorReport):
                self._client.fail(invocation, outcome)
            else:
                self._client.respond(invocation, *outcome)
        except RuntimeApiError as refusal:
            # 400, 403, 410, 413: this answer is lost, the next invocation is not. 5xx is the
            # API's word for "exit".
            if refusal.status >= 500:  # noqa: PLR2004
                self._give_up("Failed to post the answer", refusal)
            self._log_api_failure("Failed to post the answer", refusal)
        except (MalformedReply, OSError, ValueError) as error:
            # Whether it arrived nobody knows; another /next might run the same event again.
            # ValueError: an invocation id that would be an injected header on its way back.
            self._give_up("Failed to post the answer", error)

    def _call(self, handler: Handler, invocation: Invocation) -> tuple[bytes, str] | ErrorReport:
        """Run the handler: the body of the response and its content type, or what went wrong."""
        try:
            context = LambdaContext(invocation, self._function)
            event = unmarshal_event(invocation.body, invocation.content_type)
            return marshal_result(self._events.call(handler, event, context))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  (CancelledError too is the function's)
            report = ErrorReport(error)
        self._log.error(report.as_dict(invocation.request_id))
        return report

    def _report_init_error(self, report: ErrorReport) -> None:
        self._log.error(report.as_dict())
        _flush()
        try:
            self._client.init_error(report)
        except (RuntimeApiError, MalformedReply, OSError) as error:
            self._log_api_failure("Failed to post the init error", error)

    def _give_up(self, what: str, error: Exception) -> NoReturn:
        if isinstance(error, OSError) and came_from_a_handler(error):
            raise error  # the user's own, and no failure of the API
        self._log_api_failure(what, error)
        self._client.close()
        sys.exit(1)

    def _log_api_failure(self, what: str, error: Exception) -> None:
        fault = Fault(API_FAILURE, f"LAMBDA_RUNTIME {what}: {error}")
        self._log.error(ErrorReport(fault).as_dict(self._log.request_id))


def _show_trace_id(trace_id: str | None) -> None:
    """Let the handler, X-Ray's SDK and child processes see the trace; an old one never."""
    if trace_id is None:
        os.environ.pop(TRACE_VARIABLE, None)
    else:
        os.environ[TRACE_VARIABLE] = trace_id


def _write_lines_at_once() -> None:
    """Let each line reach the log when it is printed, also where stdout is a pipe."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _flush() -> None:
    """Hand over what was printed without a line end, before the answer ends the invocation."""
    _flush_one(sys.stdout)
    _flush_one(sys.stderr)


def _flush_one(stream: TextIO | None) -> None:
    try:
        stream.flush()  # type: ignore[union-attr]  # None: AttributeError
    except (AttributeError, OSError, ValueError):  # a broken pipe, closed by the user
        return
