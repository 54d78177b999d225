"""What is unpacked once for each content: shared, read-only, and never half."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.limits import MB
from rie.artifacts.placing import remove
from rie.artifacts.tree import scan
from rie.artifacts.unpacked import Unpacked, check_total, default_root
from rie.artifacts.writing import write
from tests.artifacts.trees import SCRIPT, contents, make, names
from tests.artifacts.zips import Raw, deflated, saved
from tests.support.emulator import wait_until
from tests.support.raw_http import LIMIT
from tests.support.rie_process import ROOT

APP: dict[str, str | bytes] = {"bootstrap*": SCRIPT, "lib/mod.py": "x = 1\n", "l@": "bootstrap"}


def packed(tmp_path: Path, name: str, files: dict[str, str | bytes]) -> Path:
    write(scan(make(tmp_path / f"of-{name}", files)), tmp_path / name)
    return tmp_path / name


def folders(root: Path) -> list[str]:
    """Return the folders that were made, and what is beside them and should not be."""
    return sorted(
        path.name
        for path in root.glob("*/*")
        if path.is_dir() or path.suffix not in {".whole", ".lock"}
    )


def test_a_functions_archive_is_unpacked_to_be_read_and_not_written(tmp_path: Path) -> None:
    folder = Unpacked(tmp_path / "cache").code(packed(tmp_path, "a.zip", APP))

    assert contents(folder) == {
        "bootstrap": ("file", 0o555, SCRIPT.encode()),
        "lib": ("folder", 0o555, b""),
        "lib/mod.py": ("file", 0o444, b"x = 1\n"),
        "l": ("link", 0o777, b"bootstrap"),
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555


def test_everybody_may_read_what_the_archive_gave_its_owner_only(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.zip",
        Raw(name=b"private/", mode=0o040700),
        Raw(name=b"private/secret", mode=0o100600),
        Raw(name=b"private/own-program", mode=0o100700),
    )
    before = os.umask(0o077)
    try:
        folder = Unpacked(tmp_path / "cache").layer(path)
    finally:
        os.umask(before)

    assert {name: each[1] for name, each in contents(folder).items()} == {
        "private": 0o555,
        "private/secret": 0o444,
        "private/own-program": 0o544,
    }
    assert all(each.stat().st_mode & 0o005 == 0o005 for each in (tmp_path / "cache", folder.parent))


def test_the_same_content_is_unpacked_once_whatever_it_is_called(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    path = packed(tmp_path, "a.zip", APP)
    first = unpacked.code(path)
    made = first.stat().st_ino
    shutil.copy(path, tmp_path / "b.zip")

    assert unpacked.layer(tmp_path / "b.zip") == first
    assert Unpacked(tmp_path / "cache").code(path).stat().st_ino == made
    assert folders(tmp_path / "cache") == [first.name]


_AGAIN = """
import sys
from pathlib import Path
from rie.artifacts.unpacked import Unpacked, check_total

