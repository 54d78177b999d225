"""What every shipped layer's build has to do: the same bytes, for both architectures, or a word."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.layers.built import ARCHITECTURE, LAYERS, build, built, contents
from tests.real.runtimes import require

NAMES = ("exec", "http", "python", "shell")
GO_NAMES = ("exec", "http")
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
MIB = 1024 * 1024


def attempt(name: str, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAYERS / name / "build", *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_same_sources_make_the_same_bytes(tmp_path: Path, name: str) -> None:
    built(name)  # for the tools that it needs

    build(name, tmp_path / "here")
    (tmp_path / "deeper").mkdir()
    build(name, tmp_path / "deeper/and elsewhere")

    assert contents(tmp_path / "here") == contents(tmp_path / "deeper/and elsewhere")


@pytest.mark.parametrize("name", NAMES)
def test_the_bootstrap_is_executable_and_everything_can_be_read(name: str) -> None:
    modes = {path: mode & 0o777 for path, (mode, _) in contents(built(name)).items()}

    assert modes.pop("bootstrap") == 0o755
    assert set(modes.values()) <= {0o644}


@pytest.mark.parametrize("name", GO_NAMES)
def test_a_program_is_static_small_and_for_its_machine(name: str) -> None:
    program = (built(name) / "bootstrap").read_bytes()

    assert program[:4] == b"\x7fELF"
    assert int.from_bytes(program[18:20], "little") == MACHINES[ARCHITECTURE]
    assert b"/lib64/ld-linux" not in program
    assert str(LAYERS).encode() not in program
    assert len(program) < 10 * MIB


@pytest.mark.matrix
@pytest.mark.parametrize("name", GO_NAMES)
@pytest.mark.parametrize("architecture", MACHINES)
def test_a_program_is_built_for_the_other_machine_too(
    tmp_path: Path, name: str, architecture: str
) -> None:
    require("go")

    build(name, tmp_path, architecture)

    program = (tmp_path / "bootstrap").read_bytes()
    assert int.from_bytes(program[18:20], "little") == MACHINES[architecture]


@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    ended = attempt(name, tmp_path / "out", "sparc")

    assert ended.returncode == 2
    assert ended.stderr == f"layers/{name}/build: no architecture sparc: x86_64 or arm64\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_build_says_how_it_is_used(name: str) -> None:
    ended = attempt(name)

    assert (ended.returncode, ended.stderr) == (2, "usage: build OUT_DIR x86_64|arm64\n")


def path_with(folder: Path, go: str) -> str:
    """Make a PATH whose go is a script of ours; without one it has none."""
    folder.mkdir()
    if go:
        (folder / "go").write_text(go)
        (folder / "go").chmod(0o755)
    for program in ("sh", "dirname", "basename", "mkdir"):
        (folder / program).symlink_to(f"/usr/bin/{program}")
    return str(folder)


@pytest.mark.parametrize(
    ("go", "says"),
    [
        ("", "there is no go on PATH: install Go 1.19 or newer (Debian: golang-go)"),
        ("#!/bin/sh\necho go1.18.10\n", "go1.18.10 is too old: install Go 1.19 or newer"),
    ],
)
def test_without_its_toolchain_a_build_says_what_to_install(
    tmp_path: Path, go: str, says: str
) -> None:
    path = path_with(tmp_path / "bin", go)

    ended = attempt("exec", tmp_path / "out", ARCHITECTURE, PATH=path)

    assert (ended.returncode, ended.stderr) == (1, f"layers/exec/build: {says}\n")


def test_the_go_sources_pass_their_own_tests() -> None:
    require("go")
    variables = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOPROXY": "off"}

    for command in (["go", "vet", "./..."], ["go", "test", "./..."]):
        ended = subprocess.run(
            command, cwd=LAYERS, env=variables, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_go_sources_are_formatted() -> None:
    require("gofmt")

    listed = subprocess.run(["gofmt", "-l", LAYERS], capture_output=True, text=True, check=True)

    assert listed.stdout == ""
