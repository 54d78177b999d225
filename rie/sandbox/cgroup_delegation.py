"""Whether a group of cgroup v2 is ours to change, or systemd's, which would undo the change.

Each time that it is reloaded, systemd writes the cgroup.subtree_control of its groups anew, and
takes controllers back that it did not hand on itself: their limits go without a word. It leaves
those alone that it has delegated. Sources: systemd's docs/CGROUP_DELEGATION.md;
systemd.resource-control(5), "Delegate="; sd_booted(3).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

SYSTEMD = "/run/systemd/system"  # there where systemd manages the machine

REMEDY = (
    "Start rie in a group of its own (systemd-run --user --scope -p Delegate=yes; as root "
    "without --user), or put Delegate=yes into its unit"
)


def is_ours(path: str, mount: str, own: str) -> bool:
    """Whether controllers can be handed on in `path`, and stay so.

    `own` is the group that we are in, `mount` the topmost that is to be seen.
    """
    if not is_systemds():
        return True
    # A container's own group looks like the root; systemd is outside, or has gone to one below.
    if own == mount and not is_root(path):
        return True
    return any(map(_is_delegated, _units(path, mount)))


def is_systemds() -> bool:
    """Whether systemd manages the groups of this machine."""
    return os.path.exists(SYSTEMD)  # noqa: PTH110 - the start-up diet


def is_root(path: str) -> bool:
    """Whether it is the hierarchy's real root, which may have processes and hand on too."""
    return not os.path.exists(f"{path}/cgroup.type")  # noqa: PTH110


def _units(path: str, mount: str) -> Iterator[str]:
    """Yield it and what is above it, up to the next slice: none of those is ever delegated."""
    while path != mount and not path.endswith(".slice"):
        yield path
        path = path.rpartition("/")[0]


def _is_delegated(path: str) -> bool:
    try:
        # A user's own systemd cannot mark what it delegates; what it made is the user's.
        return os.stat(path).st_uid == os.geteuid() != 0 or (  # noqa: PTH116
            os.getxattr(path, "user.delegate") == b"1"
        )
    except OSError:  # there is no such mark
        return False
