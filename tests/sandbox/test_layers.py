"""Layers in /opt and code from a zip file: `rie run --layer A.zip --layer B.zip --code F.zip`.

Sources: Lambda developer guide, "Managing Lambda dependencies with layers" (extracted into /opt in
order, a later one overwrites an earlier, at most five) and "Lambda runtimes" (bootstrap in /opt).
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rie.sandbox import launcher
from rie.sandbox.machine import Machine, SandboxError
from rie.sandbox.wanted import Wanted
from tests.sandbox.test_machine import opened, refusing
from tests.support.running_function import Whom, open_folder, put_code

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces: need root")

LISTING = """#!/bin/sh
exec python3 -m bootstrap app.handler
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can read, outside of /tmp."""
    with open_folder() as folder:
        yield folder


def make_zip(path: Path, files: Mapping[str, str], *, mode: int = 0o644) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, text)
    return path


def make_layer(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return folder


def test_a_layer_is_what_the_function_finds_in_opt(as_whom: Whom, place: Path) -> None:
    layer = make_zip(place / "layer.zip", {"python/lib.py": "x = 1", "share/text": "from a layer"})

    with as_whom.run(f"--layer={layer}") as function:
        assert function.call("read_file", "/opt/share/text") == "from a layer"


def test_of_two_the_later_wins_and_what_only_one_has_is_there(as_whom: Whom, place: Path) -> None:
    first = make_zip(place / "first.zip", {"both": "first", "etc/one": "1"})
    second = make_zip(place / "second.zip", {"both": "second", "etc/two": "2"})

    with as_whom.run(f"--layer={first}", f"--layer={second}") as function:
        assert function.call("read_file", "/opt/both") == "second"
        assert function.call("read_file", "/opt/etc/one") == "1"
        assert function.call("read_file", "/opt/etc/two") == "2"


def test_a_folder_is_taken_as_it_is(as_whom: Whom, place: Path) -> None:
    layer = make_layer(place / "layer", {"text": "before"})

    with as_whom.run(f"--layer={layer}") as function:
        (layer / "text").write_text("after")

        assert function.call("read_file", "/opt/text") == "after"


@pytest.mark.parametrize("count", [1, 2])
def test_nobody_writes_to_layers_not_even_who_may_write(
    as_whom: Whom, place: Path, count: int
) -> None:
    layers = [make_layer(place / f"{each}", {f"{each}": "x"}) for each in range(count)]
    for each in layers:
        each.chmod(0o777)
        each.joinpath(each.name).chmod(0o777)
    options = [f"--layer={each}" for each in layers]

    with as_whom.run("--writable", *options) as function:
        assert function.call("write_file", "/opt/0", "spoilt") == errno.EROFS
        assert function.call("write_file", "/opt/new", "x") == errno.EROFS


def test_a_bootstrap_in_a_layer_runs_the_function(as_whom: Whom, place: Path) -> None:
    lower = make_layer(place / "lower", {"bootstrap": "#!/bin/sh\nexit 9\n"})
    upper = make_layer(place / "upper", {"bootstrap": LISTING})

    with as_whom.run(
        f"--layer={lower}", f"--layer={upper}", "--handler=app.handler", command=()
    ) as function:
        assert function.call("read_file", "/opt/bootstrap") == LISTING


def test_a_program_of_a_layer_can_be_named_as_the_command(as_whom: Whom, place: Path) -> None:
    layer = make_layer(place / "layer", {"bin/my-runtime": LISTING})

    with as_whom.run(f"--layer={layer}", command=("my-runtime", "app.handler")) as function:
        assert function.call("where_it_runs")["cwd"] == "/var/task"


def test_a_colon_or_comma_in_a_layers_name_is_part_of_it(as_whom: Whom, place: Path) -> None:
    odd = make_layer(place / "a:b,c", {"odd": "1"})
    plain = make_layer(place / "plain", {"plain": "1"})

    with as_whom.run(f"--layer={odd}", f"--layer={plain}") as function:
        assert function.call("read_file", "/opt/odd") == "1"


def test_code_comes_from_a_package_that_nobody_writes_to(as_whom: Whom, place: Path) -> None:
    code = place / "code"
    code.mkdir()
    put_code(code)
    package = place / "my function.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in code.rglob("*"):
            archive.write(path, path.relative_to(code))

    with as_whom.run("--writable", f"--code={package}") as function:
        where = function.call("where_it_runs")
        assert (where["cwd"], where["file"]) == ("/var/task", "/var/task/app.py")
        assert function.call("write_file", "/var/task/app.py", "spoilt") in {
            errno.EROFS,
            errno.EACCES,
        }
        assert function.call("write_file", "/var/task/new", "x") == errno.EROFS
        function.invoke("fail")
        assert "/functions/my-function/" not in function.log.wait_for("REPORT")


@needs_root
def test_where_nothing_can_be_overlaid_layers_are_merged_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    monkeypatch.setattr(launcher, "prepare", refusing("overlay", launcher.prepare))
    layers = tuple(make_layer(place / name, {name: "x", "both": name}) for name in ("a", "b"))
    machine = Machine(Wanted(memory_size=128, task_root=place, layers=layers))
    try:
        with opened(machine), opened(machine):
            merged = machine._layers()
    finally:
        machine.close()

    assert len(merged) == 1
    assert sorted(each.name for each in merged[0].iterdir()) == ["a", "b", "both"]
    assert (merged[0] / "both").read_text() == "b"


@needs_root
def test_where_nothing_can_be_mounted_layers_are_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "prepare", refusing("mount-namespace", launcher.prepare))
    layer = make_layer(place / "layer", {"a": "x"})
    machine = Machine(Wanted(memory_size=128, task_root=place, layers=(layer,)))
    try:
        with pytest.raises(SandboxError, match="--layer cannot be had here: mount-namespace"):
            machine.open()
    finally:
        machine.close()


def test_extensions_of_a_layer_are_said_not_to_be_started(as_whom: Whom, place: Path) -> None:
    layer = make_layer(place / "layer", {"extensions/watcher": "#!/bin/sh\n"})

    with as_whom.run(f"--layer={layer}") as function:
        function.diary.wait_for("extensions are not started yet: watcher in /opt/extensions")


@pytest.mark.parametrize(("option", "place_inside"), [("--layer", "/opt"), ("--code", "/var/task")])
def test_a_bootstrap_that_cannot_run_is_named_as_the_function_finds_it(
    as_whom: Whom, place: Path, option: str, place_inside: str
) -> None:
    packed = make_zip(place / "packed.zip", {"bootstrap": LISTING}, mode=0o644)

    # To mend it where it was unpacked would help this machine only, and every later run of it.
    with as_whom.run(f"{option}={packed}", "--handler=app.handler", command=()) as function:
        _, message = function.error("where_it_runs")
        function.diary.wait_for(
            f"run: chmod +x {place_inside}/bootstrap, where it was packed, and pack it again"
        )

    assert f"fork/exec {place_inside}/bootstrap: permission denied" in str(message)


def refusal(*options: str, cwd: Path) -> str:
    """Run `rie run`, which must refuse; return its one line."""
    argv = [sys.executable, "-P", "-m", "rie", "run", "--listen=127.0.0.1:0", *options]
    result = subprocess.run(
        [*argv, "--", "true"], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2, result
    assert result.stdout == ""
    line, _, rest = result.stderr.partition("\n")
    assert rest == ""
    return line


def test_six_layers_are_too_many(place: Path) -> None:
    layers = [f"--layer={place}"] * 6

    assert "--layer are 6; a function has at most 5" in refusal(*layers, cwd=place)


def test_a_layer_or_package_that_is_not_there_is_named(place: Path) -> None:
    for option in ("--layer", "--code"):
        said = refusal(f"{option}=missing.zip", cwd=place)

        assert f"{option} '{place}/missing.zip' cannot be used: no such file" in said


def test_what_is_no_zip_file_is_named(place: Path) -> None:
    path = place / "layer.zip"
    path.write_text("no zip file at all")

    for option in ("--layer", "--code"):
        assert str(path) in refusal(f"{option}={path}", cwd=place)


def test_layers_without_a_sandbox_are_refused(place: Path) -> None:
    said = refusal("--no-sandbox", f"--layer={place}", cwd=place)

    assert "--layer" in said
    assert "needs the sandbox" in said


def test_code_and_a_task_root_are_two_ways_to_say_one_thing(place: Path) -> None:
    said = refusal("--code=x.zip", "--task-root=.", cwd=place)

    assert "--code and --task-root are two ways to say where the code is" in said


def test_a_folder_is_no_package(place: Path) -> None:
    assert "is a folder; use --task-root" in refusal(f"--code={place}", cwd=place)
