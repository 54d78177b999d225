"""What console's methods write: lines and frames, in text and in JSON."""

from __future__ import annotations

import json
import os
import struct
from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.scripted import ACCEPTED, ScriptedApi, finish
from tests.node.played import (
    NODE_24,
    OFFICIAL,
    OURS,
    THE_END,
    Played,
    event,
    play,
    play_ours,
    start,
    write,
)
from tests.real.runtimes import NODE, OUR_NODE, require

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"]
EACH_LEVEL = f"for (const level of {json.dumps(LEVELS)}) console[level](level);"
JSON_FORMAT = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
REQUEST_ID = event().request_id


@pytest.fixture(autouse=True)
def node() -> None:
    require(*OUR_NODE.tools)


def in_handler(statements: str) -> str:
    return f"exports.handler = async () => {{ {statements} }};"


def json_records(played: Played) -> list[dict[str, object]]:
    """Give the records without their times, and without stack traces."""
    records = [json.loads(line) for line in played.ended.out.splitlines() if line[:1] == "{"]
    for record in records:
        assert record.pop("timestamp").endswith("Z")
        record.pop("stackTrace", None)
    # The last is the client's word on its own end.
    return records[:-1]


def test_a_line_has_time_request_id_level_and_message(tmp_path: Path) -> None:
    played = play_ours(
        tmp_path, "console.log('loading');" + in_handler("console.log('a%d', 1, {b: 2});")
    )

    assert played.records()[:2] == [("-", "INFO", "loading"), (REQUEST_ID, "INFO", "a1 { b: 2 }")]


def test_each_method_has_its_level(tmp_path: Path) -> None:
    played = play_ours(tmp_path, in_handler(EACH_LEVEL))

    assert [record[1:] for record in played.records()[:6]] == [
        (level.upper(), level) for level in LEVELS
    ]


def test_lower_levels_can_be_left_out(tmp_path: Path) -> None:
    played = play_ours(tmp_path, in_handler(EACH_LEVEL), env={"AWS_LAMBDA_LOG_LEVEL": "warn"})

    assert [record[1] for record in played.records()[:3]] == ["WARN", "ERROR", "FATAL"]


def test_a_record_of_several_lines_stays_one(tmp_path: Path) -> None:
    played = play_ours(tmp_path, in_handler("console.log('a\\nb');"))

    assert played.records()[0] == (REQUEST_ID, "INFO", "a\rb")


def test_an_error_is_logged_with_its_fields(tmp_path: Path) -> None:
    source = in_handler("throw Object.assign(new TypeError('bad'), {code: 'E1', more: [1]});")

    played = play_ours(tmp_path, source)

    what, _, text = played.records()[0][2].partition("\t")
    logged = json.loads(text)
    assert what == "Invoke Error "
    assert logged.pop("stack")[0] == "TypeError: bad"
    assert logged == {"errorType": "TypeError", "errorMessage": "bad", "code": "E1", "more": [1]}


SAID = {
    "a text": "'words'",
    "an object": "{a: [1, {b: null}]}",
    "several": "'a', {b: 1}, 2",
    "a pattern": "'%s is %d', 'a', 1",
    "an error": "new RangeError('bad')",
    "an error with words": "'failed:', new RangeError('bad')",
    "an error with fields": "Object.assign(new RangeError('bad'), {code: 'E1'})",
    "an error inside": "{error: new RangeError('bad')}",
    "a cycle": "(() => { const a = {}; a.a = a; return a; })()",
    "a BigInt": "10n",
    "nothing": "",
    "two lines": "'a\\nb'",
}


@pytest.mark.parametrize("words", SAID.values(), ids=SAID)
def test_a_json_record_is_as_the_official_client_writes_it(tmp_path: Path, words: str) -> None:
    require(*NODE.tools)
    # Without frames, which are each client's own.
    files = {"app.js": "Error.stackTraceLimit = 0;" + in_handler(f"console.warn({words});")}

    theirs = play(OFFICIAL, tmp_path, files, event(), env=NODE_24 | JSON_FORMAT)
    ours = play(OURS, tmp_path, files, event(), env=NODE_24 | JSON_FORMAT)

    assert first_record(ours)["level"] == "WARN"
    assert first_record(ours) == first_record(theirs)


