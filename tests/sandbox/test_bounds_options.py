"""Bounds that cannot be had are one line and exit with 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.raw_http import LIMIT

ROOT = Path(__file__).resolve().parents[2]
# Where the options are taken after all, the ready file sees to it that it ends.
RUN = (sys.executable, "-m", "rie", "run", "--listen=127.0.0.1:0", "--ready-file=none/ready")
RANGE = "must be from 512 to 10240 MB"


def refusal(folder: Path, *options: str) -> str:
    """Return the one line that `rie run` says to these."""
    done = subprocess.run(
        (*RUN, *options, "--", "true"),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.removesuffix("\n")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--tmp-size=511"], f"--tmp-size '511' {RANGE}"),
        (["--tmp-size=10241"], f"--tmp-size '10241' {RANGE}"),
        (["--user=nosuchuser"], "--user 'nosuchuser' names no user of this machine"),
        (["--user=nosuchuser:1"], "--user 'nosuchuser:1' names no user of this machine"),
        (["--user=1:nosuchgroup"], "--user '1:nosuchgroup' names no group of this machine"),
        (["--user=1:2:3"], "--user '1:2:3' must be UID or UID:GID"),
        (["--user=:1"], "--user ':1' must be UID or UID:GID"),
        (["--task-root=/no/such/folder"], "--task-root '/no/such/folder' is not a folder"),
        (["--network=none"], "--network 'none' must be host or isolated"),
        (["--no-egress"], "--no-egress needs --network isolated"),
        (["--no-sandbox", "--freeze"], "--freeze needs the sandbox; leave out --no-sandbox"),
        (
            ["--no-sandbox", "--cpu-scaling"],
            "--cpu-scaling needs the sandbox; leave out --no-sandbox",
        ),
        (
            ["--no-sandbox", "--network=isolated"],
            "--network 'isolated' needs the sandbox; leave out --no-sandbox",
        ),
        (
            ["--no-sandbox", "--tmp-size=600"],
            "--tmp-size '600' needs the sandbox; leave out --no-sandbox",
        ),
        (["--no-sandbox", "--user=1:1"], "--user '1:1' needs the sandbox; leave out --no-sandbox"),
    ],
)
def test_what_makes_no_sense_is_refused(options: list[str], line: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, *options) == f"rie run: {line}"


@pytest.mark.parametrize("user", ["4294967296:1", "1:4294967296", "4294967295:1"])
def test_a_number_that_no_user_can_have_is_refused(user: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, f"--user={user}").startswith(f"rie run: --user '{user}' ")
