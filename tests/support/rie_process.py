"""`rie run` as a process of root, and of an ordinary user; its calls, and its traces.

    with rie_run(who, "--freeze") as rie:
        assert rie.ask("ping") == "pong"
        rie.kill(signal.SIGKILL)
        rie.watch.assert_nothing_left()

The function is tests/support/restless.py.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.support.emulator import LogReader, wait_until
from tests.support.raw_http import LIMIT, Connection, Response, request
from tests.support.traces import Watch

Who = Literal["root", "user"]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"  # of the function: everybody can read it, which ours may not be
NOBODY = 65534
IS_ROOT = os.geteuid() == 0

_INVOKE = "/2015-03-31/functions/function/invocations"

# The capability lets it read an interpreter that is in root's folders. It counts for nothing in
# a user namespace, so that the function does not have it.
_AS_USER = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--",
)  # fmt: skip

needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root, to be root and to be another")
needs_capsh = pytest.mark.skipif(
    shutil.which("capsh") is None, reason="needs capsh (libcap2-bin), to take capabilities away"
)
needs_python = pytest.mark.skipif(
    not os.access(PYTHON, os.X_OK), reason=f"needs {PYTHON}, which every user can run"
)

as_everybody = pytest.mark.parametrize("who", [pytest.param("root", marks=needs_root), "user"])

# No capability at all, as in a container that dropped them; and the first process of one.
POWERLESS = ("capsh", "--drop=all", "--", "-c", 'exec "$@"', "sh")
POWERLESS_INIT = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *POWERLESS)


def everybody() -> tuple[Who, ...]:
    """Say as whom this process can run an emulator."""
    return ("root", "user") if IS_ROOT else ("user",)


def as_(who: Who) -> Sequence[str]:
    """Begin a command line that is run by `who`."""
    return _AS_USER if who == "user" and IS_ROOT else ()


def variables(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"} | more


@dataclass(frozen=True, slots=True)
class Home:
    """Folders of one emulator, no other's: `task` for the function, the others its user's."""

    task: Path
    own: Path
    temporary: Path


@contextmanager
def home(who: Who) -> Iterator[Home]:
    """Make folders that `who` can get at, not in pytest's, which is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="test-of-rie-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        made = Home(folder / "task", folder / "own", folder / "own" / "tmp")
        for each in (made.task, made.own, made.temporary):
            each.mkdir(mode=0o755)
        if who == "user" and IS_ROOT:
            os.chown(made.own, NOBODY, NOBODY)
            os.chown(made.temporary, NOBODY, NOBODY)
        shutil.copy(ROOT / "tests/support/restless.py", made.task / "app.py")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "bootstrap", made.task / "bootstrap", ignore=ignored)
        yield made
    finally:
        shutil.rmtree(folder)


class RieProcess:
    """A running emulator. `pid` is its own, whatever program was run first."""

    def __init__(
        self, process: subprocess.Popen[bytes], pid: int, marker: str, place: Home
    ) -> None:
        assert process.stdout
        assert process.stderr
        self.process = process
        self.pid = pid
        self.home = place
        self.watch = Watch(pid, marker, place.temporary)
        self.log = LogReader(os.dup(process.stdout.fileno()))
        self.diary = LogReader(os.dup(process.stderr.fileno()))
        self.address = ""

    def begin(self, do: str, **more: object) -> Connection:
        """Call the function; `read_response` of what is returned waits for the answer."""
        connection = Connection(self.address)
        body = json.dumps({"do": do, **more}).encode()
        connection.send(request("POST", _INVOKE, body))
        return connection

    def call(self, do: str, **more: object) -> Response:
        """Call the function and wait for the answer."""
        with self.begin(do, **more) as connection:
            return connection.read_response()

    def ask(self, do: str, **more: object) -> object:
        """Call the function, which must succeed."""
        answer = self.call(do, **more)
        assert answer.status == 200, answer
        assert answer.header("X-Amz-Function-Error") is None, answer
        return answer.json()

    def fail(self, do: str, **more: object) -> dict[str, object]:
        """Call the function, which must fail; return the error."""
        answer = self.call(do, **more)
        assert answer.header("X-Amz-Function-Error") == "Unhandled", answer
        return answer.fields()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit status of what was run first."""
        self.send(number)
        return self.process.wait(LIMIT)


@contextmanager
def rie_run(
    who: Who,
    *options: str,
    before: Sequence[str] = (),
    command: Sequence[str] = (),
    at: Home | None = None,
) -> Iterator[RieProcess]:
    """Run an emulator until it takes calls; end it on the way out, if it is still there.

    `before` are words in front of its own command line; `command` is the runtime's; `at` are
    the folders, if it is to have those of another.
    """
    with home(who) if at is None else nullcontext(at) as place:
        (place.own / "ready").unlink(missing_ok=True)
        marker = f"TRACE={secrets.token_hex(8)}"
        words = words_of_run(place, f"--env={marker}", *options, command=command)
        with begun(who, words, place, before=before) as process:
            ready = place.own / "ready"
            wait_until(lambda: ready.exists() or process.poll() is not None, "the start")
            assert process.poll() is None, process.communicate()
            rie = RieProcess(process, _emulator_below(process.pid), marker, place)
            rie.address = json.loads(ready.read_text())["invoke_api"].removeprefix("http://")
            yield rie


def words_of_run(place: Home, *options: str, command: Sequence[str] = ()) -> tuple[str, ...]:
    """Spell the command line of an emulator in `place`."""
    chosen = command or (PYTHON, "-m", "bootstrap", "app.handler")
    return (
        sys.executable, "-m", "rie", "run", "--listen=127.0.0.1:0", "--function-name=function",
        f"--ready-file={place.own / 'ready'}", f"--task-root={place.task}", "--diary-format=json",
        *options, "--", *chosen,
    )  # fmt: skip


@contextmanager
def begun(
    who: Who, words: Sequence[str], place: Home, *, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program as `who`; what it has not ended itself is ended on the way out."""
    with subprocess.Popen(
        (*as_(who), *before, *words),
        cwd=place.own,
        env=variables(TMPDIR=str(place.temporary)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _emulator_below(pid: int) -> int:
    """Find the emulator: `unshare --fork` stays in front of it, the others become it."""
    while "unshare" in Path(f"/proc/{pid}/comm").read_text():
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    with suppress(OSError):
        os.kill(_emulator_below(process.pid), signal.SIGTERM)
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
