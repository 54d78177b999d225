"""How rows are measured, and what becomes of contenders that cannot be."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import peers
from benchmarks.__main__ import BEGIN, END, put_figures, rows
from benchmarks.contenders import Ours, Runtime
from benchmarks.peers import UnavailableError
from benchmarks.report import Metric, Result
from benchmarks.rows import interleave


def make_result() -> Result:
    return Result(id="x", title="X", method="-", metrics=(Metric("p50", "us"),), targets=())


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def sample(name: str) -> dict[str, float]:
        order.append(name)
        return {"p50": 1.0}

    interleave(make_result(), 2, {"a": lambda: sample("a"), "b": lambda: sample("b")})

    assert order == ["a", "b", "a", "b"]


def test_a_contender_that_cannot_take_part_is_named_and_asked_once() -> None:
    asked: list[str] = []

    def sample() -> dict[str, float]:
        asked.append("a")
        raise UnavailableError("no network")

    result = interleave(make_result(), 3, {"a": sample, "b": lambda: {"p50": 1.0}})

    assert asked == ["a"]
    assert result.absent == {"a": "no network"}
    assert result.series == {("b", "p50"): [1.0, 1.0, 1.0]}


def test_a_peer_with_another_hash_is_not_run(tmp_path: Path) -> None:
    peer = replace(peers.OFFICIAL, project="some-peer", version="1.0")
    (tmp_path / "some_peer-1.0-py3-none-any.whl").write_bytes(b"not what was pinned")

    with pytest.raises(UnavailableError, match="not the pinned one"):
        peers.wheel_of(peer, tmp_path)


def test_a_row_that_does_not_exist_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no row 'cold'"):
        rows("warm,cold")


def test_our_emulator_is_given_its_address_and_its_environments() -> None:
    launch = Ours(program=("rie",)).launch(Runtime("any", ("./bootstrap",)), 8123, 4)

    command = " ".join(launch.command)
    assert command.startswith("rie run --listen 127.0.0.1:8123 --environments 4 ")
    assert command.endswith(" -- ./bootstrap")


def test_figures_go_to_their_place_in_a_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Performance\n{BEGIN}\nold\n{END}\nMore.\n")

    put_figures(str(page), "new\n")

    assert page.read_text() == f"# Performance\n{BEGIN}\nnew\n{END}\nMore.\n"
