from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rie.telemetry.lines import FunctionLine
from rie.worker.output import MAX_LINE, PIPE_SIZE, FrameSplitter, LineSplitter, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

LIMIT = 20.0  # seconds
TEXT, JSON = 0xA55A0003, 0xA55A0002
LEVEL_BITS = {None: 0, "TRACE": 4, "DEBUG": 8, "INFO": 12, "WARN": 16, "ERROR": 20, "FATAL": 24}


def frame(message: bytes, kind: int = TEXT, microseconds: int = 1_500_000) -> bytes:
    return struct.pack(">IIQ", kind, len(message), microseconds) + message


def lines_of(*chunks: bytes) -> list[bytes]:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + splitter.end()


def records_of(*chunks: bytes) -> list[FunctionLine]:
    splitter = FrameSplitter()
    records = [record for chunk in chunks for record in splitter.feed(chunk)]
    return records + splitter.end()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return data in pieces, cut at the places that lie within it."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


cuts = st.lists(st.integers(0, 4000), max_size=30)
printed = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from([b"\n", b"\r\n", "ü€\n".encode(), b"\xff\n", b"x" * 500]),
    ),
    max_size=12,
).map(b"".join)
framed = st.lists(
    st.one_of(
        st.builds(
            frame,
            st.binary(max_size=60),
            st.sampled_from([kind | bits for kind in (TEXT, JSON) for bits in LEVEL_BITS.values()]),
            st.integers(0, 2**63),
        ),
        st.sampled_from([b"garbage\n", b"\xa5", b"\xa5\x5a", b"\xa5\x5a\x00", frame(b"cut")[:12]]),
        st.sampled_from([frame(b"", 0xA55A0001), frame(b"", 0xA55A0022), b"\n", b"\0" * 8]),
        st.binary(max_size=20),
    ),
    max_size=10,
).map(b"".join)


@settings(deadline=None)  # a busy machine is no failure
@given(printed, cuts)
def test_however_bytes_are_cut_the_lines_are_the_same(data: bytes, places: list[int]) -> None:
    assert lines_of(*cut(data, places)) == lines_of(data)


@settings(deadline=None)  # a busy machine is no failure
@given(printed)
def test_no_byte_is_lost(data: bytes) -> None:
    whole = b"".join(line + b"\n" for line in lines_of(data))

    assert whole == data + (b"" if data.endswith(b"\n") or not data else b"\n")


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("end", [b"", b"\n", b"\nnext\n"])
def test_a_long_line_comes_in_full_pieces(times: int, over: int, end: bytes) -> None:
    data = b"x" * (times * MAX_LINE + over) + end
    chunks = [data[at : at + 100_000] for at in range(0, len(data), 100_000)]

    lines = lines_of(data)

    assert lines == lines_of(*chunks)
    assert b"".join(lines) == data.replace(b"\n", b"")
    assert all(len(line) <= MAX_LINE for line in lines)
    assert len([line for line in lines if line != b"next"]) == -(
        -(times * MAX_LINE + over) // MAX_LINE
    )


def test_memory_is_bounded_while_a_line_does_not_end() -> None:
    splitter = LineSplitter()

    for _ in range(80):
        splitter.feed(b"x" * 65_536)
        assert len(splitter._partial) <= MAX_LINE


def test_an_empty_line_is_a_line() -> None:
    assert lines_of(b"a\n\nb\n") == [b"a", b"", b"b"]


def test_a_carriage_return_stays() -> None:
    assert lines_of(b"a\rb\r\n") == [b"a\rb\r"]


@settings(deadline=None)  # a busy machine is no failure
@given(framed, cuts)
@example(frame(b"a") + b"\xa5" + frame(b"b"), [17])
@example(b"\xa5\x5a\x00\x03\xff\xff\xff\xff", [5])
def test_however_frames_are_cut_the_records_are_the_same(data: bytes, places: list[int]) -> None:
    assert records_of(*cut(data, places)) == records_of(data)


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(
        st.tuples(st.binary(max_size=50), st.sampled_from(list(LEVEL_BITS.items())), st.booleans())
    )
)
def test_each_frame_is_one_record(
    messages: list[tuple[bytes, tuple[str | None, int], bool]],
) -> None:
    data = b"".join(
        frame(message, (JSON if json else TEXT) | bits) for message, (_, bits), json in messages
    )

    assert [(record.text, record.level, record.json) for record in records_of(data)] == [
        (message.removesuffix(b"\n"), level, json) for message, (level, _), json in messages
    ]


def test_a_message_may_have_several_lines() -> None:
    (record,) = records_of(frame(b"[ERROR]\tboom\n  Traceback\n", TEXT | 20, 1_795_185_699_482_000))

    assert record == FunctionLine(
        b"[ERROR]\tboom\n  Traceback", level="ERROR", json=False, at=1795185699.482
    )


