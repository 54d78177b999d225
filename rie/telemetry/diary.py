"""The emulator's own log, by structlog, on stderr: never mixed with the function's.

`get_diary()` is there from the first moment and costs nothing to import: structlog, which
takes 70 ms and more, is imported with the first message that is really written. While
`hold()` is in force messages wait in memory, so that the first one does not delay the
runtime's start; `release()`, or the end of the program, writes them.

Nothing is raised, whatever becomes of a message: the diary is no reason for a program to end.
Where structlog cannot be had, for want of a descriptor say, a plain line has to do.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple, TextIO, cast

from rie.telemetry.figures import timestamp
from rie.telemetry.patient_writer import PatientStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, Processor

DiaryLevel = Literal["debug", "info", "warning", "error"]
DiaryFormat = Literal["auto", "console", "json"]

_LEVELS: dict[DiaryLevel, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Message(NamedTuple):
    level: DiaryLevel
    event: str
    fields: dict[str, object]


class Diary:
    """Writes messages at or above its level; filtered ones cost one comparison."""

    def __init__(self) -> None:
        self._threshold = _LEVELS["info"]
        self._format: DiaryFormat = "auto"
        self._stream: TextIO | None = None  # None: stderr as it is when the message is written
        self._write: Callable[[_Message], None] | None = None
        self._held: list[_Message] | None = None

    def configure(
        self,
        level: DiaryLevel = "info",
        format: DiaryFormat = "auto",  # noqa: A002 - as --diary-format calls it
        stream: TextIO | None = None,
    ) -> None:
        """Choose the least level that is written, how, and where (stderr if not said)."""
        self._threshold = _LEVELS[level]
        self._format, self._stream, self._write = format, stream, None

    def hold(self) -> None:
        """Keep messages in memory until `release`."""
        if self._held is None:
            self._held = []
            atexit.register(self.release)

    def release(self) -> None:
        """Write the messages that were held, and each further one at once."""
        held, self._held = self._held, None
        if held is None:
            return
        atexit.unregister(self.release)
        for message in held:
            self._tell(message)

    def debug(self, event: str, **fields: object) -> None:
        """Tell what only somebody who looks for a fault wants to know."""
        if self._threshold <= 10:  # noqa: PLR2004 - debug's number; a look-up would cost more
            self._take("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Tell what a user wants to know."""
        self._take("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell what does not go as the user may think."""
        self._take("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Tell what went wrong."""
        self._take("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Tell what went wrong, with the traceback of the exception that is being handled."""
        self._take("error", event, {"exc_info": sys.exception(), **fields})

    def _take(self, level: DiaryLevel, event: str, fields: dict[str, object]) -> None:
        if self._threshold > _LEVELS[level]:
            return
        # One's own time: a held message is written later.
        message = _Message(level, event, {"timestamp": timestamp(time.time()), **fields})
        if self._held is not None:
            self._held.append(message)
        else:
            self._tell(message)

    def _tell(self, message: _Message) -> None:
        stream = self._stream or sys.stderr
        if stream is None:  # it was closed before this program began
            return
        try:
            if self._write is None:
                self._write = _make_writer(self._format, stream)
            self._write(message)
        except Exception:  # noqa: BLE001 - see the module's docstring
            with suppress(Exception):  # stderr is gone: there is nobody to tell
                _write_plainly(message, self._format, _patient(stream))


_DIARY = Diary()


def get_diary() -> Diary:
    """Return the diary of this process."""
    return _DIARY


def _write_plainly(
    message: _Message,
    format: DiaryFormat,  # noqa: A002
    stream: TextIO,
) -> None:
    fields = {"level": message.level, "event": message.event} | message.fields
    if format == "json":
        stream.write(_dumps(fields) + "\n")
    else:
        time, error = fields.pop("timestamp"), fields.pop("exc_info", None)
        words = (f"{name}={value}" for name, value in message.fields.items() if name in fields)
        stream.write(" ".join((str(time), f"[{message.level}]", message.event, *words)) + "\n")
        if isinstance(error, BaseException):
            from traceback import format_exception  # noqa: PLC0415 - only for a defect

            stream.write("".join(format_exception(error)))
    stream.flush()


def _make_writer(format: DiaryFormat, stream: TextIO) -> Callable[[_Message], None]:  # noqa: A002
    import structlog  # noqa: PLC0415 - see the module's docstring

    processors: list[Processor] = [structlog.processors.add_log_level]
    if format == "json":
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ]
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty() and "NO_COLOR" not in os.environ,
                exception_formatter=structlog.dev.plain_traceback,
            )
        )
    logger = structlog.wrap_logger(
        structlog.WriteLogger(_patient(stream)),
        processors=processors,
        wrapper_class=structlog.BoundLogger,
    )

    def write(message: _Message) -> None:
        getattr(logger, message.level)(message.event, **message.fields)

    return write


def _patient(stream: TextIO) -> TextIO:
    """Return a stream to the same place that never makes the emulator wait for a reader."""
    try:
        return cast("TextIO", PatientStream(stream.fileno()))
    except (OSError, ValueError, AttributeError):  # it is none of the system's
        return stream


def _dumps(document: EventDict, **_options: object) -> str:
    import orjson  # noqa: PLC0415 - only where JSON is asked for

    return orjson.dumps(document, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
