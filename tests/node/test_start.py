"""The command line, and where modules are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bootstrap.scripted import ScriptedApi, finish
from tests.node.played import OURS, event, play, start
from tests.real.runtimes import OUR_NODE, require

if TYPE_CHECKING:
    from pathlib import Path

FOUND = "exports.handler = async () => 'found';"


@pytest.fixture(autouse=True)
def node() -> None:
    require(*OUR_NODE.tools)


@pytest.mark.parametrize(
    ("words", "address", "why"),
    [
        ((), "", "AWS_LAMBDA_RUNTIME_API is not set: there is no Runtime API"),
        ((), "nowhere", 'AWS_LAMBDA_RUNTIME_API must be host:port, not "nowhere"'),
        (("a.b", "c.d"), "127.0.0.1:1", "one handler, and no options: a.b c.d"),
        (("--fast",), "127.0.0.1:1", "one handler, and no options: --fast"),
    ],
)
def test_a_command_line_that_cannot_work_says_why(
    tmp_path: Path, words: tuple[str, ...], address: str, why: str
) -> None:
    api = ScriptedApi()
    api.address = address

    with api:
        ended = finish(start((*OURS, *words), api, tmp_path, "app.handler"))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"bootstrap: {why}")


def test_an_argument_names_the_handler_before_the_variable(tmp_path: Path) -> None:
    files = {"app.js": FOUND}

    played = play((*OURS, "app.handler"), tmp_path, files, event(), handler="other.handler")

    assert played.answers() == [("response", "found")]


def test_a_name_without_a_file_is_no_handlers_name(tmp_path: Path) -> None:
    played = play(OURS, tmp_path, {}, event(), handler=".")

    error = {"errorType": "Runtime.MalformedHandlerName", "errorMessage": "Bad handler"}
    assert played.answers() == [("error", error)]
    assert played.ended.code == 1


def test_an_absolute_name_leads_out_of_the_task_root(tmp_path: Path) -> None:
    files = {"layer/app.js": FOUND, "task/other.js": ""}
    handler = f"{tmp_path}/layer/app.handler"

    played = play(OURS, tmp_path, files, event(), handler=handler)

    assert played.answers() == [("response", "found")]


def test_a_folder_with_an_index_is_a_module(tmp_path: Path) -> None:
    played = play(OURS, tmp_path, {"app/index.js": FOUND}, event())

    assert played.answers() == [("response", "found")]


def test_a_folder_of_the_same_name_does_not_hide_a_module(tmp_path: Path) -> None:
    # The official client 4.0 tries to import the folder.
    files = {"app/other.txt": "", "app.mjs": "export const handler = async () => 'found';"}

    played = play(OURS, tmp_path, files, event())

    assert played.answers() == [("response", "found")]


def test_a_path_with_characters_of_urls_is_taken_as_it_is(tmp_path: Path) -> None:
    files = {"a#b?c%20/app.mjs": "export const handler = async () => 'found';"}

    played = play(OURS, tmp_path, files, event(), handler="a#b?c%20/app.handler")

    assert played.answers() == [("response", "found")]


def test_a_package_file_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    files = {"package.json": "{", "app.cjs": FOUND}

    played = play(OURS, tmp_path, files, event())

    assert played.answers() == [("response", "found")]


def test_commonjs_finds_layers_by_node_path(tmp_path: Path) -> None:
    files = {
        "app.js": "const found = require('pack'); exports.handler = async () => found;",
        "layer/pack/index.js": "module.exports = 'found';",
    }

    played = play(OURS, tmp_path, files, event(), env={"NODE_PATH": str(tmp_path / "layer")})

    assert played.answers() == [("response", "found")]


def test_an_es_module_does_not_find_them_as_on_aws(tmp_path: Path) -> None:
    files = {
        "app.mjs": "import found from 'pack'; export const handler = async () => found;",
        "layer/pack/index.js": "module.exports = 'found';",
    }

    played = play(OURS, tmp_path, files, event(), env={"NODE_PATH": str(tmp_path / "layer")})

    ((_, error),) = played.answers()
    assert isinstance(error, dict)
    assert error["errorMessage"].startswith("Cannot find package 'pack'")