def test_what_is_no_frame_is_text() -> None:
    records = records_of(b"hello\nwor", b"ld" + frame(b"framed") + b"bye\n")

    assert [record.text for record in records] == [b"hello", b"world", b"framed", b"bye"]


def test_an_unbelievable_length_is_no_frame() -> None:
    header = struct.pack(">II", TEXT, 0xFFFFFFFF)

    records = records_of(header + b"\n" + frame(b"good"))

    assert [record.text for record in records] == [header, b"good"]


def test_a_frame_that_was_cut_off_is_given_as_far_as_it_came() -> None:
    assert [record.text for record in records_of(frame(b"0123456789", JSON | 12)[:-4])] == [
        b"012345"
    ]


def test_after_the_end_a_new_frame_is_expected() -> None:
    splitter = FrameSplitter()
    splitter.feed(frame(b"0123456789")[:-4])
    splitter.end()

    assert [record.text for record in splitter.feed(frame(b"new"))] == [b"new"]


def test_a_long_message_comes_in_pieces_with_its_level() -> None:
    message = b"x" * (2 * MAX_LINE) + b"y\n"
    data = frame(message, JSON | 16)

    records = records_of(*[data[at : at + 50_000] for at in range(0, len(data), 50_000)])

    assert [len(record.text) for record in records] == [MAX_LINE, MAX_LINE, 1]
    assert {(record.level, record.json) for record in records} == {("WARN", True)}


class Opened:
    """An Output whose lines are kept."""

    def __init__(self) -> None:
        self.lines: list[FunctionLine] = []
        self.output = Output(self.lines.append)

    @property
    def texts(self) -> list[bytes]:
        return [line.text for line in self.lines]

    def print(self, data: bytes) -> None:
        os.write(self.output.child_output, data)


@pytest.fixture
def opened() -> Iterator[Opened]:
    opened = Opened()
    yield opened
    opened.output.close()


def test_drain_gives_the_lines_that_are_there(opened: Opened) -> None:
    opened.print(b"one\ntwo\nthr")

    opened.output.drain()

    assert opened.lines == [FunctionLine(b"one"), FunctionLine(b"two")]


def test_drain_with_nothing_there_does_nothing(opened: Opened) -> None:
    opened.output.drain()

    assert opened.lines == []


def test_drain_takes_a_full_pipe_whole(opened: Opened) -> None:
    os.set_blocking(opened.output.child_output, False)
    written = 0
    while True:
        try:
            written += os.write(opened.output.child_output, b"x" * 127 + b"\n")
        except BlockingIOError:
            break

    opened.output.drain()
    opened.output.settle()

    assert sum(len(text) + 1 for text in opened.texts) == written
    assert written >= PIPE_SIZE


ENDLESS = b"y\n"  # what `yes` prints


@contextmanager
def printing_without_end(output: Output) -> Iterator[None]:
    with subprocess.Popen(["yes"], stdout=output.child_output) as yes:
        try:
            yield
        finally:
            yes.kill()


def test_drain_ends_though_somebody_prints_without_end(opened: Opened) -> None:
    with printing_without_end(opened.output):
        end = time.monotonic() + LIMIT
        while len(opened.lines) < 100_000 and time.monotonic() < end:
            opened.output.drain()

    assert len(opened.lines) >= 100_000


def test_each_pipe_keeps_its_order(opened: Opened) -> None:
    for number in range(5):
        opened.print(b"out %d\n" % number)
        os.write(opened.output.child_telemetry, frame(b"log %d\n" % number))

    opened.output.drain()

    for kind in (b"out", b"log"):
        assert [text for text in opened.texts if text.startswith(kind)] == [
            b"%s %d" % (kind, number) for number in range(5)
        ]


def test_a_line_without_newline_is_given_when_it_is_flushed(opened: Opened) -> None:
    opened.print(b"no newline")
    os.write(opened.output.child_telemetry, b"cut off")
    opened.output.drain()
    before = opened.texts

    opened.output.settle()
    opened.output.settle()

    assert before == []
    assert opened.texts == [b"no newline", b"cut off"]


def test_invalid_utf8_is_passed_on(opened: Opened) -> None:
    opened.print(b"\xff\xfe\n")

    opened.output.drain()

    assert opened.texts == [b"\xff\xfe"]


PRINTS_EVERYWHERE = """
import os, struct, sys
print("to stdout", flush=True)
print("to stderr", file=sys.stderr, flush=True)
message = b"framed"
os.write(int(sys.argv[1]), struct.pack(">IIQ", 0xA55A000F, len(message), 1) + message)
"""


