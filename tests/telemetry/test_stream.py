from __future__ import annotations

import fcntl
import os
import threading
from datetime import date
from typing import TYPE_CHECKING

import pytest

from rie.core.platform import InitRuntimeDone
from rie.telemetry.diary import get_diary
from rie.telemetry.lines import FunctionLine
from rie.telemetry.stream import (
    MOST_BEHIND,
    MOST_PENDING,
    Deferred,
    FileSink,
    LogDirUnusable,
    LogStream,
    StreamSink,
    check_log_dir,
    log_path,
    log_stream_name,
    rendered,
)
from rie.telemetry.text import TextRenderer
from tests.support.raw_http import LIMIT
from tests.telemetry.makers import (
    CLOCK_OFFSET,
    NOW,
    STREAM,
    make_about,
    make_report,
    make_start,
    read_diary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import StringIO
    from pathlib import Path

    from rie.core.platform import PlatformEvent


class Loop:
    """Runs what was scheduled when it is told that an iteration is over."""

    def __init__(self) -> None:
        self._soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def turn(self) -> int:
        due, self._soon = self._soon, []
        for callback in due:
            callback()
        return len(due)


class Kept:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    @property
    def congested(self) -> bool:
        return False

    def defer(self, item: Deferred) -> None:
        if lines := rendered(*item):
            self.write(lines)

    def write(self, lines: bytes) -> None:
        self.writes.append(lines)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Pipe:
    """A real pipe, its reader in the hands of the test."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)

    def read(self) -> bytes:
        try:
            return os.read(self.read_end, 1024 * 1024)
        except BlockingIOError:
            return b""

    def close_read_end(self) -> None:
        os.close(self.read_end)
        self.read_end = -1

    def close(self) -> None:
        os.close(self.write_end)
        if self.read_end >= 0:
            self.close_read_end()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def diary() -> Iterator[StringIO]:
    yield read_diary()
    get_diary().configure()


def make_stream(*sinks: Kept | StreamSink) -> LogStream:
    return LogStream(STREAM, TextRenderer(make_about(), epoch_offset=lambda: CLOCK_OFFSET), sinks)


def log(stream: LogStream, text: bytes) -> None:
    stream.function(FunctionLine(text))


def test_lines_go_to_every_sink_in_the_order_they_were_logged() -> None:
    first, second = Kept(), Kept()
    stream = make_stream(first, second)

    stream.platform(make_start("r-1"))
    log(stream, b"hello")
    stream.platform(make_report(request_id="r-1"))

    assert first.writes == second.writes
    assert b"".join(first.writes).startswith(
        b"START RequestId: r-1 Version: $LATEST\nhello\nEND RequestId: r-1\nREPORT RequestId: r-1\t"
    )


def test_an_event_that_the_format_does_not_tell_is_not_written() -> None:
    sink = Kept()

    make_stream(sink).platform(InitRuntimeDone(at=NOW, phase="init", status="success"))

    assert sink.writes == []


def test_the_tail_holds_what_was_logged_since_it_was_asked_for() -> None:
    stream = make_stream()
    log(stream, b"before")

    stream.begin_tail()
    log(stream, b"within")
    tail = stream.end_tail()
    log(stream, b"after")

    assert tail == b"within\n"
    assert stream.end_tail() == b""


def test_the_tail_is_the_last_4096_bytes() -> None:
    stream = make_stream()

    stream.begin_tail()
    for number in range(100_000):
        log(stream, b"%07d" % number)

    tail = stream.end_tail()
    assert len(tail) == 4096
    assert tail.endswith(b"0099998\n0099999\n")


def test_flushing_a_stream_writes_what_its_sinks_hold(pipe: Pipe) -> None:
    stream = make_stream(StreamSink(pipe.write_end, Loop().call_soon))
    log(stream, b"hello")

    stream.flush()

    assert pipe.read() == b"hello\n"


def test_closing_a_stream_closes_its_sinks() -> None:
    sink = Kept()

    make_stream(sink).close()

    assert sink.closed


def test_one_iteration_of_the_loop_is_one_write(pipe: Pipe) -> None:
    loop = Loop()
    sink = StreamSink(pipe.write_end, loop.call_soon)

    sink.write(b"a\n")
    sink.write(b"b\n")

    assert pipe.read() == b""
    assert loop.turn() == 1
    assert pipe.read() == b"a\nb\n"
    assert loop.turn() == 0


def test_lines_of_the_next_iteration_are_written_then(pipe: Pipe) -> None:
    loop = Loop()
    sink = StreamSink(pipe.write_end, loop.call_soon)

    sink.write(b"a\n")
    loop.turn()
    sink.write(b"b\n")
    loop.turn()

    assert pipe.read() == b"a\nb\n"


def test_environments_that_log_at_once_never_share_a_line(pipe: Pipe) -> None:
    loop = Loop()
    sink = StreamSink(pipe.write_end, loop.call_soon)
    streams = [make_stream(sink) for _ in range(3)]

    for _ in range(50):
        for number, stream in enumerate(streams):
            log(stream, b"%d" % number * 20)
    loop.turn()

    assert set(pipe.read().splitlines()) == {b"0" * 20, b"1" * 20, b"2" * 20}


def test_where_there_is_no_loop_yet_lines_are_written_at_once(pipe: Pipe) -> None:
    sink = StreamSink(pipe.write_end, lambda callback: callback())

    sink.write(b"a\n")
    assert pipe.read() == b"a\n"
    sink.write(b"b\n")
    assert pipe.read() == b"b\n"


def test_flush_does_not_wait_for_the_loop(pipe: Pipe) -> None:
    sink = StreamSink(pipe.write_end, Loop().call_soon)

    sink.write(b"a\n")
    sink.flush()

    assert pipe.read() == b"a\n"


def test_what_waits_for_the_end_of_an_iteration_is_bounded() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    loop = Loop()
    sink = StreamSink(null, loop.call_soon)

    for _ in range(100):
        sink.write(b"x" * (MOST_PENDING // 10) + b"\n")
        assert sink._size <= 1.1 * MOST_PENDING
    os.close(null)


def read_all(fd: int, size: int, into: list[bytes]) -> None:
    while size > 0 and (data := os.read(fd, 4096)):
        into.append(data)
        size -= len(data)


@pytest.mark.parametrize("blocking", [True, False])
def test_more_than_a_pipe_holds_arrives_whole(pipe: Pipe, blocking: bool) -> None:  # noqa: FBT001
    os.set_blocking(pipe.write_end, blocking)
    os.set_blocking(pipe.read_end, True)
    sink = StreamSink(pipe.write_end, Loop().call_soon)
    lines = b"".join(b"%06d\n" % number for number in range(100_000))
    read: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(pipe.read_end, len(lines), read), daemon=True)
    reader.start()

    sink.write(lines)
    sink.flush()
    reader.join(LIMIT)

    assert b"".join(read) == lines


def test_a_reader_that_went_away_is_told_once_and_nothing_else_changes(
    pipe: Pipe, diary: StringIO
) -> None:
    loop = Loop()
    sink = StreamSink(pipe.write_end, loop.call_soon)
    pipe.close_read_end()

    for _ in range(3):
        sink.write(b"a\n")
        loop.turn()
    sink.close()

    assert diary.getvalue().count("log lines are dropped from now on") == 1
    assert "reason='Broken pipe'" in diary.getvalue()


def test_a_full_disk_is_told_once(diary: StringIO) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    sink = StreamSink(full, Loop().call_soon)

    for _ in range(3):
        sink.write(b"a\n")
        sink.flush()
    os.close(full)

    assert diary.getvalue().count("No space left on device") == 1


def test_a_stream_sink_leaves_its_descriptor_open(pipe: Pipe) -> None:
    sink = StreamSink(pipe.write_end, Loop().call_soon)
    sink.write(b"a\n")

    sink.close()

    assert pipe.read() == b"a\n"
    assert os.write(pipe.write_end, b"still open") == 10


def test_a_file_sink_appends(tmp_path: Path) -> None:
    path = tmp_path / "group" / "stream.log"

    for line in (b"a\n", b"b\n"):
        sink = FileSink(path, Loop().call_soon)
        sink.write(line)
        sink.close()

    assert path.read_bytes() == b"a\nb\n"


def test_a_file_sink_takes_nothing_after_it_is_closed(tmp_path: Path) -> None:
    loop = Loop()
    sink = FileSink(tmp_path / "stream.log", loop.call_soon)
    sink.write(b"a\n")

    sink.close()
    sink.close()
    sink.write(b"b\n")
    loop.turn()

    assert sink.path.read_bytes() == b"a\n"


def test_a_file_sink_is_not_inherited(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "stream.log", Loop().call_soon)

    assert fcntl.fcntl(sink._own_fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    sink.close()


def test_a_log_streams_name_is_of_aws_form() -> None:
    name = log_stream_name(date(2026, 1, 5), "$LATEST", "3893cafe7fac4485b47bb75b671a283c")

    assert name == "2026/01/05/[$LATEST]3893cafe7fac4485b47bb75b671a283c"


def test_a_streams_file_lies_below_its_group(tmp_path: Path) -> None:
    path = log_path(tmp_path, "/aws/lambda/billing", "2026/01/05/[$LATEST]3893")

    assert path == tmp_path / "aws/lambda/billing/2026/01/05/[$LATEST]3893.log"


@pytest.mark.parametrize("group", ["/../../etc", "..", "/a//../b", "./.", "a\0b", "...", "/"])
def test_no_name_leads_out_of_the_log_dir(tmp_path: Path, group: str) -> None:
    path = log_path(tmp_path, group, "../../[1]x")

    assert path.resolve().is_relative_to(tmp_path.resolve())
    assert "\0" not in str(path)


def test_a_log_dir_is_made_and_left_empty(tmp_path: Path) -> None:
    check_log_dir(tmp_path / "new" / "logs")

    assert list((tmp_path / "new" / "logs").iterdir()) == []


def test_a_log_dir_that_cannot_be_written_to_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(LogDirUnusable) as caught:
        check_log_dir(tmp_path / "file" / "logs")

    assert str(caught.value) == (
        f"--log-dir '{tmp_path}/file/logs' cannot be written to: Not a directory"
    )


def test_the_lines_of_an_event_are_made_when_they_are_written(pipe: Pipe) -> None:
    loop = Loop()
    made: list[PlatformEvent] = []

    def render(event: PlatformEvent) -> bytes:
        made.append(event)
        return b"told\n"

    event = InitRuntimeDone(at=NOW, phase="init", status="success")
    sink = StreamSink(pipe.write_end, loop.call_soon)
    sink.write(b"before\n")
    sink.defer((render, event))
    sink.write(b"after\n")
    assert made == []

    loop.turn()

    assert made == [event]
    assert pipe.read() == b"before\ntold\nafter\n"


def test_an_event_that_cannot_be_told_takes_no_other_line_with_it(
    pipe: Pipe, diary: StringIO
) -> None:
    loop = Loop()

    def render(event: PlatformEvent) -> bytes:
        raise LookupError(event)

    sink = StreamSink(pipe.write_end, loop.call_soon)
    sink.write(b"before\n")
    sink.defer((render, InitRuntimeDone(at=NOW, phase="init", status="success")))
    sink.write(b"after\n")

    loop.turn()

    assert pipe.read() == b"before\nafter\n"
    assert "an event cannot be told" in diary.getvalue()


def test_what_waits_for_a_reader_that_has_stopped_has_an_end(pipe: Pipe, diary: StringIO) -> None:
    loop = Loop()
    sink = StreamSink(pipe.write_end, loop.call_soon)
    sink.write(b"x" * (MOST_BEHIND + 65536) + b"\n")
    loop.turn()

    sink.write(b"one too many\n")
    loop.turn()

    assert sink.congested
    assert "too far behind" in diary.getvalue()
    pipe.close_read_end()
    sink.finish()
