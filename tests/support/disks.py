"""Whether disks can be made and mounted here: by root, with loop devices."""

from __future__ import annotations

import subprocess
from contextlib import closing

import pytest

from rie.sandbox.disk import make_disk
from rie.sandbox.temporary_files import NoDisk


def why_no_disk() -> str | None:
    try:
        with closing(make_disk(512, (0, 0))) as disk:
            mounted = subprocess.run(
                ("unshare", "-m", "mount", disk.device, "/mnt"), capture_output=True, check=False
            )
    except (NoDisk, FileNotFoundError) as reason:
        return str(reason)
    return None if mounted.returncode == 0 else mounted.stderr.decode().strip()


NO_DISK = why_no_disk()
needs_disk = pytest.mark.skipif(NO_DISK is not None, reason=f"loop devices: {NO_DISK}")