def test_a_real_process_prints_to_all_three(opened: Opened) -> None:
    output, telemetry = opened.output.child_fds
    subprocess.run(
        [sys.executable, "-c", PRINTS_EVERYWHERE, str(telemetry)],
        stdout=output,
        stderr=output,
        pass_fds=(telemetry,),
        check=True,
    )

    opened.output.drain()

    assert opened.lines == [
        FunctionLine(b"to stdout"),
        FunctionLine(b"to stderr"),
        FunctionLine(b"framed", level="INFO", at=1e-06),
    ]


OFFICIAL_CLIENT = """
import logging, sys
from awslambdaric.bootstrap import FramedTelemetryLogSink
with FramedTelemetryLogSink(sys.argv[1]) as sink:
    sink.log("[INFO]\\tready\\n")
    sink.log('{"level": "WARNING"}\\n', frame_type=bytes.fromhex("a55a0012"))
    sink.log_error(["[ERROR] Boom: it failed", "Traceback (most recent call last):"])
"""


def test_the_frames_of_the_official_python_client_are_understood(opened: Opened) -> None:
    telemetry = opened.output.child_telemetry
    subprocess.run(
        [sys.executable, "-c", OFFICIAL_CLIENT, str(telemetry)], pass_fds=(telemetry,), check=True
    )

    opened.output.drain()

    assert [line._replace(at=None) for line in opened.lines] == [
        FunctionLine(b"[INFO]\tready"),
        FunctionLine(b'{"level": "WARNING"}', level="WARN", json=True),
        FunctionLine(b"[ERROR] Boom: it failed\nTraceback (most recent call last):", level="ERROR"),
    ]
    assert all(time.time() - (line.at or 0) < 60 for line in opened.lines)


def test_the_pipes_serve_the_next_process_too(opened: Opened) -> None:
    for word in ("first", "second"):
        subprocess.run(["echo", word], stdout=opened.output.child_output, check=True)
        opened.output.drain()

    assert opened.texts == [b"first", b"second"]


def test_no_process_inherits_what_it_was_not_given(opened: Opened) -> None:
    output = opened.output
    ends = (output._printed, output._framed, *output.child_fds)

    assert not any(os.get_inheritable(end) for end in ends)


def test_closing_does_not_wait_for_who_still_holds_the_other_end() -> None:
    opened = Opened()
    with subprocess.Popen(["sleep", "60"], stdout=opened.output.child_output) as sleeper:
        began = time.monotonic()
        opened.output.close()
        took = time.monotonic() - began
        sleeper.kill()

    assert took < 1


def test_closing_twice_is_closing_once(opened: Opened) -> None:
    opened.output.close()
    opened.output.close()

    opened.output.drain()

    assert opened.lines == []


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_the_loop_reads_as_output_comes(
    run: Callable[[Coroutine[None, None, list[bytes]]], list[bytes]],
) -> None:
    async def read() -> list[bytes]:
        came = asyncio.Event()
        lines: list[FunctionLine] = []

        def on_line(line: FunctionLine) -> None:
            lines.append(line)
            if len(lines) == 2:
                came.set()

        output = Output(on_line)
        output.attach(asyncio.get_running_loop())
        os.write(output.child_output, b"printed\n")
        os.write(output.child_telemetry, frame(b"framed"))
        await asyncio.wait_for(came.wait(), LIMIT)
        output.close()
        return sorted(line.text for line in lines)

    assert run(read()) == [b"framed", b"printed"]


def test_what_was_drained_in_the_same_iteration_is_not_waited_for() -> None:
    async def read() -> int:
        lines: list[FunctionLine] = []
        output = Output(lines.append)
        loop = asyncio.get_running_loop()
        output.attach(loop)
        os.write(output.child_output, b"one\n")
        loop.call_soon(output.drain)
        for _ in range(3):
            await asyncio.sleep(0)
        output._read(output._printed)
        output.close()
        return len(lines)

    assert asyncio.run(read()) == 1


def test_an_endless_printer_leaves_the_loop_its_turn() -> None:
    async def most_between_two_turns() -> int:
        lines, most = 0, 0

        def count(_: FunctionLine) -> None:
            nonlocal lines
            lines += 1

        output = Output(count)
        output.attach(asyncio.get_running_loop())
        with printing_without_end(output):
            async with asyncio.timeout(LIMIT):
                while lines < 10 * PIPE_SIZE / len(ENDLESS):
                    before = lines
                    await asyncio.sleep(0)
                    most = max(most, lines - before)
        output.close()
        return most

    assert 0 < asyncio.run(most_between_two_turns()) <= PIPE_SIZE / len(ENDLESS) + 1
