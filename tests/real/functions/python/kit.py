"""The kit of tests/real in Python: `handler` does what the event asks for."""

from __future__ import annotations

import sys
import time
import uuid

STATE = {"count": 0}
PROCESS = str(uuid.uuid4())  # a process id would be the same in every environment


def handler(event: object, context: object) -> object:
    if not isinstance(event, dict) or "do" not in event:
        return event
    return DO[event["do"]](event, context)


def count(event: dict, _context: object) -> object:
    STATE["count"] += 1
    return {"count": STATE["count"], "process": PROCESS, "tag": event.get("tag")}


def context_info(_event: dict, context: object) -> object:
    return {
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "name": context.function_name,
        "version": context.function_version,
        "memory": int(context.memory_limit_in_mb),
    }


def fail(event: dict, _context: object) -> object:
    raise type(event["type"], (Exception,), {})(event["message"])


def sleep(event: dict, context: object) -> object:
    time.sleep(event["ms"] / 1000)
    return count(event, context)


def leave(event: dict, _context: object) -> object:
    sys.exit(event["code"])


def log(event: dict, _context: object) -> object:
    for line in event["lines"]:
        print(line)  # noqa: T201


DO = {
    "count": count,
    "context": context_info,
    "fail": fail,
    "sleep": sleep,
    "exit": leave,
    "size": lambda event, _context: {"size": len(event["value"])},
    "big": lambda event, _context: "x" * event["n"],
    "log": log,
}
