"""Builds the launcher, a small program in C, into the package: see rie/sandbox/native/main.c.

Where there is no C compiler, or no Linux, the package goes without it: functions run then
without limits and isolation, and `rie doctor` says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LAUNCHER = "rie/sandbox/native/launcher"  # and beside it, its sources
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-s")

# A static program starts in half the time, and in any image. Not every system has the libraries.
LINKAGES = (("-static",), ())


class LauncherHook(BuildHookInterface[Any]):
    """Hatchling's hook, for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Compile, and tell the wheel what it carries and which machines it is for."""
        target = Path(self.root, LAUNCHER)
        if not self._built(target):
            return
        build_data["artifacts"].append(LAUNCHER)
        build_data["pure_python"] = False
        machine = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{machine}"

    def _built(self, target: Path) -> bool:
        compiler = shutil.which(os.environ.get("CC") or "cc") or shutil.which("gcc")
        if sys.platform != "linux" or compiler is None:
            self.app.display_warning("no C compiler: functions will run without limits")
            return False
        sources = sorted(map(str, target.parent.glob("*.c")))
        new = target.with_suffix(".new")
        for linkage in LINKAGES:
            command = [compiler, *FLAGS, *linkage, "-o", str(new), *sources]
            result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if result.returncode == 0:
                new.replace(target)  # an emulator that runs keeps the one that it has
                return True
        self.app.display_warning(f"the launcher cannot be compiled: {result.stderr.strip()}")
        return False
