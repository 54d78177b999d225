"""Where there is no Linux: nothing fails to be imported, and what is missing is said.

macOS as far as it can be had here: its Python has none of these names, there is no /proc, and
the launcher is not built.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rie.sandbox.wanted import FEATURES

ROOT = Path(__file__).parents[2]

AS_ON_MACOS = """
import fcntl, os, pkgutil, importlib, select, signal, socket, sys, tempfile

sys.platform = "darwin"
for module, names in {
    os: ("pidfd_open", "memfd_create", "O_PATH", "O_TMPFILE", "setns", "unshare", "waitid"),
    socket: ("SCM_CREDENTIALS", "SO_PASSCRED", "SO_PEERCRED", "SOCK_CLOEXEC"),
    signal: ("sigtimedwait", "sigwaitinfo", "pidfd_send_signal"),
    select: ("epoll",),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

import rie.sandbox.launcher
from pathlib import Path

rie.sandbox.launcher.PROGRAM = Path("/nonexistent/launcher")
"""

IMPORTS = f"""{AS_ON_MACOS}
import rie
for found in pkgutil.walk_packages(rie.__path__, "rie."):
    if found.name not in ("rie.__main__",):
        importlib.import_module(found.name)
print("imported")
"""

DOCTOR = f"""{AS_ON_MACOS}
from rie.sandbox import files

rie.sandbox.files.read = lambda path: b""
from rie.cli import main

raise SystemExit(main(["doctor", "--json"]))
"""

FUNCTION = f"""{AS_ON_MACOS}
import asyncio
from rie import Emulator, Settings

async def run():
    settings = Settings(
        command=(sys.executable, "-P", "-m", "bootstrap", "app.handler"),
        task_root=Path(sys.argv[1]),
        environment={{"PYTHONPATH": {str(ROOT)!r}}},
        listen=("127.0.0.1", 0),
        timeout=60,
    )
    async with Emulator(settings, log_to=2) as emulator:
        print((await emulator.invoke({{"a": 1}})).payload.decode())

asyncio.run(run())
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_module_can_be_imported() -> None:
    done = run(IMPORTS)

    assert (done.stdout, done.stderr) == ("imported\n", "")


def test_doctor_says_that_nothing_is_enforced_and_what_is_missing() -> None:
    done = run(DOCTOR)

    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)["bounds"]
    assert [each["name"] for each in told] == list(FEATURES)
    assert not any(each["enforced"] for each in told)
    assert all("launcher is not built" in each["remedy"] for each in told)


def test_a_function_runs_all_the_same(tmp_path: Path) -> None:
    Path(tmp_path, "app.py").write_text(
        "import os\ndef handler(event, context):\n    return os.environ['TMPDIR'][:5]\n"
    )

    done = run(FUNCTION, str(tmp_path))

    assert done.stdout.startswith('"/'), done.stderr
    assert "launcher is not built" in done.stderr
