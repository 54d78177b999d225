"""A program named podman or docker that does as it is told, and writes down what it was asked.

engine = fake_engine(tmp_path, info="amd64", build=Says(status=1, stderr="Error: no"))
find(None, engine.environ)
assert engine.calls == [["info", ...]]
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

_PROGRAM = """\
#!{python}
import json, sys, time
with open({calls!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
says = json.load(open({says!r})).get(sys.argv[1], {{}})
print(says.get("stdout", ""), flush=True)
print(says.get("stderr", ""), file=sys.stderr, flush=True)
if says.get("hangs"):
    time.sleep(600)
sys.exit(says.get("status", 0))
"""


@dataclass(frozen=True, slots=True)
class Says:
    """What it does for one command."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0
    hangs: bool = False


class FakeEngine:
    """It is the only engine on the PATH of `environ`."""

    def __init__(self, folder: Path, name: str, says: dict[str, Says]) -> None:
        self.program = folder / "bin" / name
        self.environ = {"PATH": str(self.program.parent), "HOME": os.environ.get("HOME", "/")}
        self._calls = folder / f"{name}.calls"
        self._calls.touch()
        self._says = folder / f"{name}.says"
        self._says.write_text(json.dumps({key: asdict(each) for key, each in says.items()}))
        self.program.parent.mkdir(exist_ok=True)
        self.program.write_text(
            _PROGRAM.format(python=sys.executable, calls=str(self._calls), says=str(self._says)),
            "utf-8",
        )
        self.program.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of each call, so far."""
        return [json.loads(line) for line in self._calls.read_text("utf-8").splitlines()]


def fake_engine(folder: Path, name: str = "podman", **says: Says) -> FakeEngine:
    """Put one into a folder; commands that nothing is said of succeed, without a word."""
    return FakeEngine(folder, name, says)
