"""What the functions of the official emulator's own end-to-end tests do."""

from __future__ import annotations

import os
import time


def variable(event: dict, _context: object) -> object:
    return os.environ.get(event["name"])


def arn(_event: object, context: object) -> object:
    return context.invoked_function_arn


def name(_event: object, context: object) -> object:
    return context.function_name


def exception(_event: object, _context: object) -> object:
    raise RuntimeError("Raising an exception")


def remaining_after_a_second(_event: object, context: object) -> object:
    start = time.monotonic()
    time.sleep(1)
    elapsed = (time.monotonic() - start) * 1000
    return {"elapsed": elapsed, "remaining": context.get_remaining_time_in_millis()}


def too_long(_event: object, _context: object) -> object:
    time.sleep(600)


def client_context(_event: object, context: object) -> object:
    return context.client_context.custom
