"""Where log records go, and in which shape.

The platform may give a file descriptor for logs (_LAMBDA_TELEMETRY_LOG_FD), on which each record
is a frame: type, length and time (microseconds since the epoch), big-endian, then the text.
Without it records are lines on stdout; a record of several lines is kept one by carriage returns,
as AWS's own client does for errors. Formats, levels and frame types: awslambdaric 4.2.2.

`logging` costs 8 ms to import, so it is set up when something of the user's imports it.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

from bootstrap import marshal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import MutableMapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

FD_VARIABLE = "_LAMBDA_TELEMETRY_LOG_FD"
FORMAT_VARIABLE = "AWS_LAMBDA_LOG_FORMAT"
LEVEL_VARIABLE = "AWS_LAMBDA_LOG_LEVEL"

JSON_FRAME = 0xA55A0002
TEXT_FRAME = 0xA55A0003
ERROR = 40  # logging.ERROR
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
INDENT = "\u00a0"  # a no-break space: log viewers strip others

# The attributes of a record that are not the user's `extra`.
_OWN_FIELDS = frozenset(
    (  # noqa: SIM905  (24 lines otherwise)
        "name, msg, args, levelname, levelno, pathname, filename, module, exc_info, exc_text,"
        " stack_info, lineno, funcName, created, msecs, relativeCreated, thread, threadName,"
        " processName, process, taskName, aws_request_id, tenant_id, _frame_type"
    ).split(", ")
)


class LineSink:
    """Log records as lines on stdout."""

    __slots__ = ()

    def write(self, text: str, frame_type: int = TEXT_FRAME) -> None:  # noqa: ARG002
        """Write `text` as it is."""
        out = sys.stdout
        if out is None:  # started without one, or taken away
            return
        try:
            out.write(text)
        except UnicodeEncodeError:
            encoding = out.encoding or "ascii"
            out.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def record(self, text: str, frame_type: int) -> None:
        """Write `text` as one line."""
        self.write(text.rstrip("\n").replace("\n", "\r") + "\n", frame_type)


class FrameSink:
    """Log records as frames on a descriptor of the platform's."""

    __slots__ = ("_fd", "_lock")

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)  # a child's output must not get between frames
        self._fd = fd
        self._lock = _thread.allocate_lock()

    def write(self, text: str, frame_type: int = TEXT_FRAME) -> None:
        """Write `text` as one frame."""
        data = text.encode("utf-8", "backslashreplace")
        fields = (frame_type, 4), (len(data), 4), (time.time_ns() // 1000, 8)
        frame = b"".join(value.to_bytes(size, "big") for value, size in fields) + data
        with self._lock:
            while frame:
                frame = frame[os.write(self._fd, frame) :]

    record = write


class Log:
    """The function's log: where it goes, how it looks, and whose invocation it is about."""

    __slots__ = ("is_json", "level", "request_id", "sink", "tenant_id")

    def __init__(self) -> None:
        self.sink: LineSink | FrameSink = LineSink()
        self.is_json = False
        self.level = ""
        self.request_id = ""
        self.tenant_id: str | None = None

    def configure(self, environ: MutableMapping[str, str]) -> None:
        """Follow the environment; the descriptor's variable is taken out of it."""
        self.is_json = environ.get(FORMAT_VARIABLE, "").upper() == "JSON"
        level = environ.get(LEVEL_VARIABLE, "").upper()
        self.level = "DEBUG" if level == "TRACE" else level
        self.sink = _make_sink(environ.pop(FD_VARIABLE, ""))

    def begin(self, request_id: str, tenant_id: str | None) -> None:
        """From now on records are about this invocation."""
        self.request_id = request_id
        self.tenant_id = tenant_id

    def error(self, report: dict[str, object]) -> None:
        """Log an error's report, as one record."""
        if self.is_json:
            stamp = time.strftime(TIME_FORMAT + "Z", time.gmtime())
            line = marshal.dumps({"timestamp": stamp, "level": "ERROR", **report}).decode()
            self.sink.record(line, frame_type(JSON_FRAME, ERROR))
        else:
            self.sink.record("\n".join(_error_lines(report)), frame_type(TEXT_FRAME, ERROR))


LOG = Log()


def sink() -> LineSink | FrameSink:
    """Where the function's log goes at present."""
    return LOG.sink


def start(environ: MutableMapping[str, str]) -> Log:
    """Set up the function's log, and `logging` as soon as it is there."""
    LOG.configure(environ)
    module = sys.modules.get("logging")
    if module is None:
        sys.meta_path.insert(0, _LoggingHook())
    else:
        _add_handler(module)
    return LOG


def frame_type(kind: int, level: int) -> int:
    """`kind` with the bits of a logging level: DEBUG 0x08, INFO 0x0c ... CRITICAL 0x18."""
    tens = min(50, max(0, level)) // 10
    return kind | (tens + 1) * 4 if tens else kind


def json_record(record: logging.LogRecord) -> str:
    """One record as a line of JSON."""
    import json  # noqa: PLC0415  (see marshal.py)
    import logging  # noqa: PLC0415  (there is a record: it has been imported)
    import traceback  # noqa: PLC0415  (logging has imported it)

    level = min(50, max(0, record.levelno)) // 10 * 10
    kind, error, trace = record.exc_info or (None, None, None)
    is_plain = isinstance(record.msg, dict) and not record.args
    own: dict[str, object] = {
        "timestamp": time.strftime(TIME_FORMAT + "Z", time.gmtime(record.created)),
        "level": logging.getLevelName(level),
        "message": record.msg if is_plain else record.getMessage(),
        "logger": record.name,
        "stackTrace": traceback.format_tb(trace) if kind else None,
        "errorType": kind.__name__ if kind else None,
        "errorMessage": str(error) if kind else None,
        "requestId": LOG.request_id,
        "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if kind else None,
        "tenantId": LOG.tenant_id,
    }
    extra = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
    shown = {name: value for name, value in (extra | own).items() if value is not None}
    in_order = {name: shown[name] for name in (*own, *extra) if name in shown}
    try:
        text = json.dumps(in_order, ensure_ascii=False, default=str, allow_nan=False)
    except (TypeError, ValueError):  # NaN, a cycle, keys that are no strings
        text = json.dumps({name: str(value) for name, value in in_order.items()})
    return text + "\n"


def _make_sink(fd: str) -> LineSink | FrameSink:
    try:
        return FrameSink(int(fd))
    except (ValueError, OSError):  # not given, or not open
        return LineSink()


def _error_lines(report: dict[str, object]) -> list[str]:
    trace = report["stackTrace"]
    lines = [f"[ERROR] {report['errorType']}: {report['errorMessage']}".removesuffix(": ")]
    lines.append("Traceback (most recent call last):")
    for entry in trace if isinstance(trace, list) else ():
        for line in entry.splitlines() or [""]:
            text = line.lstrip(" ")
            lines.append(INDENT * (len(line) - len(text)) + text)
    return lines


class _LoggingHook:
    """Waits for the first import of `logging`, lets it happen, and adds the handler."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _Loader(spec)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """The real loader, and then the handler."""

    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec
        self._loader: object = spec.loader

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        loader = self._loader
        module.__loader__ = loader  # type: ignore[assignment]
        self._spec.loader = loader  # type: ignore[assignment]
        loader.exec_module(module)  # type: ignore[attr-defined]
        _add_handler(module)


def _add_handler(module: ModuleType) -> None:
    """Give the root logger its handler, and the level that the environment names."""
    handler = _make_handler()
    root = module.getLogger()
    root.addHandler(handler)
    module.Formatter.converter = time.gmtime  # as AWS: asctime is UTC for every formatter
    if LOG.level in module._nameToLevel:  # noqa: SLF001  (getLevelNamesMapping is 3.11's)
        root.setLevel(LOG.level)


def _make_handler() -> logging.Handler:
    import logging  # noqa: PLC0415  (see the top)

    class JsonFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            record._frame_type = frame_type(JSON_FRAME, record.levelno)  # noqa: SLF001
            return json_record(record)

    class LambdaLoggerHandler(logging.Handler):
        """Of the official handler's name: there are libraries that look for it."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                text = self.format(record)
                level = record.levelno if LOG.is_json or LOG.level else 0
                kind = getattr(record, "_frame_type", None) or frame_type(TEXT_FRAME, level)
                LOG.sink.record(text, kind)
            except Exception:  # noqa: BLE001  (logging's way: it must not break the caller)
                self.handleError(record)

    def stamp(record: logging.LogRecord) -> bool:
        record.aws_request_id = LOG.request_id
        record.tenant_id = LOG.tenant_id
        return True

    handler = LambdaLoggerHandler()
    handler.addFilter(stamp)
    text = logging.Formatter(TEXT_FORMAT, TIME_FORMAT)
    handler.setFormatter(JsonFormatter() if LOG.is_json else text)
    return handler
