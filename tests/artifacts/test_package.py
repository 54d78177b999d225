"""Deployment packages: a folder's code, with what pip installs for Lambda's platform."""

from __future__ import annotations

import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.package import LEFT_OUT, Requirements, package
from rie.artifacts.packing import Packed, Packing
from rie.artifacts.programs import Architecture
from tests.artifacts.trees import SCRIPT, elf, make, names
from tests.artifacts.wheels import wheel

APP: dict[str, str | bytes] = {"app.py": "def handler(event, context):\n    return event\n"}


def made(
    tmp_path: Path,
    required: str,
    *,
    exclude: tuple[str, ...] = (),
    architecture: Architecture = "x86_64",
    python: str = "3.11",
    **variables: str,
) -> Packed:
    """Package the folder `code` with requirements from the wheels in `wheels`, without network."""
    (tmp_path / "requirements.txt").write_text(required)
    local = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_NO_CACHE_DIR": "1",
    }
    packing = Packing(
        target=tmp_path / "a.zip",
        exclude=exclude,
        architecture=architecture,
        environ={**os.environ, **local, **variables},
    )
    code = tmp_path / "code"
    if not code.exists():
        make(code, APP)
    return package(code, packing, Requirements(path=tmp_path / "requirements.txt", python=python))


def entries(tmp_path: Path) -> list[str]:
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


def content(tmp_path: Path, name: str) -> bytes:
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        return archive.read(name)


def test_code_is_packed_without_what_is_of_no_use_to_it(tmp_path: Path) -> None:
    unwanted: dict[str, str | bytes] = {f"{name.replace('*/', 'web/')}/x": "" for name in LEFT_OUT}
    more: dict[str, str | bytes] = {
        "env/pyvenv.cfg": "",
        "env/lib/x.py": "",
        "pkg/__pycache__/x.pyc": "",
        "node_modules/x/index.js": "",
        "pkg/venv.py": "",
    }
    folder = make(tmp_path / "code", APP | unwanted | more)

    package(folder, Packing(target=tmp_path / "a.zip"))

    assert entries(tmp_path) == ["app.py", "node_modules/x/index.js", "pkg/venv.py"]


def test_requirements_are_beside_the_code(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "outer", {"outer/__init__.py": b"x = 1\n"}, requires=("inner",))
    wheel(tmp_path / "wheels", "inner", {"inner.py": b""})

    result = made(tmp_path, "outer==1.0\n")

    assert entries(tmp_path) == [
        "app.py",
        "inner-1.0.dist-info/METADATA",
        "inner-1.0.dist-info/RECORD",
        "inner-1.0.dist-info/WHEEL",
        "inner.py",
        "outer-1.0.dist-info/METADATA",
        "outer-1.0.dist-info/RECORD",
        "outer-1.0.dist-info/WHEEL",
        "outer/__init__.py",
    ]
    assert result.findings == ()
    assert names(tmp_path / "code") == ["app.py"]


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", 62), ("arm64", 183)])
def test_wheels_are_those_of_lambdas_platform_whatever_this_one_is(
    tmp_path: Path, architecture: Architecture, machine: int
) -> None:
    for name, number in (("x86_64", 62), ("aarch64", 183)):
        tag = f"cp39-abi3-manylinux_2_17_{name}.manylinux2014_{name}"
        wheel(tmp_path / "wheels", "native", {"native.abi3.so": elf(number)}, tag=tag)

    made(tmp_path, "native\n", architecture=architecture)

    assert content(tmp_path, "native.abi3.so") == elf(machine)


@pytest.mark.parametrize(
    ("python", "tags"),
    [
        ("3.11", ["cp311-cp311-manylinux_2_26_x86_64", "cp311-cp311-manylinux1_x86_64"]),
        ("3.12", ["cp312-cp312-manylinux_2_34_x86_64", "cp38-abi3-manylinux2010_x86_64"]),
    ],
)
def test_wheels_that_lambda_can_load_are_taken(
    tmp_path: Path, python: str, tags: list[str]
) -> None:
    for number, tag in enumerate(tags):
        wheel(tmp_path / "wheels", f"native{number}", {f"native{number}.py": b""}, tag=tag)

    made(tmp_path, "native0\nnative1\n", python=python)

    assert {"native0.py", "native1.py"} <= set(entries(tmp_path))


def test_wheels_that_lambda_could_not_load_are_none(tmp_path: Path) -> None:
    for tag in (
        "cp311-cp311-manylinux_2_28_x86_64",  # Amazon Linux 2 has glibc 2.26
        "cp310-cp310-manylinux2014_x86_64",
        "cp311-cp311-manylinux2014_aarch64",
        "cp311-cp311-musllinux_1_1_x86_64",
        "cp311-cp311-macosx_11_0_arm64",
        "cp311-cp311-win_amd64",
    ):
        wheel(tmp_path / "wheels", "native", {"native.py": b""}, tag=tag)

    with pytest.raises(BuildError, match="No matching distribution found for native"):
        made(tmp_path, "native")


def test_the_same_requirements_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = wheel(tmp_path / "elsewhere", "local", {"local.py": b""}, commands=("local",))
    wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""}, commands=("pkg", "pkg-more"))
    required = f"pkg\n{local}\n"

    first = made(tmp_path, required)
    before = os.umask(0o077)
    try:
        monkeypatch.setenv("TMPDIR", str(make(tmp_path / "another place", {})))
        second = made(tmp_path, required, TMPDIR=str(tmp_path / "another place"), HOME="/")
    finally:
        os.umask(before)

    assert first.sha256 == second.sha256


