"""What the settings ask of an execution environment's bounds, in the sandbox's own terms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rie.sandbox.wanted import RUNTIME_API_PORT, Wanted
from rie.settings import Settings
from rie.worker import entrypoint
from rie.worker.entrypoint import LaunchError

# As many as the kernel follows, and as much of a first line as it reads.
_MOST_LINKS = 40
_LONGEST_HEAD = 256


def bounds_of(settings: Settings) -> Wanted:
    """Read off the settings what environments are to be held to."""
    port = settings.runtime_api[1] if settings.runtime_api is not None else 0
    return Wanted(
        memory_size=settings.memory_size,
        task_root=settings.task_root,
        bounded=settings.sandbox,
        tmp_size=settings.tmp_size,
        network=settings.network,
        runtime_api_port=port or RUNTIME_API_PORT,
        egress=settings.egress,
        freeze=settings.freeze,
        writable=settings.writable,
        cpu_scaling=settings.cpu_scaling,
        user=settings.user,
        needs=tuple(_needs(settings)),
        layers=settings.layers,
        kept=tuple(_kept(settings)),
    )


def _kept(settings: Settings) -> Iterator[Path]:
    """Yield the folders that were unpacked from archives."""
    if settings.code is None and not settings.layers:
        return
    from rie.artifacts.unpacked import default_root  # noqa: PLC0415 - few functions have archives

    root = default_root(os.environ)
    yield from (
        each for each in (settings.task_root, *settings.layers) if each.is_relative_to(root)
    )


def _needs(settings: Settings) -> Iterator[Path]:
    """Yield the files of this machine that the runtime is made of, as far as can be seen."""
    folder = settings.working_directory or settings.task_root
    with suppress(LaunchError):
        program = entrypoint.find(settings.command, folder, os.environ.get("PATH"), settings.layers)
        yield from _with_interpreter(Path(program.executable))
    for word in settings.command[1:]:
        if word.startswith(os.sep) and os.path.exists(word):  # noqa: PTH110 - any text may come
            yield from _with_interpreter(Path(word))
    yield Path(__file__).parent.parent  # where the package bootstrap is, beside rie


def _with_interpreter(path: Path) -> Iterator[Path]:
    """Yield a program, each place that its links lead to, and the same of its interpreter."""
    yield from _links(path)
    with suppress(OSError), path.open("rb") as file:
        head = file.readline(_LONGEST_HEAD)
        words = head[2:].split() if head.startswith(b"#!") else []
        if words:
            yield from _links(Path(os.fsdecode(words[0])))


def _links(path: Path) -> Iterator[Path]:
    for _ in range(_MOST_LINKS):
        yield path
        try:
            path = path.parent / path.readlink()
        except OSError:
            break
    yield path.resolve()
