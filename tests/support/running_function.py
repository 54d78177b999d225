"""`rie run` as a process of root's or of an ordinary user's; its function tries things out.

    with as_whom.run("--memory-size=256") as function:
        assert function.call("touch_memory", 60) == 60
        assert function.report().max_memory_used < 100

The probes are probes.py's. Code, interpreter and emulator can be read by everybody, as the
function runs as somebody who is not the test. Blocking; what is waited for must come within
LIMIT seconds.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rie.worker.process_table import members
from tests.support.emulator import LogReader, wait_until
from tests.support.raw_http import LIMIT, Connection, Response, request

ROOT = Path(__file__).resolve().parents[2]
PROBES = Path(__file__).with_name("probes.py")
PYTHON = Path("/usr/bin/python3")
COMMAND = (str(PYTHON), "-m", "bootstrap", "app.handler")
INVOKE = "/2015-03-31/functions/function/invocations"

NOBODY = 65534
# The right to read everything is for the emulator's own interpreter, which may be in a folder of
# root's. It is none to read what the function's user may not: it ends with the user namespace.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip

Name = Literal["root", "user"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a REPORT line tells. `max_memory_used` is in MB."""

    line: str
    max_memory_used: int
    status: str
    error_type: str | None

    @classmethod
    def read(cls, line: str) -> Report:
        found = re.search(
            r"Max Memory Used: (\d+) MB\t.*?(?:Status: (\w+)(?:\tError Type: ([\w.]+))?)?$", line
        )
        assert found, line
        return cls(line, int(found[1]), found[2] or "success", found[3])


class RunningFunction:
    """A running emulator and how its function is called."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        url: str,
        log: LogReader,
        diary: LogReader,
        mark: bytes,
    ) -> None:
        self.process = process
        self.log = log
        self.diary = diary
        self.mark = mark  # in the environment of all its processes
        self._address = url.removeprefix("http://")
        self._request_id = ""

    def begin(self, probe: str, *arguments: object) -> Connection:
        """Call the function; `read_response` of what is returned waits for the answer."""
        connection = Connection(self._address)
        event = json.dumps({"probe": probe, "arguments": arguments}).encode()
        connection.send(request("POST", INVOKE, event))
        return connection

    def invoke(self, probe: str, *arguments: object) -> Response:
        """Call the function and wait for its answer, be it an error."""
        with self.begin(probe, *arguments) as connection:
            answer = connection.read_response()
        self._request_id = answer.header("X-Amzn-RequestId") or ""
        return answer

    def call(self, probe: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON, as the probe's
        """Call the function and return what the probe does."""
        answer = self.invoke(probe, *arguments)
        assert answer.header("X-Amz-Function-Error") is None, answer.body
        return answer.json()

    def error(self, probe: str, *arguments: object) -> tuple[object, object]:
        """Call the function, which must fail; return the error's type and its message."""
        answer = self.invoke(probe, *arguments)
        assert answer.header("X-Amz-Function-Error") == "Unhandled", answer.body
        fields = answer.fields()
        return fields["errorType"], fields["errorMessage"]

    def report(self) -> Report:
        """Wait for the REPORT of the last call."""
        return Report.read(self.log.wait_for(f"REPORT RequestId: {self._request_id}"))

    def is_alive(self) -> bool:
        return self.process.poll() is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Who runs the emulator. `own` is a folder that they may write to, on no path of others'."""

    name: Name
    identity: tuple[int, int]
    prefix: tuple[str, ...]
    task_root: Path
    own: Path

    @contextmanager
    def run(
        self,
        *options: str,
        command: Sequence[str] = COMMAND,
        task_root: Path | None = None,
    ) -> Iterator[RunningFunction]:
        """Run the function; on the way out the emulator is ended, and all with it."""
        folder = Path(tempfile.mkdtemp(dir=self.own))
        os.chown(folder, *self.identity)
        ready, mark = folder / "ready", f"BOUNDS_TEST={folder}"
        argv = (
            *self.prefix, sys.executable, "-m", "rie", "run", "--listen=127.0.0.1:0",
            "--timeout=20", f"--ready-file={ready}", f"--env={mark}", *options, "--", *command,
        )  # fmt: skip
        (read_log, write_log), (read_diary, write_diary) = os.pipe(), os.pipe()
        log, diary = LogReader(read_log), LogReader(read_diary)
        with subprocess.Popen(
            argv,
            cwd=task_root or self.task_root,
            env=self._variables(),
            stdout=write_log,
            stderr=write_diary,
        ) as process:
            os.close(write_log)
            os.close(write_diary)
            try:
                wait_until(lambda: ready.exists() or process.poll() is not None, "the start")
                assert process.poll() is None, diary.all()
                url = json.loads(ready.read_text())["invoke_api"]
                yield RunningFunction(process, url, log, diary, mark.encode())
            finally:
                process.terminate()  # a kill would leave its runtime behind
                process.wait(LIMIT)
        assert process.returncode == 0, diary.all()
        assert "please report" not in "\n".join(diary.all())
        wait_until(lambda: not list(members(mark.encode())), "the end of all that it started")

    def _variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self.own),
        }


@contextmanager
def open_folder(mode: int = 0o755, parent: str = "/var/tmp") -> Iterator[Path]:
    """Make a folder that others can reach, unlike pytest's own; it is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="rie-bounds-", dir=parent))
    try:
        folder.chmod(mode)
        yield folder
    finally:
        shutil.rmtree(folder)


def put_code(folder: Path) -> None:
    """Put the function into a task root."""
    shutil.copy(PROBES, folder / "app.py")
    shutil.copytree(
        ROOT / "bootstrap", folder / "bootstrap", ignore=shutil.ignore_patterns("__pycache__")
    )


@contextmanager
def whom(name: Name) -> Iterator[Whom]:
    """Be root or an ordinary user; an ordinary user can be no other."""
    ours = os.geteuid(), os.getegid()
    becomes_nobody = name == "user" and ours[0] == 0
    identity = (NOBODY, NOBODY) if becomes_nobody else ours
    with open_folder() as task_root, open_folder() as own:
        put_code(task_root)
        os.chown(own, *identity)
        yield Whom(
            name=name,
            identity=identity,
            prefix=AS_NOBODY if becomes_nobody else (),
            task_root=task_root,
            own=own,
        )
