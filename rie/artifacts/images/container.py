"""One container: started as Lambda would start its image, asked for its port, log and end.

Lambda gives a function a root file system that it cannot write to, 512 MB in /tmp, a user
without privileges, and 1,024 processes. Sizes are in MB, times in seconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rie.artifacts.images.engine import Engine, EngineError

PORT = 8080  # of the emulator, in a container

# Lambda's own, as seen from a function.
_USER = "993:990"
_MOST_PROCESSES = 1024
# What the emulator takes, which on AWS is not in the function's memory.
_EMULATOR_MEMORY = 64


def lambda_options(memory_size: int, tmp_size: int) -> list[str]:
    """Return options of `podman run` for Lambda's bounds, as near as an engine comes to them.

    A tmpfs counts towards a container's memory, where Lambda's /tmp is a disk: so its size is
    added, or else a file in /tmp would end the function.
    """
    memory = f"{memory_size + tmp_size + _EMULATOR_MEMORY}m"
    return [
        "--read-only",
        f"--tmpfs=/tmp:rw,nosuid,nodev,size={tmp_size}m,mode=1777",
        f"--memory={memory}",
        f"--memory-swap={memory}",
        f"--pids-limit={_MOST_PROCESSES}",
        f"--user={_USER}",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
    ]


@dataclass(frozen=True, slots=True)
class Container:
    """A container that has been started; `id` is its name."""

    engine: Engine
    id: str

    def address(self) -> str:
        """Return HOST:PORT at which the emulator is reached; "" when the container has ended."""
        try:
            said = self.engine.call("port", self.id, f"{PORT}/tcp")
        except EngineError:
            return ""
        return said.partition("\n")[0].strip()

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.engine.call("inspect", "--format", "{{.State.Running}}", self.id) == "true\n"

    def logs(self) -> str:
        """Return what it has printed so far to stdout, then to stderr."""
        return self.engine.call("logs", self.id, both=True)

    def terminate(self, limit: float) -> int:
        """Send SIGTERM to its first process and return its exit status. Raises EngineError."""
        self.engine.call("kill", "--signal", "TERM", self.id)
        return self.wait(limit)

    def wait(self, limit: float) -> int:
        """Return the exit status of its first process. Raises EngineError after the limit."""
        return int(self.engine.call("wait", self.id, limit=limit))

    def remove(self) -> None:
        """End it, if it has not ended, and leave nothing of it."""
        # podman would wait for its end politely, which docker does not.
        at_once = ("--time", "0") if self.engine.name == "podman" else ()
        with suppress(EngineError):
            self.engine.call("rm", "--force", "--volumes", *at_once, self.id)


@contextmanager
def started(
    engine: Engine, image: str, options: Sequence[str] = (), command: Sequence[str] = ()
) -> Iterator[Container]:
    """Start a container with the emulator's port published on loopback, and remove it.

    Its name is ours, so that it can be removed too when its start fails, or is broken off.
    Raises EngineError.
    """
    container = Container(engine, f"rie-{secrets.token_hex(8)}")
    with TemporaryDirectory(prefix="rie-container-") as folder:
        # podman's monitor leaves a file named oom where it was started, when memory runs out.
        apart = replace(engine, folder=Path(folder))
        with _removed(container):
            apart.call(*_run(container, image, options, command))
            yield container


def _run(
    container: Container, image: str, options: Sequence[str], command: Sequence[str]
) -> tuple[str, ...]:
    return (
        *("run", "--detach", "--pull=never", f"--name={container.id}"),
        f"--publish=127.0.0.1::{PORT}",
        *options,
        image,
        *command,
    )


@contextmanager
def _removed(container: Container) -> Iterator[None]:
    try:
        yield
    finally:
        container.remove()
