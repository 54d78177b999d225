"""What Lambda would not take, or could not run: each with its file and its remedy."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from rie.artifacts import checks
from rie.artifacts.checks import Wanted, What, architectures, check
from rie.artifacts.findings import Finding
from rie.artifacts.limits import MB
from rie.artifacts.programs import Architecture
from rie.artifacts.tree import scan
from tests.artifacts.trees import SCRIPT, elf, make
from tests.support.ordinary_user import as_nobody
from tests.support.rie_process import needs_root

GOOD: dict[str, str | bytes] = {
    "bootstrap*": SCRIPT,
    "extensions/watch*": "#!/usr/bin/env bash\n",
    "bin/tool*": elf(),
    "lib/x.so.1": elf(),
    "lib/x.so@": "x.so.1",
    "python/mod.py": "",
}


def found(
    folder: Path,
    files: dict[str, str | bytes],
    what: What = "layer",
    architecture: Architecture | None = "x86_64",
) -> list[Finding]:
    return check(scan(make(folder, files)), Wanted(what, architecture))


def said(findings: list[Finding]) -> list[str]:
    return [f"{each.severity}: {each}" for each in findings]


def test_a_good_layer_has_no_findings(tmp_path: Path) -> None:
    assert said(found(tmp_path, GOOD)) == []


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert said(found(tmp_path, {})) == ["error: there is nothing in it; put files into the folder"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"bootstrap": SCRIPT},
            "bootstrap: is not executable; chmod 755 bootstrap, then pack it again",
        ),
        (
            {"extensions/a": elf()},
            "extensions/a: is not executable; chmod 755 extensions/a, then pack it again",
        ),
        (
            {"bootstrap*": "#!/bin/sh\r\necho\r\n"},
            (
                "bootstrap: has Windows line ends (CRLF), so that its interpreter is not found; "
                "sed -i 's/\\r$//' bootstrap"
            ),
        ),
        (
            {"extensions/a*": "#!/usr/bin/env node\r\n"},
            (
                "extensions/a: has Windows line ends (CRLF), so that its interpreter is not found; "
                "sed -i 's/\\r$//' extensions/a"
            ),
        ),
        (
            {"bin/a*": "#!/bin/sh\r\n"},
            (
                "bin/a: has Windows line ends (CRLF), so that its interpreter is not found; "
                "sed -i 's/\\r$//' bin/a"
            ),
        ),
        (
            {"bootstrap*": "echo\n"},
            (
                "bootstrap: is neither a Linux program nor a script with a #! line; "
                "write the interpreter into its first line: #!/bin/sh"
            ),
        ),
        (
            {"bootstrap*": "#!\n"},
            "bootstrap: has a #! line without an interpreter; name one: #!/bin/sh",
        ),
        (
            {"bootstrap*": ""},
            "bootstrap: is empty, Lambda could not start it; put the program into it",
        ),
        (
            {"bootstrap*": elf(183)},
            (
                "bootstrap: is made for arm64, not for x86_64; "
                "build it for x86_64, leave it out (--exclude) or say --architecture arm64"
            ),
        ),
        (
            {"bin/a*": elf(3, 1)},
            (
                "bin/a: is made for 32-bit x86, not for x86_64; "
                "build it for x86_64, leave it out (--exclude)"
            ),
        ),
        (
            {"lib/a.so.2": elf(183)},
            (
                "lib/a.so.2: is made for arm64, not for x86_64; "
                "build it for x86_64, leave it out (--exclude) or say --architecture arm64"
            ),
        ),
        (
            {"bootstrap*": b"\xcf\xfa\xed\xfe" + bytes(40)},
            (
                "bootstrap: is made for macOS, not for x86_64; "
                "build it for x86_64, leave it out (--exclude)"
            ),
        ),
        (
            {"extensions/a.exe*": b"MZ" + bytes(40)},
            (
                "extensions/a.exe: is made for Windows, not for x86_64; "
                "build it for x86_64, leave it out (--exclude)"
            ),
        ),
        (
            {"bin/passwd@": "/etc/passwd"},
            (
                "bin/passwd: is a symbolic link out of the folder, to /etc/passwd; "
                "link to a file inside by a relative path, or copy the file in"
            ),
        ),
        (
            {"bin/up@": "../../x"},
            (
                "bin/up: is a symbolic link out of the folder, to ../../x; "
                "link to a file inside by a relative path, or copy the file in"
            ),
        ),
        ({"lib/a\\b": ""}, "lib/a\\b: has a backslash in its name; rename it"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_it_is_an_error(tmp_path: Path, files: dict[str, str | bytes], expected: str) -> None:
    assert said(found(tmp_path, files)) == [f"error: {expected}"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"src/a.py": ""},
            (
                "has none of python, nodejs, java, ruby, bin, lib, extensions, bootstrap at its "
                "top, where it is /opt; runtimes find nothing in it unless told: see docs/layers.md"
            ),
        ),
        (
            {"my-layer/python/a.py": ""},
            "my-layer: is the only thing at the top; pack the folder my-layer itself",
        ),
        ({"Python/a.py": "", "lib/b": ""}, "Python: is not found as python; rename it to python"),
        (
            {"python": "", "lib/b": ""},
            "python: is a file, where a folder is looked for; make it a folder",
        ),
        (
            {"python/__pycache__/a.pyc": bytes(16), "python/b/__pycache__/c.pyc": bytes(16)},
            (
                "python/__pycache__: has what Python compiled, for files of another time (and 1 "
                "more), and would not use; "
                "leave it out, or compile with --invalidation-mode unchecked-hash"
            ),
        ),
        ({"lib/.git/HEAD": ""}, "lib/.git: is a repository's history; leave it out"),
        (
            {"lib/l@": "other"},
            (
                "lib/l: is a symbolic link to other, which is not there; "
                "put it in, unless another layer has it"
            ),
        ),
        (
            {"lib/l@": "l"},
            (
                "lib/l: is a symbolic link to l, which is not there; "
                "put it in, unless another layer has it"
            ),
        ),
        (
            {"python/tool*": "#!/home/me/.venv/bin/python\n"},
            (
                "python/tool: is for the interpreter /home/me/.venv/bin/python, which Lambda does "
                "not have; name one that is there: #!/usr/bin/env NAME"
            ),
        ),
        (
            {"python/deep/tool*": "#!/bin/sh\r\n"},
            (
                "python/deep/tool: has Windows line ends (CRLF), so that its interpreter is not "
                "found; sed -i 's/\\r$//' python/deep/tool"
            ),
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_it_is_a_warning(tmp_path: Path, files: dict[str, str | bytes], expected: str) -> None:
    assert said(found(tmp_path, files)) == [f"warning: {expected}"]


@pytest.mark.parametrize(
    "files",
    [
        {"python/a.py*": "import os\n"},  # executable by accident, and started by nobody
        {"python/pkg/mac.so": b"\xcf\xfa\xed\xfe" + bytes(40)},  # wheels carry such along
        {"python/__pycache__/by_hash.pyc": b"\xa7\r\r\n\x01\0\0\0" + bytes(8)},
        {"python/pkg/cli.exe*": b"MZ" + bytes(40)},
        {"java/lib/A.class*": b"\xca\xfe\xba\xbe" + bytes(40)},
        {"lib/data.bin": elf(183)},  # neither executable nor a library
        {"extensions/lib/notes.txt": "not started: it is a folder further down"},
    ],
    ids=lambda value: next(iter(value)),
)
def test_it_is_nothing_to_speak_of(tmp_path: Path, files: dict[str, str | bytes]) -> None:
    assert said(found(tmp_path, files)) == []


def test_everything_is_found_at_once_errors_first(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "bootstrap": "#!/bin/sh\r\n",
        "extensions/a*": elf(183),
        "lib/out@": "/x",
        "python/__pycache__/a.pyc": bytes(16),
    }

    findings = found(tmp_path, files)

    assert [(each.severity, each.path) for each in findings] == [
        ("error", "bootstrap"),
        ("error", "bootstrap"),
        ("error", "extensions/a"),
        ("error", "lib/out"),
        ("warning", "python/__pycache__"),
    ]


def test_arm64_is_as_good_where_it_is_asked_for(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"bootstrap*": elf(183), "lib/a.so": elf(62)}

    findings = found(tmp_path, files, architecture="arm64")

    assert [each.path for each in findings] == ["lib/a.so"]
    assert "made for x86_64, not for arm64" in str(findings[0])


def test_where_any_machine_is_right_two_are_still_told_of(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"bin/a*": elf(183), "bin/b*": elf(62)}

    assert said(found(tmp_path, files, architecture=None)) == [
        (
            "warning: has programs for several machines: bin/a for arm64, bin/b for x86_64; "
            "make one archive for each"
        )
    ]


def test_a_real_program_is_known_for_what_it_is(tmp_path: Path) -> None:
    make(tmp_path, {"bin/x": ""})
    shutil.copy(os.path.realpath(sys.executable), tmp_path / "bin/python")

    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    assert architectures(scan(tmp_path)) == {machine: 1}


def test_a_functions_code_has_no_extensions_and_no_layout(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"app.py": "", "extensions/a": "notes"}

    assert said(found(tmp_path, files, "package")) == []


def test_a_functions_bootstrap_must_be_executable(tmp_path: Path) -> None:
    [finding] = found(tmp_path, {"bootstrap": SCRIPT}, "package")

    assert str(finding).startswith("bootstrap: is not executable")


def test_more_than_250_mb_are_an_error_that_names_the_largest(tmp_path: Path) -> None:
    make(tmp_path, {"lib/small": "1", "lib/big": "", "lib/bigger": ""})
    os.truncate(tmp_path / "lib/big", 100 * MB)
    os.truncate(tmp_path / "lib/bigger", 150 * MB)

    assert said(found(tmp_path, {})) == [
        (
            "error: is 250 MB unzipped, Lambda takes at most 250 MB; leave out what is not needed "
            "at run time; the largest: lib/bigger 150 MB, lib/big 100 MB, lib/small 1 byte"
        )
    ]


def test_too_many_files_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ENTRIES", 3)

    assert said(found(tmp_path, {"lib/a": "", "lib/b": "", "lib/c": ""})) == [
        "error: has 4 files and folders, at most 3 can be; leave some out"
    ]


def test_exactly_250_mb_are_right(tmp_path: Path) -> None:
    make(tmp_path, {"lib/big": ""})
    os.truncate(tmp_path / "lib/big", 250 * MB)

    assert said(found(tmp_path, {})) == []


def test_sockets_and_pipes_are_errors(tmp_path: Path) -> None:
    make(tmp_path, {"lib/a": ""})
    os.mkfifo(tmp_path / "lib/pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "lib/socket"))

        assert said(found(tmp_path, {})) == [
            f"error: lib/{name}: is a device, a pipe or a socket; leave it out"
            for name in ("pipe", "socket")
        ]


def test_a_name_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/lib/\xff"))).touch()

    assert said(found(tmp_path, {})) == [
        "error: 'lib/\\udcff': has a name that is not UTF-8; rename it"
    ]


def test_what_others_cannot_read_is_a_warning(tmp_path: Path) -> None:
    make(tmp_path, {f"lib/{number}": "" for number in range(7)})
    for number in range(7):
        (tmp_path / f"lib/{number}").chmod(0o600)

    findings = found(tmp_path, {})

    assert len(findings) == 5
    assert said(findings)[-1] == (
        "warning: lib/4: is closed to other users (as are 2 more), and the function is one on "
        "Lambda; chmod -R o+rX the folder"
    )


@needs_root
def test_what_we_cannot_read_is_an_error() -> None:
    place = Path("/var/tmp") / f"test-of-rie-{os.getpid()}"
    make(place, {"lib/secret": "", "closed/a": "", "lib/open": ""})
    place.chmod(0o755)
    (place / "lib/secret").chmod(0o600)
    (place / "closed").chmod(0o700)
    try:
        with as_nobody():
            findings = found(place, {})
    finally:
        shutil.rmtree(place)

    assert said(findings) == [
        "error: closed: cannot be read; chmod u+rX closed, or leave it out",
        "error: lib/secret: cannot be read; chmod u+rX lib/secret, or leave it out",
    ]
