#!/usr/bin/env python3
"""Write requirements.lock from pyproject.toml, or with --check tell whether it is out of date.

The lock pins every package that work on this project needs, with hashes, for each Python
and platform that it supports. Its first line holds a digest of the tables it was made from.
Writing needs uv; checking needs the standard library only.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"


def heading() -> str:
    """Return the lock's first line, as pyproject.toml has it made now."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = tables["project"]
    made_from = [
        tables["build-system"],
        tables["dependency-groups"],
        {name: project.get(name) for name in ("requires-python", "dependencies")},
    ]
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return f"# Written by `make lock` from pyproject.toml, whose tables had the digest {digest}"


def write() -> None:
    """Resolve anew; versions already in the lock stay where they still fit."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--group=dev", "--output-file=requirements.lock"]
    subprocess.run([*command, "pyproject.toml", *sys.argv[1:]], cwd=ROOT, check=True)
    LOCK.write_text(f"{heading()}\n{LOCK.read_text('utf-8')}", "utf-8")


def is_fresh() -> bool:
    """Tell whether the lock was made from these tables."""
    return LOCK.is_file() and LOCK.read_text("utf-8").partition("\n")[0] == heading()


if sys.argv[1:] != ["--check"]:
    write()
elif not is_fresh():
    sys.exit("requirements.lock is older than pyproject.toml: run `make lock`")
