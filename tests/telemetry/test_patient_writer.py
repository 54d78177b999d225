"""A reader that does not keep up costs nobody else anything."""

from __future__ import annotations

import os
import pty
import threading
import time
from collections.abc import Iterator

import pytest

from rie.telemetry.patient_writer import PatientWriter, patient_writer
from tests.support.pipes import read_some

LIMIT = 20.0  # seconds


class Pipe:
    """A pipe whose reader is in the hands of the test."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()

    def read(self, size: int) -> bytes:
        """Read exactly so much."""
        data = b""
        while len(data) < size:
            piece = read_some(self.read_end, size - len(data))
            assert piece, "the pipe has ended"
            data += piece
        return data

    def close_reader(self) -> None:
        os.close(self.read_end)
        self.read_end = -1


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for fd in (pipe.read_end, pipe.write_end):
        if fd >= 0:
            os.close(fd)


def log_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "log"]


def make_lines(count: int) -> bytes:
    return b"".join(b"line %06d\n" % number for number in range(count))


def test_as_long_as_the_reader_keeps_up_all_is_written_at_once(pipe: Pipe) -> None:
    writer = PatientWriter(pipe.write_end)

    writer.write(b"one\n")

    assert pipe.read(4) == b"one\n"
    assert (writer.behind, log_threads()) == (0, [])


def test_a_reader_that_does_not_read_stops_nobody(pipe: Pipe) -> None:
    writer = PatientWriter(pipe.write_end)
    lines = make_lines(100_000)  # 1.1 MB, and a pipe takes 64 KiB

    writer.write(lines)

    assert writer.behind > 0
    assert pipe.read(len(lines)) == lines
    writer.finish(LIMIT)
    assert (writer.behind, writer.failure, log_threads()) == (0, None, [])


def test_what_comes_while_the_reader_is_behind_stays_in_order(pipe: Pipe) -> None:
    writer = PatientWriter(pipe.write_end)
    lines = make_lines(20_000)

    for start in range(0, len(lines), 1000):
        writer.write(lines[start : start + 1000])

    assert pipe.read(len(lines)) == lines
    writer.finish(LIMIT)


def test_a_writer_that_has_caught_up_writes_at_once_again(pipe: Pipe) -> None:
    writer = PatientWriter(pipe.write_end)
    lines = make_lines(20_000)
    writer.write(lines)
    pipe.read(len(lines))
    writer.finish(LIMIT)

    writer.write(b"after\n")

    assert log_threads() == []
    assert pipe.read(6) == b"after\n"


def test_a_reader_that_goes_away_while_it_is_behind_is_a_failure_and_no_exception(
    pipe: Pipe,
) -> None:
    writer = PatientWriter(pipe.write_end)
    writer.write(make_lines(20_000))

    pipe.close_reader()

    writer.finish(LIMIT)
    assert isinstance(writer.failure, BrokenPipeError)
    assert writer.behind == 0
    writer.write(b"for nobody\n")
    assert log_threads() == []


def test_the_end_waits_no_longer_than_it_was_told_to(pipe: Pipe) -> None:
    writer = PatientWriter(pipe.write_end)
    lines = make_lines(20_000)
    writer.write(lines)

    began = time.monotonic()
    writer.finish(0.01)

    assert time.monotonic() - began < LIMIT
    assert writer.behind > 0
    pipe.read(len(lines))
    writer.finish(LIMIT)


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for_too(pipe: Pipe) -> None:
    os.set_blocking(pipe.write_end, False)
    writer = PatientWriter(pipe.write_end)
    lines = make_lines(20_000)

    writer.write(lines)

    assert pipe.read(len(lines)) == lines
    writer.finish(LIMIT)
    assert writer.failure is None


def test_a_terminal_that_is_not_read_stops_nobody() -> None:
    master, terminal = pty.openpty()
    writer = PatientWriter(terminal)
    lines = make_lines(20_000)

    writer.write(lines)

    assert writer.behind > 0
    read = 0
    while read < len(lines) + lines.count(b"\n"):  # a terminal makes CR LF of a newline
        read += len(read_some(master))
    writer.finish(LIMIT)
    assert (writer.behind, writer.failure) == (0, None)
    os.close(master)
    os.close(terminal)


def test_two_descriptors_of_one_pipe_have_one_writer(pipe: Pipe) -> None:
    twin = os.dup(pipe.write_end)

    writer = patient_writer(pipe.write_end)

    assert patient_writer(twin) is writer
    writer.write(b"one\n")
    assert pipe.read(4) == b"one\n"
    os.close(twin)


def test_a_number_that_another_pipe_has_now_is_written_to_anew() -> None:
    first = Pipe()
    old = patient_writer(first.write_end)
    os.close(first.write_end)
    second = Pipe()  # takes the lowest number, which is the one that was closed
    if second.write_end != first.write_end:
        os.dup2(second.write_end, first.write_end)

    assert patient_writer(first.write_end) is not old
    for fd in {first.read_end, first.write_end, second.read_end, second.write_end}:
        os.close(fd)