unpacked = Unpacked(Path(sys.argv[1]))
layers = [unpacked.layer(Path(each)) for each in sys.argv[2:]]
unpacked.merged(layers)
check_total(None, layers)
print(*{"tempfile", "shutil", "json", "rie.artifacts.archive"} & {*sys.modules})
"""


def test_what_is_there_is_found_without_importing_what_unpacks_it(tmp_path: Path) -> None:
    archives = [packed(tmp_path, "a.zip", APP), packed(tmp_path, "b.zip", {"b": "1"})]
    words = map(str, (tmp_path / "cache", *archives))
    command = (sys.executable, "-S", "-c", _AGAIN, *words)

    first, second = (
        subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT).stdout
        for _ in range(2)
    )

    assert "rie.artifacts.archive" in first
    assert second == "\n"


def test_other_content_has_another_folder(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")

    one = unpacked.code(packed(tmp_path, "a.zip", APP))
    other = unpacked.code(packed(tmp_path, "b.zip", {"bootstrap*": "#!/bin/bash\n"}))

    assert one != other
    assert names(other) == ["bootstrap"]


def test_a_function_may_be_50_mb_zipped_a_layer_more(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(content=bytes(50 * MB)))
    unpacked = Unpacked(tmp_path / "cache")

    with pytest.raises(BuildError, match=r"a.zip is 50 MB zipped, at most 50 MB are allowed"):
        unpacked.code(path)
    assert unpacked.layer(path).is_dir()


def test_more_than_250_mb_unzipped_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    content = bytes(25 * MB)
    raws = [
        Raw(name=b"%d" % number, content=content, packed=deflated(content), method=8)
        for number in range(10)
    ]
    path = saved(tmp_path / "a.zip", *raws, Raw(name=b"last", content=b"1"))

    with pytest.raises(BuildError, match="holds more than 250 MB unzipped"):
        Unpacked(tmp_path / "cache").layer(path)

    assert folders(tmp_path / "cache") == []


def test_an_archive_that_is_damaged_leaves_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.zip", Raw(name=b"a", content=b"1"), Raw(name=b"b", crc=7))

    with pytest.raises(BuildError, match=r"a\.zip is damaged"):
        Unpacked(tmp_path / "cache").layer(path)

    assert folders(tmp_path / "cache") == []


def test_what_a_killed_process_left_is_not_taken_for_whole_and_removed(tmp_path: Path) -> None:
    path = packed(tmp_path, "a.zip", APP)
    unpacked = Unpacked(tmp_path / "cache")
    whole = unpacked.code(path)
    shutil.copytree(whole, whole.with_name(f"{'0' * 64}.part"), symlinks=True)
    whole.with_name(f"{'0' * 64}.whole.part").touch()
    (whole.parent / f"{whole.name}.whole").unlink()  # as if it had ended before the mark
    whole.chmod(0o755)
    (whole / "bootstrap").unlink()

    assert names(unpacked.code(path)) == ["bootstrap", "l", "lib", "lib/mod.py"]
    assert folders(tmp_path / "cache") == [whole.name]


_KILLED = """
import os, sys
from pathlib import Path
from rie.artifacts import archive
from rie.artifacts.unpacked import Unpacked

def stop(*_):
    print("half-way", flush=True)
    os.read(0, 1)
archive.os.fchmod = stop  # when the first file is written
Unpacked(Path(sys.argv[1])).code(Path(sys.argv[2]))
"""


def test_a_process_that_is_killed_half_way_is_taken_over_from(tmp_path: Path) -> None:
    path = packed(tmp_path, "a.zip", APP)
    command = (sys.executable, "-c", _KILLED, tmp_path / "cache", path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"half-way\n"
        [half] = [each for each in folders(tmp_path / "cache") if each.endswith(".part")]

        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(Unpacked(tmp_path / "cache").code, path)
            process.send_signal(signal.SIGKILL)
            process.wait(LIMIT)
            folder = waiting.result(LIMIT)

    assert names(folder) == ["bootstrap", "l", "lib", "lib/mod.py"]
    assert folders(tmp_path / "cache") == [half.removesuffix(".part")]


def test_a_process_at_work_is_not_disturbed_by_others(tmp_path: Path) -> None:
    path, other = packed(tmp_path, "a.zip", APP), packed(tmp_path, "b.zip", {"b": "1"})
    command = (sys.executable, "-c", _KILLED, tmp_path / "cache", path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"half-way\n"

        Unpacked(tmp_path / "cache").code(other)
        for _ in range(3):  # one for each file
            process.stdin.write(b"\n")
        process.stdin.close()

        assert process.wait(LIMIT) == 0
    assert len(folders(tmp_path / "cache")) == 2


_COUNTING = """
import sys
from pathlib import Path
from rie.artifacts.unpacked import Unpacked

