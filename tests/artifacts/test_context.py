from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from rie.artifacts.errors import BuildError
from rie.artifacts.images.context import assembled
from rie.artifacts.images.recipe import Recipe, digest, names, read_recipe, recipe_of


def make_image(folder: Path, manifest: str = 'tag = "rie/own:1"\n') -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "image.toml").write_text(manifest, "utf-8")
    (folder / "Dockerfile").write_text("FROM scratch\n", "utf-8")
    (folder / "script").write_text("#!/bin/sh\n", "utf-8")
    (folder / "script").chmod(0o700)
    return folder


def contents(recipe: Recipe) -> dict[str, int]:
    """Return the files of a recipe's context with their modes."""
    with assembled(recipe, "x86_64") as context:
        return {
            path.relative_to(context).as_posix(): path.stat().st_mode & 0o777
            for path in context.rglob("*")
            if path.is_file()
        }


def test_a_context_has_the_folders_files_without_its_manifest(tmp_path: Path) -> None:
    recipe = read_recipe(make_image(tmp_path / "own"))

    assert contents(recipe) == {"Dockerfile": 0o644, "script": 0o755}


def test_times_are_those_of_the_epoch(tmp_path: Path) -> None:
    recipe = read_recipe(make_image(tmp_path / "own"))

    with assembled(recipe, "x86_64") as context:
        assert {path.stat().st_mtime for path in (context, *context.rglob("*"))} == {0.0}


def test_a_context_is_gone_in_the_end(tmp_path: Path) -> None:
    with assembled(read_recipe(make_image(tmp_path / "own")), "x86_64") as context:
        pass

    assert not context.parent.exists()


def test_a_place_without_room_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = read_recipe(make_image(tmp_path / "own"))
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)

    with pytest.raises(BuildError, match=r"place: No space left on device; TMPDIR may name"):
        contents(recipe)

    assert list(place.iterdir()) == []


def test_our_own_packages_come_without_caches_and_compiled_programs(tmp_path: Path) -> None:
    manifest = 'tag = "rie/own:1"\ncarries = ["rie", "bootstrap"]\n'

    found = contents(read_recipe(make_image(tmp_path / "own", manifest)))

    assert {"rie/emulator.py", "rie/sandbox/native/main.c", "bootstrap/__main__.py"} <= set(found)
    assert "rie/sandbox/native/launcher" not in found
    assert not [name for name in found if "__pycache__" in name or name.startswith("rie/data/")]


def test_a_shipped_layer_comes_as_it_is(tmp_path: Path) -> None:
    manifest = 'tag = "rie/own:1"\ncarries = ["layers/shell"]\n'

    found = contents(read_recipe(make_image(tmp_path / "own", manifest)))

    assert found["layers/shell/bootstrap"] == 0o755


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('tag = "a"\nneed = []\n', "unknown key 'need'; there are carries, needs, tag"),
        ("needs = []\n", "there must be a tag"),
        ('tag = "a"\nneeds = "provided"\n', "needs must be a list of names"),
        ('tag = "a"\ncarries = ["ruby"]\n', "cannot carry 'ruby'; there are bootstrap, jars, rie"),
        ('tag = "a"\ncarries = ["layers/nowhere"]\n', "there is no layers/nowhere to carry"),
        ('tag = "a"\ncarries = ["wheels"]\n', "to carry wheels it needs requirements.txt beside"),
        ('tag = "a"\ncarries = ["jars"]\n', r"to carry jars it needs pom.xml beside it"),
        ("tag = \n", "is not TOML"),
    ],
)
def test_a_manifest_that_cannot_be_followed_says_why(
    tmp_path: Path, manifest: str, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        read_recipe(make_image(tmp_path / "own", manifest))


def test_an_image_that_does_not_come_with_rie_is_told_which_do() -> None:
    with pytest.raises(BuildError, match="'nowhere' is no folder, and no base image either"):
        recipe_of("nowhere")


def test_every_shipped_image_can_be_read_and_needs_what_is_there() -> None:
    for name in names():
        assert set(recipe_of(name).needs) <= set(names())


def test_a_download_that_fails_gives_its_tools_reason(tmp_path: Path) -> None:
    manifest = 'tag = "rie/own:1"\ncarries = ["wheels"]\n'
    (tmp_path / "own").mkdir()
    pinned = f"./no-such-wheel.whl --hash=sha256:{'0' * 64}\n"
    (tmp_path / "own/requirements.txt").write_text(pinned, "utf-8")
    recipe = read_recipe(make_image(tmp_path / "own", manifest))

    with (
        pytest.raises(BuildError, match=r"requirements\.txt: the download failed: .*no-such"),
        assembled(recipe, "x86_64"),
    ):
        pass


def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = 'tag = "rie/own:1"\ncarries = ["jars"]\n'
    (tmp_path / "own").mkdir()
    (tmp_path / "own/pom.xml").write_text("<project/>", "utf-8")
    recipe = read_recipe(make_image(tmp_path / "own", manifest))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BuildError, match="mvn is not installed"), assembled(recipe, "x86_64"):
        pass


def test_a_digest_knows_names_contents_and_who_may_run_a_file(tmp_path: Path) -> None:
    folder = make_image(tmp_path / "own")
    recipe = read_recipe(folder)
    digests = [digest(recipe)]
    (folder / "script").chmod(0o644)
    digests.append(digest(recipe))
    (folder / "script").write_text("#!/bin/bash\n", "utf-8")
    digests.append(digest(recipe))
    (folder / "script").rename(folder / "other")
    digests.append(digest(recipe))
    digests.append(digest(recipe, "arm64"))

    assert len(set(digests)) == len(digests)


def test_a_digest_does_not_know_times(tmp_path: Path) -> None:
    recipe = read_recipe(make_image(tmp_path / "own"))
    before = digest(recipe)

    os.utime(recipe.folder / "script", (1, 1))

    assert digest(recipe) == before
