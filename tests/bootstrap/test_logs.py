"""Log records on stdout and on the platform's descriptor, side by side with the official client's.

The official client is run as it is, in a process of its own, where both must write the same.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bootstrap import logs
from tests.bootstrap.scripted import (
    ACCEPTED,
    REPOSITORY,
    Event,
    ScriptedApi,
    finish,
    run_bootstrap,
    start_bootstrap,
    status,
)

if TYPE_CHECKING:
    from pathlib import Path

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
ONE_CALL = (Event(headers={"Lambda-Runtime-Aws-Tenant-Id": "blue"}), ACCEPTED, status(500))
RECORDS = """
import logging
logging.getLogger("x").info("info %s", 1)
logging.warning("at import")
def handler(event, context):
    print("printed")
    log = logging.getLogger("my.log")
    log.debug("debug")
    log.info("info", extra={"user": "u", "set": {1}})
    log.warning({"a": 1})
    log.log(35, "own level")
    log.critical("two\\nlines")
    context.log("raw\\n")
    try:
        int("x")
    except ValueError:
        log.exception("failed")
    raise KeyError("größe")
"""


def frames_of(fd: int) -> list[tuple[int, str]]:
    with os.fdopen(fd, "rb") as pipe:
        data = pipe.read()
    found = []
    while data:
        kind, length, _micros = struct.unpack(">IIQ", data[:16])
        found.append((kind, data[16 : 16 + length].decode()))
        data = data[16 + length :]
    return found


def unstamped(text: str) -> str:
    text = STAMP.sub("STAMP", text)
    # Frames of the clients themselves: theirs shows its own, ours does not.
    return re.sub(r'[^\r]*File "[^"]*/awslambdaric/[^\r]*\r[^\r]*\r', "", text)


def run_both(folder: Path, **env: str) -> tuple[str, str]:
    """What ours and the official client write for the same handler."""
    (folder / "app.py").write_text(RECORDS)
    with ScriptedApi(*ONE_CALL) as api:
        ours = run_bootstrap(api, folder, "app.handler", env=env).out
    with ScriptedApi(*ONE_CALL) as api:
        variables = {"AWS_LAMBDA_RUNTIME_API": api.address, "PYTHONPATH": str(folder), **env}
        command = [sys.executable, "-m", "awslambdaric", "app.handler"]
        theirs = subprocess.run(
            command,
            env={**os.environ, **variables},
            cwd=folder,
            capture_output=True,
            check=False,
            timeout=60,
        ).stdout.decode()
    return ours, theirs


def own_failure_removed(text: str) -> str:
    """Without the last line, which says that the script is over."""
    return "".join(f"{line}\n" for line in text.split("\n")[:-1] if "Failed to get" not in line)


@pytest.mark.parametrize("level", ["", "INFO", "error", "TRACE"])
def test_text_records_equal_the_official_ones(tmp_path: Path, level: str) -> None:
    env = {"AWS_LAMBDA_LOG_LEVEL": level} if level else {}

    ours, theirs = run_both(tmp_path, **env)

    ours = unstamped(own_failure_removed(ours)).replace("\r", "\n").replace("\u00a0", " ")
    theirs = unstamped(theirs).replace("\r", "\n").replace("\u00a0", " ")
    # A record with a traceback has no line end of its own there: the next one is glued to it.
    assert ours == theirs.replace("'x'[ERROR]", "'x'\n[ERROR]")


def test_json_records_equal_the_official_ones(tmp_path: Path) -> None:
    ours, theirs = run_both(tmp_path, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")

    def read(text: str) -> list[object]:
        lines = unstamped(own_failure_removed(text)).splitlines()
        found = [json.loads(line) if line.startswith("{") else line for line in lines]
        for line in found:
            if isinstance(line, dict) and line.get("errorType") == "KeyError":
                line["stackTrace"] = line["stackTrace"][-1:]
        return found

    assert read(ours) == read(theirs)
    assert len(read(ours)) == 10


def test_with_a_descriptor_each_record_is_one_frame(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(RECORDS)
    reader, writer = os.pipe()

    with ScriptedApi(*ONE_CALL) as api:
        env = {"_LAMBDA_TELEMETRY_LOG_FD": str(writer), "AWS_LAMBDA_LOG_LEVEL": "INFO"}
        process = start_bootstrap(api, tmp_path, "app.handler", env=env, pass_fds=(writer,))
        os.close(writer)
        finished = finish(process)
    frames = frames_of(reader)

    assert finished.out == "printed\n"
    assert [kind for kind, _ in frames] == [
        0xA55A000F,  # INFO
        0xA55A0013,  # WARNING
        0xA55A000F,
        0xA55A0013,
        0xA55A0013,  # 35
        0xA55A001B,  # CRITICAL
        0xA55A0003,  # context.log
        0xA55A0017,  # ERROR, with a traceback
        0xA55A0017,  # the handler's error
        0xA55A0017,  # the end of the script
    ]
    assert frames[5][1].endswith("\ttwo\nlines\n")
    assert frames[6][1] == "raw\n"
    assert frames[8][1].startswith(
        "[ERROR] KeyError: 'größe'\nTraceback (most recent call last):\n"
    )


def test_json_frames_have_a_type_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(RECORDS)
    reader, writer = os.pipe()

    with ScriptedApi(*ONE_CALL) as api:
        env = {"_LAMBDA_TELEMETRY_LOG_FD": str(writer), "AWS_LAMBDA_LOG_FORMAT": "JSON"}
        process = start_bootstrap(api, tmp_path, "app.handler", env=env, pass_fds=(writer,))
        os.close(writer)
        finish(process)
    frames = frames_of(reader)

    # context.log is raw text, as with the official client
    assert {kind for kind, _ in frames} == {0xA55A0003, 0xA55A0012, 0xA55A0016, 0xA55A001A}
    assert all(json.loads(text) for kind, text in frames if kind != 0xA55A0003)


def test_the_descriptors_variable_is_not_for_the_handler() -> None:
    environ = {"_LAMBDA_TELEMETRY_LOG_FD": "nonsense", "OTHER": "1"}

    log = logs.start(environ)

    assert environ == {"OTHER": "1"}
    assert isinstance(log.sink, logs.LineSink)


def test_a_descriptor_that_is_not_open_is_passed_over() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)

    log = logs.start({"_LAMBDA_TELEMETRY_LOG_FD": str(writer)})

    assert isinstance(log.sink, logs.LineSink)


def test_a_frame_carries_type_length_time_and_text() -> None:
    reader, writer = os.pipe()

    logs.FrameSink(writer).record("größe \ud83d", 0xA55A0003)
    os.close(writer)

    assert frames_of(reader) == [(0xA55A0003, "größe \\ud83d")]


@pytest.mark.parametrize(
    ("level", "bits"),
    [(-1, 0), (0, 0), (9, 0), (10, 8), (20, 12), (30, 16), (35, 16), (40, 20), (50, 24), (99, 24)],
)
def test_the_level_is_in_the_frame_type(level: int, bits: int) -> None:
    assert logs.frame_type(logs.TEXT_FRAME, level) == logs.TEXT_FRAME | bits


def test_a_record_of_several_lines_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.start({})

    logging.getLogger("t").warning("one\ntwo")

    assert capsys.readouterr().out.endswith("\tone\rtwo\n")


def test_a_formatter_without_a_line_end_still_makes_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.start({})
    logging.getLogger().handlers[-1].setFormatter(logging.Formatter("%(message)s"))

    logging.getLogger("t").warning("one")
    logging.getLogger("t").warning("two")

    assert capsys.readouterr().out == "one\ntwo\n"


def test_each_record_names_its_own_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.start({"AWS_LAMBDA_LOG_FORMAT": "json"})

    log.begin("id-1", "blue")
    logging.getLogger("t").warning("a")
    log.begin("id-2", None)
    logging.getLogger("t").warning("b")

    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["requestId"], first["tenantId"]) == ("id-1", "blue")
    assert second["requestId"] == "id-2"
    assert "tenantId" not in second


def test_a_json_record_is_valid_whatever_it_carries(capsys: pytest.CaptureFixture[str]) -> None:
    logs.start({"AWS_LAMBDA_LOG_FORMAT": "JSON"})

    logging.getLogger("t").warning("m", extra={"n": float("nan"), "o": {(1, 2): 3}})

    record = json.loads(capsys.readouterr().out)
    assert (record["message"], record["n"], record["o"]) == ("m", "nan", "{(1, 2): 3}")


def test_a_record_that_cannot_be_formatted_does_not_break_the_caller(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.start({})

    record = logging.LogRecord("t", logging.WARNING, __file__, 1, "%d", ("no number",), None)
    logging.getLogger().handlers[-1].handle(record)

    assert "--- Logging error ---" in capsys.readouterr().err


def test_text_that_stdout_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))

    logs.sink().write("größe \ud83d")

    assert raw.getvalue() == b"gr\\xf6\\xdfe \\ud83d"


def test_without_stdout_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    logs.sink().write("x")


def test_an_error_is_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    log = logs.start({})

    log.error({"errorType": "E", "errorMessage": "m\nn", "stackTrace": ["  File x\n    y\n", ""]})

    expected = "[ERROR] E: m\rn\rTraceback (most recent call last):"
    file, code = logs.INDENT * 2 + "File x", logs.INDENT * 4 + "y"
    assert capsys.readouterr().out == f"{expected}\r{file}\r{code}\n"


@pytest.fixture
def no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n == "logging" or n.startswith("logging.")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("no_logging")
def test_logging_is_set_up_when_it_is_imported() -> None:
    logs.start({"AWS_LAMBDA_LOG_LEVEL": "debug"})
    assert logs._LoggingHook().find_spec("json") is None

    import logging as fresh  # noqa: PLC0415  (the import is what is tested)

    (handler,) = fresh.getLogger().handlers
    assert type(handler).__name__ == "LambdaLoggerHandler"
    assert fresh.getLogger().level == fresh.DEBUG
    assert type(fresh.__loader__) is type(json.__loader__)
    assert fresh.__spec__ is not None
    assert fresh.__spec__.loader is fresh.__loader__
    assert not any(isinstance(finder, logs._LoggingHook) for finder in sys.meta_path)


@pytest.mark.usefixtures("no_logging")
def test_a_loader_keeps_its_other_abilities() -> None:
    logs.start({})

    spec = sys.meta_path[0].find_spec("logging", None, None)

    assert spec is not None
    assert spec.loader is not None
    assert "LogRecord" in spec.loader.get_source("logging")  # type: ignore[attr-defined]


@pytest.mark.usefixtures("no_logging")
def test_where_logging_cannot_be_found_its_import_fails_as_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logs.start({})
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:1])

    with pytest.raises(ModuleNotFoundError):
        import logging  # noqa: F401, PLC0415  (as above)


def test_the_bootstrap_itself_needs_no_expensive_module() -> None:
    code = "import sys, bootstrap; print(*sorted(sys.modules))"
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append('.'); {code}"]
    loaded = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout

    dear = "asyncio dataclasses enum inspect json logging re signal socket traceback typing"
    assert not set(dear.split()) & set(loaded.decode().split())
