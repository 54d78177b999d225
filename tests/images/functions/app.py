"""A function for tests in containers: the event says what it is to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Event = dict[str, Any]

MB = 1024 * 1024


def handler(event: Event, _: object) -> object:
    return globals()[event["do"]](event)


def echo(event: Event) -> Event:
    return event


def about(_: Event) -> Event:
    return {
        "version": list(sys.version_info[:2]),
        "executable": sys.executable,
        "ids": [os.getuid(), os.getgid()],
        "cwd": str(Path.cwd()),
        "variables": dict(os.environ),
    }


def which(event: Event) -> list[str | None]:
    return [shutil.which(name) for name in event["names"]]


def greet(event: Event) -> object:
    import greeting  # type: ignore[import-not-found]  # noqa: PLC0415 - a package that is there for one test

    return greeting.greet(event["name"])


def layer(_: Event) -> list[str]:
    import both  # type: ignore[import-not-found]  # noqa: PLC0415 - as above
    import one  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    return [both.where, one.where]


def run(event: Event) -> str:
    return subprocess.run(event["command"], capture_output=True, text=True, check=True).stdout


def fail(_: Event) -> None:
    raise KeyError("漢")


def write(event: Event) -> str:
    file = Path(event["file"])
    file.write_text("written")
    return file.read_text()


def read(event: Event) -> str:
    return Path(event["file"]).read_text()


def fill(event: Event) -> object:
    path = Path(event["file"])
    try:
        with path.open("wb") as file:
            file.writelines(bytes(MB) for _ in range(event["mb"]))
    finally:
        path.unlink()
    return event["mb"]


def take(event: Event) -> int:
    return len([bytearray(b"x") * MB for _ in range(event["mb"])])


def sleep(_: Event) -> None:
    say({"text": "sleeping"})
    time.sleep(600)


def say(event: Event) -> None:
    sys.stdout.write(f"{event['text']}\n")
