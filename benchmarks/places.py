"""Where the benchmark's files are, and where it keeps what it builds and fetches."""

from pathlib import Path

HERE = Path(__file__).resolve().parent
FUNCTION = HERE / "function"
CACHE = HERE.parent / ".cache"
BUILDS = CACHE / "bench"
PEERS = CACHE / "peers"
