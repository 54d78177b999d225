from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from io import StringIO

import pytest

from rie.telemetry.diary import Diary, DiaryFormat, get_diary
from tests.support.pipes import read_some


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def make_diary(
    stream: StringIO | None = None,
    format: DiaryFormat = "console",  # noqa: A002
) -> tuple[Diary, StringIO]:
    diary, stream = Diary(), stream or StringIO()
    diary.configure("info", format, stream)
    return diary, stream


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )


def drained(descriptor: int) -> bytes:
    """Read what a non-blocking pipe holds."""
    found = b""
    with suppress(BlockingIOError):
        while True:
            found += os.read(descriptor, 65536)
    return found


def test_a_message_has_its_time_level_event_and_fields() -> None:
    diary, stream = make_diary()

    diary.info("listening", url="http://127.0.0.1:8080", pid=7)

    time, rest = stream.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest.split() == ["[info", "]", "listening", "pid=7", "url=http://127.0.0.1:8080"]


def test_messages_below_the_level_are_left_out() -> None:
    diary, stream = make_diary()
    diary.configure("warning", "console", stream)

    diary.debug("a")
    diary.info("b")
    diary.warning("c")
    diary.error("d")

    assert [line.split()[3] for line in stream.getvalue().splitlines()] == ["c", "d"]


def test_debug_messages_are_told_when_asked_for() -> None:
    diary, stream = make_diary()
    diary.configure("debug", "console", stream)

    diary.debug("a detail")

    assert "a detail" in stream.getvalue()


def test_json_is_one_object_a_line() -> None:
    diary, stream = make_diary(format="json")

    diary.warning("strange", path="/var/task", error=ValueError("no"), count=3)

    document = json.loads(stream.getvalue())
    assert document.pop("timestamp").endswith("Z")
    assert document == {
        "level": "warning",
        "event": "strange",
        "path": "/var/task",
        "error": "ValueError('no')",
        "count": 3,
    }


@pytest.mark.parametrize("format", ["console", "json"])
def test_an_exception_comes_with_its_traceback(format: DiaryFormat) -> None:  # noqa: A002
    diary, stream = make_diary(format=format)

    try:
        int("seven")
    except ValueError:
        diary.exception("defect")

    assert "Traceback (most recent call last)" in stream.getvalue()
    assert "invalid literal for int()" in stream.getvalue()


def test_a_terminal_is_written_to_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    diary, stream = make_diary(Terminal(), "auto")

    diary.info("hello")

    assert "\x1b[" in stream.getvalue()


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    diary, stream = make_diary(Terminal(), "auto")

    diary.info("hello")

    assert "\x1b[" not in stream.getvalue()


def test_a_pipe_is_written_to_without_colour() -> None:
    diary, stream = make_diary(format="auto")

    diary.info("hello", name="x")

    assert "\x1b[" not in stream.getvalue()


def test_held_messages_are_written_in_order_when_released() -> None:
    diary, stream = make_diary()

    diary.hold()
    diary.info("first")
    diary.error("second")
    before = stream.getvalue()
    diary.release()
    diary.info("third")

    assert before == ""
    assert [line.split()[3] for line in stream.getvalue().splitlines()] == [
        "first",
        "second",
        "third",
    ]


def test_a_second_hold_or_release_changes_nothing() -> None:
    diary, stream = make_diary()

    diary.hold()
    diary.info("first")
    diary.hold()
    diary.release()
    diary.release()

    assert stream.getvalue().count("first") == 1


def test_a_stream_that_was_closed_is_nobodys_end() -> None:
    diary, stream = make_diary()
    stream.close()

    diary.info("into the void")
    diary.info("again")


def test_a_reader_that_was_slow_hears_of_what_comes_later() -> None:
    read_end, write_end = os.pipe()
    for end in (read_end, write_end):
        os.set_blocking(end, False)
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        diary = Diary()
        diary.configure("info", "console", stream)
        diary.info("before")
        with suppress(BlockingIOError):
            while True:
                os.write(write_end, b" ")
        diary.info("meanwhile")
        found = drained(read_end)
        diary.info("after")

        os.set_blocking(read_end, True)
        while b"after" not in found:
            found += read_some(read_end)
        assert found.count(b"meanwhile") == 1
    os.close(read_end)


@pytest.mark.parametrize("format", ["console", "json"])
def test_without_structlog_a_message_is_told_plainly(format: DiaryFormat) -> None:  # noqa: A002
    done = run(
        "import sys\n"
        "import orjson, traceback\n"
        "from rie.telemetry.diary import get_diary\n"
        f"get_diary().configure('info', '{format}')\n"
        "class Nowhere:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'structlog':\n"
        "            raise OSError(24, 'Too many open files')\n"
        "sys.meta_path.insert(0, Nowhere())\n"
        "get_diary().error('no more', count=3)\n"
        "try:\n"
        "    int('seven')\n"
        "except ValueError:\n"
        "    get_diary().exception('defect')\n"
        "del sys.meta_path[0]\n"
        "get_diary().error('again')\n"
        "print('structlog' in sys.modules)\n"
    )

    assert [word in done.stderr for word in ("no more", "3", "error", "seven", "again")] == [
        True
    ] * 5
    assert done.stdout == "True\n"


def test_a_field_that_cannot_be_shown_is_no_reason_to_raise() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise LookupError("no")

    diary, stream = make_diary()

    diary.info("strange", value=Broken())
    diary.info("next")

    assert "next" in stream.getvalue()


def test_a_program_without_stderr_has_no_diary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # what Python makes of a closed one: 2>&-
    diary = Diary()

    diary.info("into the void")
    diary.info("again")


def test_there_is_one_diary() -> None:
    assert get_diary() is get_diary()


def test_structlog_is_not_imported_before_something_is_told() -> None:
    done = run(
        "import sys\n"
        "from rie.telemetry.diary import get_diary\n"
        "diary = get_diary()\n"
        "diary.debug('filtered')\n"
        "diary.hold()\n"
        "diary.info('held')\n"
        "print('structlog' in sys.modules)\n"
        "diary.release()\n"
        "print('structlog' in sys.modules)\n"
    )

    assert done.stdout == "False\nTrue\n"


def test_what_is_held_at_the_end_of_the_program_is_told_on_stderr() -> None:
    done = run(
        "from rie.telemetry.diary import get_diary\n"
        "get_diary().hold()\n"
        "get_diary().error('too early')\n"
    )

    assert "too early" in done.stderr
    assert done.stdout == ""
