"""What engines complain of on machines that their defaults do not fit, and what helps.

The settings named here go into podman's containers.conf: /etc/containers/containers.conf,
~/.config/containers/containers.conf, or a file that the variable CONTAINERS_CONF names.
"""

from __future__ import annotations

import re

_CONF = "in containers.conf"

# In the order in which they are to be looked for: an error often quotes another.
_REMEDIES = tuple(
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (
            r"setrlimit.*(not permitted|permission denied)|RLIMIT_(NOFILE|NPROC)",
            f'set {_CONF}: [containers] default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]',
        ),
        (
            r"hybrid mode not supported",
            f'install runc; set {_CONF}: [engine] runtime = "runc", cgroup_manager = "cgroupfs"',
        ),
        (
            r"sd-bus call|systemd cgroup|dial unix .*/bus",
            f'set {_CONF}: [engine] cgroup_manager = "cgroupfs"',
        ),
        (
            r"netavark.*(no such file|could not find)|could not find .*netavark|iptables",
            "install netavark and iptables, which published ports need",
        ),
        (
            r"(newuidmap|newgidmap).*not found|no subuid ranges|cannot find UID/GID for user",
            "install uidmap, and give your user ranges in /etc/subuid and /etc/subgid",
        ),
        (
            r"cannot connect to the docker daemon|docker daemon is not running",
            "start it (systemctl start docker), or use --engine podman",
        ),
        (
            r"permission denied.*docker.*sock",
            "join the group docker, or use --engine podman",
        ),
        (
            r"exec format error|exec user process caused",
            "programs of that architecture run on such a machine, or with qemu-user-static",
        ),
        (
            r'stat: "/<<|unknown instruction: "?[^ ]*<<',
            "this builder knows no heredocs (<<): COPY a file, or use a newer one",
        ),
        (
            r"no space left on device",
            "make room; `podman system prune` or `docker system prune` removes what is unused",
        ),
        (
            r"short-name .* did not resolve|no unqualified-search registries",
            "there is no such image on this machine: build it first, or write its full name",
        ),
        (
            r"container registry|no such host|resolve source metadata|do request|i/o timeout|x509:",
            "no registry in reach; docs/images.md tells how to make debian:bookworm-slim without",
        ),
    )
)

_ABSENT = re.compile(r"no such (image|object|container)|image not known", re.IGNORECASE)


def remedy_for(complaint: str) -> str:
    """Return what helps against this complaint, "" where that is not known."""
    found = (remedy for pattern, remedy in _REMEDIES if pattern.search(complaint))
    return next(found, "")


def says_absent(complaint: str) -> bool:
    """Whether it says that there is no such image or container."""
    return _ABSENT.search(complaint) is not None
