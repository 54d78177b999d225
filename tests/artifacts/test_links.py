"""Where links lead: as the kernel says, who is asked as well."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rie.artifacts.errors import BuildError
from rie.artifacts.links import Links


@pytest.mark.parametrize(
    ("name", "links", "leads_to"),
    [
        ("a", {"a": "b"}, "b"),
        ("a/b", {"a/b": "../c"}, "c"),
        ("a/b", {"a/b": "."}, "a"),
        ("a/b", {"a/b": ".."}, ""),
        ("a/b", {"a/b": "../.."}, None),
        ("a", {"a": "/a"}, None),
        ("a", {"a": "b", "b": "/x"}, None),
        ("a", {"a": "d/x", "d": "e/f"}, "e/f/x"),
        ("e", {"d": ".", "e": "d/d/../.."}, None),
        ("a", {"a": "b", "b": "a"}, "a"),
        ("plain", {}, "plain"),
    ],
)
def test_a_link_leads_to(name: str, links: dict[str, str], leads_to: str | None) -> None:
    assert Links(links).destination(name) == leads_to


PARTS = st.sampled_from(["a", "b", "c", "..", "."])
LINKS = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/b", "d/e/c"]),
    st.lists(PARTS, min_size=1, max_size=6).map("/".join),
    min_size=1,
)


@given(LINKS)
@settings(max_examples=200, deadline=None)
def test_no_link_that_is_said_to_stay_within_leads_out(links: dict[str, str]) -> None:
    place = Path(os.path.realpath(tempfile.mkdtemp(prefix="test-of-rie-")))
    top = place / "1/2/3/4/5/6/7/top"
    try:
        (top / "d/e").mkdir(parents=True)
        for name, target in links.items():
            (top / name).symlink_to(target)
        for name in links:
            real = os.path.realpath(top / name)
            leads_to = Links(links).destination(name)
            if leads_to is not None and leads_to not in links:
                assert real == str(top / leads_to).rstrip("/")
    finally:
        shutil.rmtree(place)


def test_links_that_lead_around_for_too_long_are_refused() -> None:
    long = "/".join(["a"] * 2000)
    links = {f"d/{each}": f"{each + 1}/../{long}" for each in range(3000)}
    ways = Links(links)

    with pytest.raises(BuildError, match="lead around for too long"):
        [ways.destination(name) for name in links]
