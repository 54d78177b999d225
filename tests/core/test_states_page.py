from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "docs" / "draw_states.py"


def test_the_page_of_states_is_what_the_tables_say() -> None:
    checked = subprocess.run(
        [sys.executable, str(GENERATOR), "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr


def test_the_page_names_every_state_and_every_phase() -> None:
    drawn = runpy.run_path(str(GENERATOR))

    page = drawn["page"]()

    for member in [*drawn["RuntimeState"], *drawn["Phase"], *drawn["RuntimeCall"], *drawn["Turn"]]:
        assert member.value in page
