"""Layers: built of folders and recipes, looked into, merged."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from rie.artifacts import layer
from rie.artifacts.errors import BuildError, NoSpaceError
from rie.artifacts.findings import FindingsError
from rie.artifacts.limits import MB
from rie.artifacts.packing import Packing
from rie.artifacts.tree import scan
from rie.artifacts.writing import write
from tests.artifacts.trees import SCRIPT, contents, elf, files_of_at_most, make, names
from tests.artifacts.zips import Raw, saved, zeros

ENVIRON = {"PATH": os.environ["PATH"]}


def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have one layer `mine` come with rie."""
    make(tmp_path / "layers", {"mine/build*": script, "mine/README.md": "", "notes/x": ""})
    monkeypatch.setattr(layer, "shipped", lambda _: tmp_path / "layers")


def entries(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def packed(tmp_path: Path, name: str, files: dict[str, str | bytes]) -> Path:
    write(scan(make(tmp_path / f"of-{name}", files)), tmp_path / name)
    return tmp_path / name


def test_a_folder_is_packed(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"bin/tool*": SCRIPT})

    made = layer.build(str(folder), Packing(target=tmp_path / "a.zip"))

    assert entries(tmp_path / "a.zip") == ["bin/", "bin/tool"]
    assert (made.files, made.unzipped, made.findings) == (1, len(SCRIPT), ())
    assert made.zipped == (tmp_path / "a.zip").stat().st_size


def test_with_errors_nothing_is_written(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"bootstrap": SCRIPT, "extensions/e*": elf(183)})

    with pytest.raises(FindingsError, match=r"bootstrap: is not executable.* \(and 1 more\)$"):
        layer.build(str(folder), Packing(target=tmp_path / "a.zip"))

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_excluded_is_neither_checked_nor_packed(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"bin/tool*": SCRIPT, "bin/arm*": elf(183), "bin/x.md": ""})

    made = layer.build(
        str(folder), Packing(target=tmp_path / "a.zip", exclude=["arm", "*.md", "*.txt"])
    )

    assert entries(tmp_path / "a.zip") == ["bin/", "bin/tool"]
    assert [str(each) for each in made.findings] == [
        "--exclude '*.txt' matches nothing; see how patterns are written"
    ]


def test_an_archive_inside_of_its_folder_stays_the_same(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"bin/tool*": SCRIPT})
    packing = Packing(target=folder / "layer.zip")

    first = layer.build(str(folder), packing)
    second = layer.build(str(folder), packing)

    assert entries(folder / "layer.zip") == ["bin/", "bin/tool"]
    assert first == second


def test_the_folder_itself_cannot_be_the_archive(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"bin/tool*": SCRIPT})

    with pytest.raises(BuildError, match="is the folder to pack: name a file to write, with -o"):
        layer.build(str(folder), Packing(target=folder))


def test_more_than_50_mb_zipped_is_a_warning(tmp_path: Path) -> None:
    folder = make(tmp_path / "a", {"lib/noise": os.urandom(51 * MB)})

    made = layer.build(str(folder), Packing(target=tmp_path / "a.zip"))

    assert [str(each).partition(" zipped")[2] for each in made.findings] == [
        ", more than the 50 MB of an upload; give it to Lambda by way of S3"
    ]


def test_a_recipe_is_run_for_the_architecture_and_its_tree_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'#!/bin/sh\nmkdir "$1/bin" && cd "$1" && echo "$2 $(umask)" > bin/{"said"}\n'
    recipe(tmp_path, monkeypatch, script)

    layer.build("mine", Packing(target=tmp_path / "a.zip", architecture="arm64", environ=ENVIRON))

    assert entries(tmp_path / "a.zip") == ["bin/", "bin/said"]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.read("bin/said") == b"arm64 0022\n"


def test_a_recipe_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe(tmp_path, monkeypatch, "#!/bin/sh\necho building\necho 'no go here' >&2\nexit 3\n")

    with pytest.raises(BuildError) as caught:
        layer.build("mine", Packing(target=tmp_path / "a.zip", environ=ENVIRON))

    assert str(caught.value) == (
        "the layer mine could not be built: building | no go here "
        f"(see {tmp_path}/layers/mine/README.md for what it needs)"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["layers"]


def test_a_name_goes_before_a_folder_and_a_path_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(tmp_path, monkeypatch, '#!/bin/sh\nmkdir "$1/lib"\n')
    make(tmp_path / "mine", {"bin/tool*": SCRIPT})
    monkeypatch.chdir(tmp_path)

    layer.build("mine", Packing(target=Path("a.zip"), environ=ENVIRON))
    layer.build("./mine", Packing(target=Path("b.zip"), environ=ENVIRON))

    assert entries(Path("a.zip")) == ["lib/"]
    assert entries(Path("b.zip")) == ["bin/", "bin/tool"]


def test_an_installation_without_layers_packs_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: str) -> Path:
        raise BuildError("this installation of rie has no layers: install it anew")

    monkeypatch.setattr(layer, "shipped", none)
    make(tmp_path / "mine", {"bin/tool*": SCRIPT})
    monkeypatch.chdir(tmp_path)

    layer.build("mine", Packing(target=Path("a.zip")))

    assert entries(Path("a.zip")) == ["bin/", "bin/tool"]
    with pytest.raises(BuildError, match="has no layers: install it anew"):
        layer.build("other", Packing(target=Path("b.zip")))


