"""`rie layer` as a process: what it prints, where, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rie.artifacts.tree import scan
from rie.artifacts.writing import write
from rie.commands.layer import COMMANDS
from tests.artifacts.trees import SCRIPT, contents, elf, make, names
from tests.artifacts.zips import MB, Raw, saved, zeros
from tests.support.pipes import read_some
from tests.support.raw_http import LIMIT

RIE = (sys.executable, "-m", "rie")
ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


def rie(folder: Path, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `rie WORDS...` in a folder."""
    return subprocess.run(
        (*RIE, *words),
        cwd=folder,
        env=ENVIRON | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def on_a_terminal(folder: Path, *words: str) -> tuple[int, str]:
    """Run it with a terminal for stdout and stderr; return the exit status and what came."""
    ours, theirs = pty.openpty()
    environ = ENVIRON | {"TERM": "xterm"}
    with subprocess.Popen(
        (*RIE, *words), cwd=folder, env=environ, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO: the other end is closed
            while piece := read_some(ours):
                shown += piece
        os.close(ours)
        return process.wait(LIMIT), shown.decode()


def packed(folder: Path, name: str, files: dict[str, str | bytes]) -> Path:
    write(scan(make(folder / f"of-{name}", files)), folder / name)
    return folder / name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(name: str, tmp_path: Path) -> None:
    result = rie(tmp_path, "layer", name, "--help")

    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: rie layer {name}")
    assert [line for line in result.stdout.splitlines() if len(line) > 80] == []


def test_rie_layer_alone_names_its_commands(tmp_path: Path) -> None:
    result = rie(tmp_path, "layer")

    assert result.returncode == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


def test_a_layer_is_built_and_told_of_in_a_line(tmp_path: Path) -> None:
    make(tmp_path / "a", {"bin/tool*": SCRIPT, "lib/x": "1"})

    result = rie(tmp_path, "layer", "build", "./a", "-o", "a.zip")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("a.zip: 2 files, 11 bytes unzipped, ")
    assert "zipped, CodeSha256 " in result.stdout
    assert result.stdout.count("\n") == 1


def test_two_builds_give_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "a", {"bin/tool*": SCRIPT, "lib/x": "1"})

    rie(tmp_path, "layer", "build", "a", "-o", "1.zip")
    make(tmp_path / "a", {"lib/x": "1"})  # written anew
    rie(tmp_path, "layer", "build", "a", "-o", "2.zip", TZ="Asia/Tokyo")

    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_one_error_is_one_line(tmp_path: Path) -> None:
    make(tmp_path / "a", {"bootstrap": SCRIPT})

    result = rie(tmp_path, "layer", "build", "a", "-o", "a.zip")

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "rie layer build: a: bootstrap: is not executable; "
        "chmod 755 bootstrap, then pack it again\n"
    )
    assert not (tmp_path / "a.zip").exists()


def test_many_errors_are_a_line_each_and_a_last_one(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "bootstrap*": "#!/bin/sh\r\n",
        "extensions/e*": elf(183),
        "lib/l@": "/etc",
        "lib/__pycache__/x.pyc": bytes(16),
    }
    make(tmp_path / "a", files)

    result = rie(tmp_path, "layer", "build", "a", "-o", "a.zip")

    assert (result.returncode, result.stdout) == (2, "")
    assert [line.partition(": ")[::2][0] + " " + line.split(": ")[1]
            for line in result.stderr.splitlines()] == [
        "error bootstrap",
        "error extensions/e",
        "error lib/l",
        "warning lib/__pycache__",
        "rie layer build 3 errors, a.zip is not written",
    ]  # fmt: skip
    assert not (tmp_path / "a.zip").exists()


def test_warnings_go_to_stderr_and_the_layer_is_built(tmp_path: Path) -> None:
    make(tmp_path / "a", {"Python/x.py": "", "bin/t": ""})

    result = rie(tmp_path, "layer", "build", "a", "-o", "a.zip")

    assert result.returncode == 0
    assert result.stderr == "warning: Python: is not found as python; rename it to python\n"
    assert (tmp_path / "a.zip").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build"], "rie layer build: name a folder, or the name of a layer; see --help\n"),
        (["build", ""], "rie layer build: name a folder, or the name of a layer, not ''; see"),
        (["build", "a"], "rie layer build: -o FILE is missing: say what to write\n"),
        (["build", "a", "b", "-o", "x"], "rie layer build: unexpected 'b'; see --help\n"),
        (["build", "a", "-o", "x", "--architecture", "i386"],
         "rie layer build: --architecture 'i386' must be x86_64 or arm64\n"),
        (["build", "a", "-o", "no/x.zip"],
         "rie layer build: no/x.zip cannot be written: there is no folder no; make it first\n"),
        (["build", "a", "-o", "a"],
         "rie layer build: a is the folder to pack: name a file to write, with -o\n"),
        (["build", "./gone", "-o", "x"],
         "rie layer build: gone is not there: name the folder to pack\n"),
        (["inspect"], "rie layer inspect: name an archive; see --help\n"),
        (["inspect", "gone.zip"], "rie layer inspect: gone.zip: No such file or directory\n"),
        (["inspect", "text"], ("rie layer inspect: text is not a zip archive; "
         "make one with `rie layer build` or `rie package`\n")),
        (["merge", "-d", "x"], ("rie layer merge: name the archives, in the order in which they "
         "are laid; see --help\n")),
        (["merge", "text"], "rie layer merge: -d DIR is missing: say what to write\n"),
        (["merge", "text", "-d", "a"],
         "rie layer merge: a exists and is not an empty folder: name another\n"),
        (["merge", *["text"] * 6, "-d", "x"], ("rie layer merge: 6 layers are more than the 5 that "
         "Lambda takes: merge some into one\n")),
        (["build", "n" * 300, "-o", "x"], f"rie layer build: {'n' * 300} is neither a folder nor"),
        (["build", "a", "-o", "n" * 300], f"rie layer build: {'n' * 300}: File name too long\n"),
        (["build", "a", "-o", f"{'n' * 300}/x"], "rie layer build: nnn"),
        (["build", "a", "-o", "loop"], "rie layer build: loop: Too many levels of symbolic links"),
        (["melt"], "rie layer: "),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    make(tmp_path, {"a/bin/t": "", "text": "hello", "loop@": "loop"})
    before = names(tmp_path)

    result = rie(tmp_path, "layer", *words)

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1
    assert names(tmp_path) == before


