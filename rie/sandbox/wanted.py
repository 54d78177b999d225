"""What an execution environment is to be held to, and what this machine makes of it.

Sources of the numbers: Lambda developer guide, "Lambda quotas" (descriptors, processes and
threads, /tmp), "Configure Lambda function memory" (1,769 MB are one vCPU); the user's name and
numbers as a function on AWS sees them.

Tuples rather than dataclasses, which take a millisecond to make: this is on the way of every
start.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

Network = Literal["host", "isolated"]
Identity = tuple[int, int]  # uid, gid

TASK_ROOT = Path("/var/task")
OPT = Path("/opt")  # where layers are
TMP = Path("/tmp")  # noqa: S108 - the function's own, not ours

# sbx_user1051 and its group: what `id` says in a function.
LAMBDA_IDENTITY: Identity = (993, 990)
LAMBDA_USER = "sbx_user1051"

DESCRIPTORS = 1024
PROCESSES = 1024
MB_PER_VCPU = 1769

# The Runtime API's port on AWS, and in an isolated environment here.
RUNTIME_API_PORT = 9001


class Wanted(NamedTuple):
    """The bounds of an environment. Sizes in MB. Not `bounded`, it has none, and is only watched.

    `layers` are folders that lie over one another at /opt, the last on top. What of these and of
    the task root is `kept` was unpacked from an archive, and is not this run's alone: it is never
    written to, not even by who may write.
    `needs` are the paths on this machine that its program cannot do without: what of them lies
    below /tmp is shown in the environment's own, and a user who cannot read them is not put in.
    """

    memory_size: int
    task_root: Path
    bounded: bool = True
    tmp_size: int = 512
    network: Network = "host"
    runtime_api_port: int = RUNTIME_API_PORT
    egress: bool = True
    freeze: bool = False
    writable: bool = False
    cpu_scaling: bool = False
    user: Identity | None = None  # None: Lambda's, where this program may choose one
    needs: tuple[Path, ...] = ()
    layers: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()

    def is_code(self, path: Path) -> bool:
        """Whether it is found in the function's own folders, wherever these are mounted."""
        return any(path.is_relative_to(folder) for folder in (self.task_root, *self.layers))

    @property
    def cpus(self) -> float | None:
        """The share of processors that goes with the memory; None: all there are."""
        return self.memory_size / MB_PER_VCPU if self.cpu_scaling else None


Feature = Literal[
    "memory", "tmp", "files", "descriptors", "processes", "cpu", "user", "network", "egress",
    "freeze", "cleanup",
]  # fmt: skip

# As they are told, and what each promises.
FEATURES: dict[Feature, str] = {
    "memory": "no more than --memory-size",
    "tmp": "a /tmp of its own, full at --tmp-size",
    "files": "/var/task, /opt and all else read-only",
    "descriptors": f"{DESCRIPTORS:,} file descriptors",
    "processes": f"{PROCESSES:,} processes and threads",
    "cpu": f"--cpu-scaling: a processor for each {MB_PER_VCPU:,} MB",
    "user": f"an unprivileged user, {LAMBDA_USER}",
    "network": "--network isolated: its own Runtime API, no other's",
    "egress": "access to the outside from an isolated network",
    "freeze": "--freeze: stopped between invocations",
    "cleanup": "nothing is left of it, whatever it did",
}


class Fact(NamedTuple):
    """What this machine does for a feature: by which mechanism, or what is missing for one.

    Not `enforced`, it may still be watched or done in part; then `mechanism` says how.
    """

    feature: Feature
    enforced: bool
    mechanism: str
    remedy: str = ""