def first_record(played: Played) -> dict[str, object]:
    record: dict[str, object] = json.loads(played.ended.out.partition("\n")[0])
    del record["timestamp"]
    return record


def test_a_json_record_names_the_tenant(tmp_path: Path) -> None:
    source = in_handler("console.log('words');")

    played = play_ours(tmp_path, source, event(Aws_Tenant_Id="t1"), env=JSON_FORMAT)

    assert json_records(played) == [
        {"level": "INFO", "requestId": REQUEST_ID, "tenantId": "t1", "message": "words"}
    ]


def test_an_error_is_a_json_record_too(tmp_path: Path) -> None:
    played = play_ours(tmp_path, in_handler("throw new TypeError('bad');"), env=JSON_FORMAT)

    (record,) = json_records(played)
    message = record["message"]
    assert isinstance(message, dict)
    assert (record["level"], record["requestId"]) == ("ERROR", REQUEST_ID)
    assert (message["errorType"], message["errorMessage"]) == ("TypeError", "bad")


def frames(tmp_path: Path, source: str, **env: str) -> list[tuple[int, int, bytes]]:
    """Run a function whose log is a descriptor: type, time and text of each frame."""
    write(tmp_path, {"app.js": source})
    log = tmp_path / "log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    try:
        with ScriptedApi(event(), ACCEPTED, THE_END) as api:
            variables = {"_LAMBDA_TELEMETRY_LOG_FD": str(descriptor), **env}
            process = start(OURS, api, tmp_path, "app.handler", variables, (descriptor,))
            assert finish(process).out == ""
    finally:
        os.close(descriptor)
    rest = log.read_bytes()
    found = []
    while rest:
        kind, length, time = struct.unpack(">IIQ", rest[:16])
        found.append((kind, time, rest[16 : 16 + length]))
        rest = rest[16 + length :]
    return found[:-1]  # without the client's word on its own end


def test_records_are_frames_where_there_is_a_descriptor_for_them(tmp_path: Path) -> None:
    found = frames(tmp_path, in_handler(EACH_LEVEL))

    assert [hex(kind) for kind, _, _ in found] == [
        "0xa55a0007", "0xa55a000b", "0xa55a000f", "0xa55a0013", "0xa55a0017", "0xa55a001b",
    ]  # fmt: skip
    assert [text.rpartition(b"\t")[2] for _, _, text in found] == [
        f"{level}\n".encode() for level in LEVELS
    ]


def test_frames_of_json_have_a_type_of_their_own(tmp_path: Path) -> None:
    ((kind, time, text),) = frames(
        tmp_path, in_handler("console.log('größer', 1);"), AWS_LAMBDA_LOG_FORMAT="JSON"
    )

    record = json.loads(text)
    assert hex(kind) == "0xa55a000e"
    assert record["message"] == "größer 1"
    assert time > 10**15  # microseconds


def test_a_frame_keeps_the_ends_of_lines(tmp_path: Path) -> None:
    ((_, _, text),) = frames(tmp_path, in_handler("console.log('a\\nb');"))

    assert text.endswith(b"\ta\nb\n")


def test_the_descriptors_variable_is_not_the_functions(tmp_path: Path) -> None:
    source = in_handler("console.log(process.env._LAMBDA_TELEMETRY_LOG_FD);")

    ((_, _, text),) = frames(tmp_path, source)

    assert text.endswith(b"\tundefined\n")


def test_what_is_written_to_stdout_is_left_as_it_is(tmp_path: Path) -> None:
    played = play_ours(tmp_path, in_handler("process.stdout.write('as it is\\n');"))

    assert played.ended.out.startswith("as it is\n")