folder = Unpacked(Path(sys.argv[1])).code(Path(sys.argv[2]))
print(folder, sum(path.is_file() for path in folder.rglob("*")))
"""


def test_many_at_once_have_the_same_whole_folder(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"d{number % 7}/{number}": "x" * 999 for number in range(200)}
    path = packed(tmp_path, "a.zip", files)
    command = (sys.executable, "-c", _COUNTING, tmp_path / "cache", path)

    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(6)]
    said = {process.communicate(timeout=LIMIT)[0] for process in processes}

    assert len(said) == 1
    assert said.pop().endswith(b" 200\n")
    assert len(folders(tmp_path / "cache")) == 1


@pytest.mark.parametrize(
    "damage",
    [
        remove,
        lambda folder: (folder.chmod(0o755), (folder / "bootstrap").unlink()),
        lambda folder: folder.with_name(f"{folder.name}.whole").write_text("{"),
        lambda folder: folder.with_name(f"{folder.name}.whole").write_text("5\0bootstrap"),
        lambda folder: folder.with_name(f"{folder.name}.lock").unlink(),
    ],
    ids=["gone", "a file gone", "mark broken", "mark of something else", "lock gone"],
)
def test_a_folder_that_was_damaged_by_hand_is_made_anew(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    path = packed(tmp_path, "a.zip", APP)
    unpacked = Unpacked(tmp_path / "cache")
    damage(unpacked.code(path))

    folder = unpacked.code(path)

    assert names(folder) == ["bootstrap", "l", "lib", "lib/mod.py"]
    assert folders(tmp_path / "cache") == [folder.name]


def test_layers_are_merged_in_their_order_and_once_for_each_set(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    one = unpacked.layer(packed(tmp_path, "a.zip", {"bin/a*": SCRIPT, "both": "1", "way": "file"}))
    two = unpacked.layer(packed(tmp_path, "b.zip", {"bin/b*": SCRIPT, "both": "2", "way/in": "x"}))

    forward, backward = unpacked.merged([one, two]), unpacked.merged([two, one])

    assert names(forward) == ["bin", "bin/a", "bin/b", "both", "way", "way/in"]
    assert (forward / "both").read_text() == "2"
    assert names(backward) == ["bin", "bin/a", "bin/b", "both", "way"]
    assert (backward / "both").read_text() == "1"
    made = forward.stat().st_ino
    assert unpacked.merged([one, two]).stat().st_ino == made
    assert all(not each[1] & 0o222 for each in contents(forward).values() if each[0] != "link")


def test_merged_layers_take_no_space_of_their_own(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    one = unpacked.layer(packed(tmp_path, "a.zip", APP))
    two = unpacked.layer(packed(tmp_path, "b.zip", {"b": "1"}))

    merged = unpacked.merged([one, two])

    assert (merged / "bootstrap").samefile(one / "bootstrap")
    assert (merged / "b").samefile(two / "b")


def test_a_folder_of_the_users_own_is_copied_and_stays_as_it_is(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    own = make(tmp_path / "own", APP)
    before = contents(own)
    layer = unpacked.layer(packed(tmp_path, "b.zip", {"b": "1"}))

    first = unpacked.merged([own, layer])
    (own / "lib/mod.py").write_text("x = 22\n")
    second = unpacked.merged([own, layer])

    assert contents(own) == before | {"lib/mod.py": ("file", 0o644, b"x = 22\n")}
    assert (first / "lib/mod.py").read_text() == "x = 1\n"
    assert (second / "lib/mod.py").read_text() == "x = 22\n"
    assert (second / "bootstrap").stat().st_nlink == 1


def test_where_there_can_be_no_hard_links_there_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    one = unpacked.layer(packed(tmp_path, "a.zip", APP))

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMLINK, "Too many links")

    monkeypatch.setattr(os, "link", refused)
    merged = unpacked.merged([one, one])

    assert contents(merged) == contents(one)
    assert (merged / "bootstrap").stat().st_nlink == 1


def test_a_folder_with_a_pipe_in_it_is_no_layer(tmp_path: Path) -> None:
    own = make(tmp_path / "own", {"a": ""})
    os.mkfifo(own / "pipe")

    with pytest.raises(BuildError, match=r"own/pipe is a device, a pipe or a socket: leave it out"):
        Unpacked(tmp_path / "cache").merged([own, own])


def test_more_than_five_layers_are_refused(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    layers = [unpacked.layer(packed(tmp_path, f"{n}.zip", {"n": str(n)})) for n in range(6)]

    with pytest.raises(BuildError, match="6 layers are more than the 5 that Lambda takes"):
        unpacked.merged(layers)
    assert (unpacked.merged(layers[:5]) / "n").read_text() == "4"


def test_links_that_lead_out_only_together_are_refused(tmp_path: Path) -> None:
    unpacked = Unpacked(tmp_path / "cache")
    one = unpacked.layer(packed(tmp_path, "a.zip", {"d/e/f": "", "up@": "d/e/../../x"}))
    two = unpacked.layer(packed(tmp_path, "b.zip", {"d/e@": ".."}))

    with pytest.raises(BuildError, match=r"up: is a symbolic link out of the folder"):
        unpacked.merged([one, two])
    assert len(list((tmp_path / "cache/merged").glob("*.part"))) == 0


def test_code_and_layers_together_may_hold_250_mb(tmp_path: Path) -> None:
    code, layer = make(tmp_path / "code", {"a": ""}), make(tmp_path / "layer", {"b": ""})
    os.truncate(code / "a", 150 * MB)
    os.truncate(layer / "b", 100 * MB)

    check_total(code, [layer])
    (layer / "one more").write_text("1")
    with pytest.raises(BuildError, match="the code and its layers are 250 MB unzipped"):
        check_total(code, [layer])
    check_total(None, [layer])


def test_what_was_unpacked_is_not_measured_again(tmp_path: Path) -> None:
    folder = Unpacked(tmp_path / "cache").layer(packed(tmp_path, "a.zip", APP))
    mark = folder.with_name(f"{folder.name}.whole")
    mark.write_text(f"{251 * MB}")

    with pytest.raises(BuildError):
        check_total(folder, [])


def test_the_archive_may_not_change_while_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path, "a.zip", APP)
    real = os.fchmod

    def changing(descriptor: int, mode: int) -> None:
        os.utime(path, ns=(1, 1))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", changing)

    with pytest.raises(BuildError, match="was changed meanwhile: try again"):
        Unpacked(tmp_path / "cache").code(path)
    assert folders(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BuildError, match="file/cache/archives: Not a directory"):
        Unpacked(tmp_path / "file/cache").code(packed(tmp_path, "a.zip", APP))


def test_the_place_is_the_users_cache(tmp_path: Path) -> None:
    home = str(tmp_path)

    assert default_root({"XDG_CACHE_HOME": "/x", "HOME": home}) == Path("/x/rie")
    assert default_root({"HOME": home}) == tmp_path / ".cache/rie"
    assert default_root({"XDG_CACHE_HOME": "relative", "HOME": home}) == tmp_path / ".cache/rie"


@pytest.mark.parametrize("home", ["closed", "closed/in"])
def test_a_home_that_is_closed_to_its_user_is_not_used(tmp_path: Path, home: str) -> None:
    root = os.geteuid() == 0
    (tmp_path / "closed/in").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    temporary = Path(tempfile.mkdtemp(prefix="test-of-rie-"))
    temporary.chmod(0o777)
    if root:  # to whom nothing is closed
        os.seteuid(65534)
    try:
        found = default_root({"HOME": str(tmp_path / home), "TMPDIR": str(temporary)})

        assert found == temporary / f"rie-{os.geteuid()}"
    finally:
        if root:
            os.seteuid(0)
        (tmp_path / "closed").chmod(0o755)
        shutil.rmtree(temporary)


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "/nonexistent"}], ids=str)
def test_without_a_home_it_is_below_the_temporary_folder(
    tmp_path: Path, home: dict[str, str]
) -> None:
    root = default_root({"TMPDIR": str(tmp_path), **home})

    assert root == tmp_path / f"rie-{os.geteuid()}"
    assert default_root({"TMPDIR": str(tmp_path), **home}) == root
    assert root.stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("trap", ["writable", "link"])
def test_a_folder_that_others_may_fill_is_not_taken(tmp_path: Path, trap: str) -> None:
    root = tmp_path / f"rie-{os.geteuid()}"
    if trap == "link":
        root.symlink_to(tmp_path)
    else:
        root.mkdir()
        root.chmod(0o777)

    with pytest.raises(BuildError, match="is another user's: set XDG_CACHE_HOME"):
        default_root({"TMPDIR": str(tmp_path)})


def test_a_lock_is_waited_for_without_an_end(tmp_path: Path) -> None:
    path = packed(tmp_path, "a.zip", APP)
    command = (sys.executable, "-c", _KILLED, tmp_path / "cache", path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"half-way\n"

        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(Unpacked(tmp_path / "cache").code, path)
            wait_until(lambda: _waits_for_a_lock(os.getpid()), "the second to wait")
            assert not waiting.done()
            process.stdin.write(b"\n\n\n")
            process.stdin.close()
            folder = waiting.result(LIMIT)
        assert process.wait(LIMIT) == 0

    assert names(folder) == ["bootstrap", "l", "lib", "lib/mod.py"]


def _waits_for_a_lock(pid: int) -> bool:
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def test_the_page_says_how_to_remove_it_all(tmp_path: Path) -> None:
    page = (ROOT / "docs/layers.md").read_text("utf-8")
    command = page.partition("when nothing runs,\n\n```sh\n")[2].partition("```")[0]
    Unpacked(tmp_path / "rie").code(packed(tmp_path, "a.zip", APP))

    environ = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run(["sh", "-c", command], env=environ, check=True)

    assert command
    assert not (tmp_path / "rie").exists()
