"""What the pages say holds: their examples run, their links lead somewhere, their lists agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import CONTAINERS, PAGES, ROOT, Block, follow, groups, title
from tests.support import containers

MORE_PAGES = (ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")
GROUPS = groups()


IN_CONTAINERS = [name for name in GROUPS if name.split()[1].startswith(CONTAINERS)]


@pytest.mark.parametrize("name", [name for name in GROUPS if name not in IN_CONTAINERS])
def test_the_examples_of_a_page_run(name: str, tmp_path: Path) -> None:
    follow(GROUPS[name], tmp_path)


@pytest.mark.matrix
@pytest.mark.parametrize("name", IN_CONTAINERS)
def test_the_examples_of_a_page_about_containers_run(name: str, tmp_path: Path) -> None:
    containers.base("python")  # in turns with other tests: a page would build it at once

    follow(GROUPS[name], tmp_path, containers.engine())


def test_the_readme_has_examples() -> None:
    assert {"README.md first", "README.md own"} <= set(GROUPS)


def test_an_example_that_fails_fails_the_test(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="said so"):
        follow([Block("sh", "echo said so; false\n", ("run",))], tmp_path)


def test_what_an_example_prints_is_compared(tmp_path: Path) -> None:
    run = Block("sh", "echo one; echo 2 or more\n", ("run",))
    follow([run, Block("", "one\n2 ...\n", ("prints",))], tmp_path)

    with pytest.raises(AssertionError):
        follow([run, Block("", "one\n3 ...\n", ("prints",))], tmp_path)


@pytest.mark.parametrize("page", [*PAGES, *MORE_PAGES], ids=title)
def test_links_lead_to_what_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    targets = [unquote(link) for link in links if "://" not in link]
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", [*PAGES, *MORE_PAGES], ids=title)
def test_sections_that_are_linked_to_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8"))

    missing = [
        f"{target}#{section}"
        for target, section in links
        if "://" not in target and section not in sections(page.parent / target if target else page)
    ]
    assert not missing


def test_the_page_of_the_architecture_has_the_layers_that_are_checked() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    block = re.search(r"<!-- layers -->\n```\n(.*?)```", page, re.DOTALL)
    assert block is not None
    told = [line.partition("  ")[0].strip() for line in block[1].splitlines()]

    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(each for each in contracts["contracts"] if each["id"] == "layers")["layers"]
    assert told == [re.sub(r"[()]", "", layer) for layer in layers]


def test_the_page_of_the_architecture_names_every_dependency() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups_of = project["dependency-groups"]
    wanted = [
        *project["project"]["dependencies"],
        *(each for group in groups_of.values() for each in group if isinstance(each, str)),
    ]

    names = {re.split(r"[\[>=<]", each)[0] for each in wanted}
    assert sorted(name for name in names if f"`{name}`" not in page) == []


def test_the_page_of_the_architecture_names_what_is_there_and_no_more() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    tree = page.partition("## The tree")[2].partition("\n## ")[0]
    there = {path.name for path in (ROOT / "rie").rglob("*.py")}
    top = {path.name for path in (ROOT / "rie").iterdir() if not path.name.startswith("__")}

    assert sorted(set(re.findall(r"\w+\.py\b", page)) - there) == []
    assert sorted(name for name in top - {"py.typed", "version.py"} if name not in tree) == []
    assert [
        path for path in re.findall(r"`(rie/[\w/]+\.py)`", page) if not (ROOT / path).exists()
    ] == []


def sections(page: Path) -> set[str]:
    """Return the anchors that a page's headings have."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
