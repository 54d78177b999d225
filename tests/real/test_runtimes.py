"""Six runtimes, three of them not ours, each through the same calls of a real client.

Expectations are AWS's: limits from "Lambda quotas", bodies of failures as recorded from AWS.
What an error looks like is each runtime's own affair, that it arrives unchanged is ours.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.real.emulator import Answer, Function, emulator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.real.runtimes import Runtime

MAX_REQUEST = 6 * 1024 * 1024
MAX_RESPONSE = 6 * 1024 * 1024 + 100
TEXTS = {
    "basic plane": "žluťoučký kůň, Grüße, 漢字かな",
    "beyond it": "😀 \U0001d49c 👩\u200d🚀",
    "combining": "e\u0301 a\u0308\u0323",
    "right to left": "שלום \u200fبيت",
    "line separators": "a\u2028b\u2029c\r\nd\x85e",
    "control characters": "\0\x01\x1b\x7f",
    'quotes "\\/': 'a "quoted" \\ back\\u0041slash /',
}


@pytest.mark.parametrize("escaped", [False, True], ids=["utf-8", "escaped"])
def test_any_text_comes_back_as_it_went(function: Function, *, escaped: bool) -> None:
    answer = function.send(json.dumps(TEXTS, ensure_ascii=escaped).encode())

    assert answer.json() == TEXTS
    assert answer.error is None


@pytest.mark.parametrize("event", [None, True, 0, 1.5, "", [], {}, [{"a": [None]}]])
def test_any_json_comes_back_as_it_went(function: Function, event: object) -> None:
    assert function.invoke(event).json() == event


def test_the_function_is_told_about_its_invocation(function: Function) -> None:
    answer = function.call("context")

    told = answer.fields()
    remaining = told.pop("remaining_ms")
    arn = told.pop("arn")
    name = told.pop("name")
    assert told == {"request_id": answer.request_id, "version": "$LATEST", "memory": 1024}
    assert isinstance(remaining, int)
    assert 0 < remaining <= 60_000
    assert str(arn).startswith("arn:aws:lambda:us-east-1:")
    assert str(arn).endswith(f":function:{name}")


def test_what_the_function_prints_is_in_the_log_tail(function: Function) -> None:
    lines = ["first line", "zweite: größer als 漢 😀"]
    event = {"do": "log", "lines": lines}

    answer = function.send(json.dumps(event, ensure_ascii=False).encode(), tail=True)

    log = (answer.log or b"").decode()
    marks = [f"{word} RequestId: {answer.request_id}" for word in ("START", "END", "REPORT")]
    positions = [log.index(mark) for mark in (marks[0], *lines, *marks[1:])]
    assert positions == sorted(positions)


def test_the_largest_event_arrives(function: Function) -> None:
    frame = len(json.dumps({"do": "size", "value": ""}))
    text = "x" * (MAX_REQUEST - frame)
    payload = json.dumps({"do": "size", "value": text}).encode()

    answer = function.send(payload)

    assert len(payload) == MAX_REQUEST
    assert answer.fields() == {"size": len(text)}


def test_the_largest_response_arrives(function: Function) -> None:
    answer = function.call("big", n=MAX_RESPONSE - 2)

    assert answer.error is None
    assert answer.payload == b'"' + b"x" * (MAX_RESPONSE - 2) + b'"'


def test_a_larger_response_is_an_error_that_the_function_survives(function: Function) -> None:
    answer = function.call("big", n=MAX_RESPONSE - 1)

    assert answer.error == "Unhandled"
    assert answer.fields() == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).",
    }
    # Some clients end at the API's 413: then a fresh start answers.
    assert function.call("count").error is None


def test_an_error_arrives_as_the_client_reports_it(runtime: Runtime, function: Function) -> None:
    before = function.call("count").fields()

    answer = function.call("fail", type="Shortage", message="zu klein: 漢 😀")

    error = answer.fields()
    assert answer.error == "Unhandled"
    assert (error["errorType"], error["errorMessage"]) == ("Shortage", "zu klein: 漢 😀")
    assert isinstance(error[runtime.trace], list)
    assert function.call("count").fields()["process"] == before["process"]


def test_a_crash_is_reported_and_the_next_call_starts_anew(function: Function) -> None:
    before = function.call("count").fields()

    answer = function.call("exit", code=3)

    assert answer.error == "Unhandled"
    assert answer.fields() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {answer.request_id} Error: "
        "Runtime exited with error: exit status 3",
    }
    assert_fresh(function.call("count"), before)


def test_a_thousand_calls_in_a_row_are_served_by_one_environment(function: Function) -> None:
    first = function.call("count", tag=0).fields()

    answers = [function.call("count", tag=tag).fields() for tag in range(1, 1000)]

    assert isinstance(first["count"], int)
    assert answers == [
        {"count": first["count"] + tag, "process": first["process"], "tag": tag}
        for tag in range(1, 1000)
    ]


def test_overlapping_calls_wait_for_the_one_environment(function: Function) -> None:
    answers = overlap(function)

    assert [answer["tag"] for answer in answers] == list(range(50))
    assert len({answer["process"] for answer in answers}) == 1


def test_overlapping_calls_share_several_environments(runtime: Runtime, tmp_path: Path) -> None:
    with emulator(
        [*runtime.command, runtime.kit],
        task_root=runtime.task_root,
        directory=tmp_path,
        environments=4,
    ) as function:
        answers = overlap(function)

    assert [answer["tag"] for answer in answers] == list(range(50))
    assert 1 < len({answer["process"] for answer in answers}) <= 4
    started, ended, reported = (
        re.findall(rf"^{word} RequestId: (\S+)", (tmp_path / "log").read_text(), re.MULTILINE)
        for word in ("START", "END", "REPORT")
    )
    assert len(set(started)) == 50
    assert sorted(started) == sorted(ended) == sorted(reported)


def test_a_timeout_ends_the_call_and_the_next_starts_anew(runtime: Runtime, tmp_path: Path) -> None:
    with emulator(
        [*runtime.command, runtime.kit],
        task_root=runtime.task_root,
        directory=tmp_path,
        timeout=runtime.timeout,
    ) as function:
        before = function.call("count").fields()
        answer = function.call("sleep", ms=600_000)
        after = function.call("count")

    assert answer.error == "Unhandled"
    assert answer.fields() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer.request_id} Error: "
        f"Task timed out after {runtime.timeout}.00 seconds",
    }
    assert_fresh(after, before)


def test_an_init_error_is_the_callers_answer(runtime: Runtime, tmp_path: Path) -> None:
    with emulator(
        [*runtime.command, runtime.broken], task_root=runtime.task_root, directory=tmp_path
    ) as function:
        answers = [function.invoke({}) for _ in range(2)]

    for answer in answers:
        error = answer.fields()
        assert answer.error == "Unhandled"
        assert (error["errorType"], error["errorMessage"]) == ("Broken", "broken while loading")


def overlap(function: Function) -> list[dict[str, object]]:
    """Make fifty calls at once; answers are in the order of their tags."""
    with ThreadPoolExecutor(50) as callers:
        answers = callers.map(lambda tag: function.call("sleep", ms=20, tag=tag), range(50))
        return [answer.fields() for answer in answers]


def assert_fresh(answer: Answer, before: dict[str, object]) -> None:
    assert answer.error is None, answer.payload
    assert answer.fields()["count"] == 1
    assert answer.fields()["process"] != before["process"]
