"""Wheels made on the spot, so that pip has something to install without a network."""

from __future__ import annotations

import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path


def wheel(  # noqa: PLR0913 - a wheel has so much to say
    folder: Path,
    name: str,
    files: dict[str, bytes],
    *,
    tag: str = "py3-none-any",
    requires: tuple[str, ...] = (),
    commands: tuple[str, ...] = (),
) -> Path:
    """Write `name` 1.0; `commands` are made by pip, to call its function `main`."""
    folder.mkdir(exist_ok=True)
    notes = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + "".join(
        f"Requires-Dist: {each}\n" for each in requires
    )
    everything = files | {
        f"{notes}/METADATA": metadata.encode(),
        f"{notes}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    if commands:
        lines = "".join(f"{each} = {name}:main\n" for each in commands)
        everything[f"{notes}/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    rows = "".join(f"{each},{_digest(content)}\n" for each, content in everything.items())
    everything[f"{notes}/RECORD"] = f"{rows}{notes}/RECORD,,\n".encode()
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in everything.items():
            info = zipfile.ZipInfo(each)
            info.external_attr = (0o100755 if "/scripts/" in each else 0o100644) << 16
            archive.writestr(info, content)
    return path


def _digest(content: bytes) -> str:
    digest = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest},{len(content)}"