def test_inspect_shows_a_plain_table_in_a_pipe(tmp_path: Path) -> None:
    packed(tmp_path, "a.zip", {"bootstrap*": SCRIPT, "python/a.py": "", "python/b.py": "",
                               "extensions/watch*": elf()})  # fmt: skip

    result = rie(tmp_path, "layer", "inspect", "a.zip")

    assert (result.returncode, result.stderr) == (0, "")
    rows = dict(line.split("  ", 1) for line in result.stdout.splitlines()[2:])
    assert result.stdout.splitlines()[0] == "a.zip"
    assert rows["contains"].strip() == "python (2), extensions, bootstrap"
    assert rows["extensions"].strip() == "watch"
    assert rows["made for"].strip() == "x86_64 (1)"
    assert rows["unzipped"].strip() == "74 bytes of 250 MB, in 4 files"


def test_inspect_gives_programs_json(tmp_path: Path) -> None:
    path = packed(tmp_path, "a.zip", {"bin/tool*": SCRIPT})
    result = rie(tmp_path, "layer", "inspect", "--json", "a.zip")

    document = json.loads(result.stdout)
    assert document["files"] == 1
    assert document["zipped"] == path.stat().st_size
    assert document["contains"] == {"bin": 1}
    assert document["findings"] == []
    assert document.keys() == {
        "file", "zipped", "unzipped", "files", "sha256", "code_sha256", "contains",
        "extensions", "architectures", "findings",
    }  # fmt: skip


def test_inspect_exits_with_1_for_errors_in_the_archive(tmp_path: Path) -> None:
    packed(tmp_path, "a.zip", {"bootstrap": SCRIPT})
    saved(tmp_path / "b.zip", Raw(name=b"../x"))
    saved(tmp_path / "c.zip", Raw(packed=zeros(10 * 1024), method=8, crc=0, size=5))

    found = {name: rie(tmp_path, "layer", "inspect", name) for name in ("a.zip", "b.zip", "c.zip")}

    assert {each.returncode for each in found.values()} == {1}
    assert "error: bootstrap: is not executable; chmod 755" in found["a.zip"].stdout
    assert "error: ../x: leads out of the archive by `..`" in found["b.zip"].stdout
    assert "c.zip is damaged or a bomb: file holds more than the 5 bytes" in found["c.zip"].stdout


def test_inspect_for_a_machine_says_what_is_made_for_another(tmp_path: Path) -> None:
    packed(tmp_path, "a.zip", {"bin/tool*": elf(62)})

    fits = rie(tmp_path, "layer", "inspect", "a.zip", "--architecture", "x86_64")
    does_not = rie(tmp_path, "layer", "inspect", "a.zip", "--architecture", "arm64")

    assert (fits.returncode, does_not.returncode) == (0, 1)
    assert "bin/tool: is made for x86_64, not for arm64" in does_not.stdout


def test_a_terminal_gets_colours_and_no_progress_is_left_on_it(tmp_path: Path) -> None:
    packed(tmp_path, "a.zip", {"bootstrap": SCRIPT})

    status, shown = on_a_terminal(tmp_path, "layer", "inspect", "a.zip")

    assert status == 1
    assert "\x1b[31merror\x1b[0m: bootstrap" in shown
    before, cleared, table = shown.rpartition("\r\x1b[K")
    assert cleared
    assert table.startswith("a.zip\r\n")
    assert "a.zip" not in before


def test_layers_are_merged_later_ones_winning(tmp_path: Path) -> None:
    packed(tmp_path, "1.zip", {"bin/a*": SCRIPT, "both": "1"})
    packed(tmp_path, "2.zip", {"both": "2"})

    result = rie(tmp_path, "layer", "merge", "1.zip", "2.zip", "-d", "opt")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "opt: 2 layers, 11 bytes\n"
    assert contents(tmp_path / "opt") == {
        "bin": ("folder", 0o755, b""),
        "bin/a": ("file", 0o755, SCRIPT.encode()),
        "both": ("file", 0o644, b"2"),
    }


def test_a_bomb_is_not_merged_and_leaves_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "a.zip", Raw(packed=zeros(10 * 1024), method=8, crc=0, size=200 * MB))

    result = rie(tmp_path, "layer", "merge", "a.zip", "-d", "opt")

    assert result.returncode == 2
    assert result.stderr == (
        "rie layer merge: a.zip is damaged or a bomb: file holds more than the 200 MB that it "
        "says; make it anew\n"
    )
    assert names(tmp_path) == ["a.zip"]
