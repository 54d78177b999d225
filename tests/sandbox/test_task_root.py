"""The function's code at /var/task: which folder it is, also when a build replaces it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulator import scripted_function


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that is not below /tmp, of which a function has its own."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="task-root-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_a_build_has_put_in_its_place_is_what_the_next_runtime_finds(
    home: Path,
) -> None:
    code = home / "dist"
    code.mkdir()
    (code / "version").write_text("1")
    with scripted_function(task_root=code, timeout=60) as function:
        first = function.runtime()
        assert first.read_file(Path("/var/task/version")) == "1"
        shutil.rmtree(code)
        code.mkdir()
        (code / "version").write_text("2")
        call = function.call()
        first.next()
        first.exit(1)
        call.read_response()

        function.call()
        second = function.runtime()

        assert second.read_file(Path("/var/task/version")) == "2"


def test_what_changes_in_it_is_seen_at_once(home: Path) -> None:
    with scripted_function(task_root=home, timeout=60) as function:
        runtime = function.runtime()

        (home / "new").write_text("here")

        assert runtime.read_file(Path("/var/task/new")) == "here"
