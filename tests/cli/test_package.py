"""`rie package` as a process: what it prints, where, and its exit status."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from rie.artifacts.limits import MB
from tests.artifacts.trees import SCRIPT, make, names
from tests.artifacts.wheels import wheel
from tests.cli.test_layer import on_a_terminal, rie

APP: dict[str, str | bytes] = {"app.py": "import pkg\n"}


def entries(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


def test_help_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    result = rie(tmp_path, "package", "--help")

    assert result.returncode == 0
    assert result.stdout.startswith("usage: rie package DIR -o FILE")
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_code_and_requirements_are_packed(tmp_path: Path) -> None:
    make(tmp_path / "src", APP | {".git/HEAD": "", "notes.md": ""})
    wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""})
    (tmp_path / "requirements.txt").write_text("pkg\n")

    result = rie(
        tmp_path, "package", "src", "-r", "requirements.txt", "-o", "f.zip", "--exclude=*.md",
        PIP_NO_INDEX="1", PIP_FIND_LINKS="wheels",
    )  # fmt: skip

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("f.zip: 5 files, ")
    assert entries(tmp_path / "f.zip") == [
        "app.py",
        *(f"pkg-1.0.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL")),
        "pkg.py",
    ]


def test_the_current_folder_can_be_packed_into_itself(tmp_path: Path) -> None:
    make(tmp_path, APP)

    first = rie(tmp_path, "package", ".", "-o", "f.zip")
    second = rie(tmp_path, "package", ".", "-o", "f.zip")

    assert first.stdout == second.stdout
    assert entries(tmp_path / "f.zip") == ["app.py"]


def test_more_than_50_mb_zipped_is_a_warning(tmp_path: Path) -> None:
    make(tmp_path / "src", {"app.py": "", "model.bin": os.urandom(51 * MB)})

    result = rie(tmp_path, "package", "src", "-o", "f.zip")

    assert result.returncode == 0
    assert result.stderr == (
        "warning: is 51 MB zipped, more than the 50 MB of an upload; "
        "give it to Lambda by way of S3\n"
    )


def test_more_than_250_mb_unzipped_is_an_error(tmp_path: Path) -> None:
    make(tmp_path / "src", {"app.py": "1"})
    with (tmp_path / "src/big").open("wb") as file:
        file.truncate(250 * MB)

    result = rie(tmp_path, "package", "src", "-o", "f.zip")

    assert result.returncode == 2
    assert "is 250 MB unzipped, Lambda takes at most 250 MB; leave out" in result.stderr
    assert names(tmp_path) == ["src", "src/app.py", "src/big"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name the folder of the function's code; see --help"),
        (["src"], "-o FILE is missing: say what to write"),
        (["src", "-o", "f", "--python", "2.7"],
         "--python '2.7' must be a version of Python, such as 3.11"),
        (["src", "-o", "f", "--python", "3.11"], "--python says nothing without -r FILE"),
        (["src", "-o", "f", "-r", "none.txt"], "none.txt: No such file or directory"),
        (["empty", "-o", "f"], "empty: there is nothing in it; put files into the folder"),
        (["src/app.py", "-o", "f"], "src/app.py is not a folder: name the folder to pack"),
        (["closed", "-o", "f"], ("closed: bootstrap: is not executable; "
         "chmod 755 bootstrap, then pack it again")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    make(tmp_path, {"src/app.py": "", "closed/bootstrap": SCRIPT})
    (tmp_path / "empty").mkdir()
    before = names(tmp_path)

    result = rie(tmp_path, "package", *words)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"rie package: {said}\n"
    assert names(tmp_path) == before


def test_a_terminal_is_shown_that_requirements_are_installed(tmp_path: Path) -> None:
    make(tmp_path / "src", APP)
    local = wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""})
    (tmp_path / "requirements.txt").write_text(f"{local}\n")

    status, shown = on_a_terminal(
        tmp_path, "package", "src", "-r", "requirements.txt", "-o", "f.zip"
    )

    assert status == 0
    assert "installing requirements.txt ..." in shown
    assert shown.rpartition("\r\x1b[K")[2].startswith("f.zip: 5 files")


def test_the_digest_is_the_one_that_inspect_shows(tmp_path: Path) -> None:
    make(tmp_path / "src", APP)

    told = rie(tmp_path, "package", "src", "-o", "f.zip").stdout
    found = json.loads(rie(tmp_path, "layer", "inspect", "f.zip", "--json").stdout)

    assert told.split()[-1] == found["code_sha256"]