def test_what_is_neither_folder_nor_name_is_told_the_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe(tmp_path, monkeypatch, SCRIPT)

    with pytest.raises(BuildError, match=r"nose is neither a folder nor .* those are mine$"):
        layer.build("nose", Packing(target=tmp_path / "a.zip"))


def test_contents_are_told(tmp_path: Path) -> None:
    path = packed(
        tmp_path,
        "a.zip",
        {
            "bootstrap*": SCRIPT,
            "extensions/watch*": elf(),
            "extensions/lib/x": "",
            "lib/a.so": elf(183),
            "python/a.py": "",
            "python/b.py": "",
            "notes": "",
        },
    )

    found = layer.inspect(path)

    assert dict(found.top) == {
        "python": 2, "lib": 1, "extensions": 2, "bootstrap": 1, "notes": 1,
    }  # fmt: skip
    assert found.extensions == ("watch",)
    assert dict(found.machines) == {"x86_64": 1, "arm64": 1}
    assert found.files == 7
    assert [each.severity for each in found.findings] == ["warning"]


def test_where_there_is_no_room_to_look_into_a_layer_it_is_not_called_wrong(
    tmp_path: Path,
) -> None:
    path = packed(tmp_path, "a.zip", {"lib/noise": os.urandom(2 * MB)})

    with files_of_at_most(MB), pytest.raises(NoSpaceError, match="lib/noise: File too large"):
        layer.inspect(path)


def test_contents_that_cannot_be_unpacked_are_a_finding_among_others(tmp_path: Path) -> None:
    names_ = saved(tmp_path / "a.zip", Raw(name=b"../x"), Raw(name=b"/y"))
    bomb = saved(tmp_path / "b.zip", Raw(packed=zeros(300), method=8, size=1))

    assert [each.path for each in layer.inspect(names_).findings] == ["../x", "/y"]
    [finding] = layer.inspect(bomb).findings
    assert finding.severity == "error"
    assert "is damaged or a bomb: file holds more than the 1 byte" in str(finding)


def test_later_layers_win(tmp_path: Path) -> None:
    one = packed(tmp_path, "1.zip", {"bin/a*": SCRIPT, "both": "1", "was/folder": ""})
    two = packed(tmp_path, "2.zip", {"bin/b": "", "both": "2", "was@": "bin"})

    layer.merge([one, two], tmp_path / "opt")

    assert names(tmp_path / "opt") == ["bin", "bin/a", "bin/b", "both", "was"]
    assert contents(tmp_path / "opt")["both"][2] == b"2"
    assert contents(tmp_path / "opt")["bin/a"] == ("file", 0o755, SCRIPT.encode())
    assert contents(tmp_path / "opt")["was"][0] == "link"
    assert (tmp_path / "opt/both").stat().st_nlink == 1


def test_an_empty_folder_may_be_merged_into(tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()

    layer.merge([packed(tmp_path, "1.zip", {"bin/a*": SCRIPT})], tmp_path / "opt")

    assert names(tmp_path / "opt") == ["bin", "bin/a"]


def test_a_merge_that_fails_leaves_nothing(tmp_path: Path) -> None:
    good = packed(tmp_path, "1.zip", {"bin/a*": SCRIPT})
    bad = saved(tmp_path / "2.zip", Raw(name=b"a"), Raw(name=b"b", crc=1))
    before = sorted(path.name for path in tmp_path.iterdir())

    with pytest.raises(BuildError, match=r"2\.zip is damaged"):
        layer.merge([good, bad], tmp_path / "opt")

    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_layers_that_are_too_large_together_are_refused(tmp_path: Path) -> None:
    sizes = {"1.zip": 150 * MB, "2.zip": 101 * MB}
    for name, size in sizes.items():
        folder = make(tmp_path / f"of-{name}", {f"lib/{name}": ""})
        os.truncate(folder / f"lib/{name}", size)
        write(scan(folder), tmp_path / name)

    with pytest.raises(BuildError, match="the layers together are 251 MB unzipped"):
        layer.merge([tmp_path / name for name in sizes], tmp_path / "opt")

    assert not (tmp_path / "opt").exists()


def test_at_most_five_are_merged(tmp_path: Path) -> None:
    one = packed(tmp_path, "1.zip", {"bin/a*": SCRIPT})

    with pytest.raises(BuildError, match="6 layers are more than the 5 that Lambda takes"):
        layer.merge([one] * 6, tmp_path / "opt")
    layer.merge([one] * 5, tmp_path / "opt")