def test_nothing_tells_of_this_machine(tmp_path: Path) -> None:
    files = {
        "pkg.py": b"",
        "pkg-1.0.data/scripts/by-python": b"#!python\nprint()\n",
        "pkg-1.0.data/scripts/by-shell": b"#!/bin/sh\n",
        "pkg-1.0.data/scripts/by-any-python": b"#!/usr/bin/env python3\n",
    }
    local = wheel(tmp_path / "wheels", "pkg", files, commands=("pkg",))

    made(tmp_path, f"{local}\n")

    assert [name for name in entries(tmp_path) if "pkg.py" not in name] == [
        "app.py",
        "bin/by-any-python",
        "bin/by-shell",
        "pkg-1.0.dist-info/METADATA",
        "pkg-1.0.dist-info/RECORD",
        "pkg-1.0.dist-info/WHEEL",
        "pkg-1.0.dist-info/entry_points.txt",
    ]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
        assert stat.S_IMODE(archive.getinfo("bin/by-shell").external_attr >> 16) == 0o755
    for trace in (str(tmp_path), sys.executable, "direct_url", "INSTALLER", "by-python,"):
        assert trace.encode() not in everything


def test_the_record_names_what_is_there(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""}, commands=("pkg",))

    made(tmp_path, "pkg\n")

    record = content(tmp_path, "pkg-1.0.dist-info/RECORD").decode().splitlines()
    recorded = {line.partition(",")[0] for line in record}
    assert recorded == {name for name in entries(tmp_path) if name.startswith("pkg")}


def test_the_code_wins_and_says_so(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "app", {"app.py": b"theirs", "other.py": b""})

    result = made(tmp_path, "app\n")

    assert content(tmp_path, "app.py").startswith(b"def handler")
    assert "other.py" in entries(tmp_path)
    assert [str(each) for each in result.findings] == [
        "app.py: is in the folder and in the requirements too; the folder's is in"
    ]


def test_patterns_leave_out_of_requirements_too(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "pkg", {"pkg/a.py": b"", "pkg/tests/b.py": b""})

    result = made(tmp_path, "pkg\n", exclude=("*.dist-info", "pkg/tests"))

    assert entries(tmp_path) == ["app.py", "pkg/a.py"]
    assert result.findings == ()


def test_a_requirement_that_is_not_there_is_told_with_pips_reason(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()

    with pytest.raises(BuildError) as caught:
        made(tmp_path, "no-such-package==9\n")

    assert str(caught.value) == (
        f"{tmp_path}/requirements.txt cannot be installed: Could not find a version that satisfies "
        "the requirement no-such-package==9 (from versions: none); No matching distribution found "
        "for no-such-package==9 (wheels for CPython 3.11 on Lambda's Linux, x86_64, are asked for)"
    )
    assert not (tmp_path / "a.zip").exists()


def test_a_line_that_pip_cannot_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"cannot be installed: Invalid requirement"):
        made(tmp_path, "what is this\n")


def test_a_requirements_file_that_is_missing_is_told(tmp_path: Path) -> None:
    folder = make(tmp_path / "code", APP)

    with pytest.raises(BuildError, match=r"none\.txt: No such file or directory"):
        package(
            folder, Packing(target=tmp_path / "a.zip"), Requirements(path=tmp_path / "none.txt")
        )


def test_variables_of_pip_do_not_lead_the_packages_elsewhere(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""})
    elsewhere = str(tmp_path / "elsewhere")

    made(tmp_path, "pkg\n", PIP_TARGET=elsewhere, PIP_USER="1", PIP_PREFIX=elsewhere,
         PIP_DRY_RUN="1", PIP_NO_BINARY=":all:")  # fmt: skip

    assert "pkg.py" in entries(tmp_path)
    assert not Path(elsewhere).exists()


def test_the_current_folders_modules_are_not_pips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""})
    monkeypatch.chdir(make(tmp_path / "here", {"types.py": "1/0", "pip.py": "1/0"}))

    made(tmp_path, "pkg\n")

    assert "pkg.py" in entries(tmp_path)


def test_without_a_pip_of_its_own_the_one_on_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "pkg", {"pkg.py": b""})
    make(tmp_path / "bin", {"pip3*": f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n'})
    monkeypatch.setattr(sys, "executable", without_pip(tmp_path))

    made(tmp_path, "pkg\n", PATH=f"{tmp_path}/bin:{os.environ['PATH']}")

    assert "pkg.py" in entries(tmp_path)


def test_without_any_pip_there_is_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = without_pip(tmp_path)
    monkeypatch.setattr(sys, "executable", python)

    with pytest.raises(BuildError) as caught:
        made(tmp_path, "pkg\n", PATH=str(tmp_path))

    assert str(caught.value) == (
        "there is no pip to install requirements with: "
        f"`{python} -m ensurepip`, or install pip and have it on PATH"
    )


def without_pip(tmp_path: Path) -> str:
    """Return an interpreter like ours that has no pip."""
    make(tmp_path, {"python*": f'#!/bin/sh\nexec {sys.executable} -S "$@"\n'})
    return str(tmp_path / "python")


def test_a_bootstrap_must_be_executable(tmp_path: Path) -> None:
    folder = make(tmp_path / "code", {"bootstrap": SCRIPT})

    with pytest.raises(BuildError, match="bootstrap: is not executable"):
        package(folder, Packing(target=tmp_path / "a.zip"))
