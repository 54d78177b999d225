"""What the bootstrap changes in its process is undone after each test that runs it in ours."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from bootstrap import logs


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logs, "LOG", logs.Log())
    before = logging.Formatter.converter
    root = logging.getLogger()
    handlers, level, meta_path = root.handlers[:], root.level, sys.meta_path[:]
    yield
    root.handlers[:], root.level, sys.meta_path[:] = handlers, level, meta_path
    logging.Formatter.converter = before
