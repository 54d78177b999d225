"""The function that the Python clients run: it echoes, and waits first when it is asked to."""

import time


def handler(event: list[str], _context: object) -> list[str]:
    """Return the event; one that starts with `hold N ` takes N ms."""
    if event[0].startswith("hold "):
        time.sleep(int(event[0].split(maxsplit=2)[1]) / 1000)
    return event
