"""What of an environment's bounds this machine enforces, by which mechanism, and what is missing.

Told after an environment has been made: so it is what happened, not what should.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from rie.sandbox.machine import Machine
from rie.sandbox.wanted import FEATURES, Fact, Feature

_NO_MOUNTS = "run as root, or permit user namespaces (sysctl user.max_user_namespaces)"


_WITHOUT_LAUNCHER: dict[Feature, str] = {
    "memory": "sampled",
    "tmp": "a folder (TMPDIR), watched",
    "cleanup": "process tree and process group",
}


def facts(machine: Machine) -> tuple[Fact, ...]:
    """Say what holds, for each feature in the order of FEATURES."""
    if "launcher" in machine.lacking:
        why = machine.lacking["launcher"]
        return tuple(
            Fact(each, False, _WITHOUT_LAUNCHER.get(each, "none"), why) for each in FEATURES
        )
    if not machine.wanted.bounded:
        return tuple(Fact(each, False, "none", "--no-sandbox") for each in FEATURES)
    return tuple(_TELL[each](machine) for each in FEATURES)


def lacking(machine: Machine) -> dict[str, str]:
    """Say what was asked for, if only by default, and does not hold; with what to do about it."""
    wanted = machine.wanted
    asked = {
        "files": not wanted.writable,
        "cpu": wanted.cpu_scaling,
        "network": wanted.network == "isolated",
        "egress": wanted.network == "isolated" and wanted.egress,
        "user": wanted.user != (0, 0),
    }
    return {
        each.feature: each.remedy
        for each in facts(machine)
        if not each.enforced and asked.get(each.feature, wanted.bounded)
    }


def _memory(machine: Machine) -> Fact:
    mechanism = machine.cgroups.mechanism("memory")
    if mechanism is None:
        remedy = machine.cgroups.why_not("memory")
        return Fact("memory", False, "sampled, and RLIMIT_DATA far above", remedy)
    if machine.tmp_counts_as_memory:
        return Fact("memory", True, f"{mechanism}, with /tmp's share added; sampled below that")
    return Fact("memory", True, mechanism)


def _tmp(machine: Machine) -> Fact:
    if "mount namespace" not in machine.means:
        return Fact("tmp", False, "a folder (TMPDIR), watched; RLIMIT_FSIZE", _why(machine))
    if "loop device" in machine.means:
        return Fact("tmp", True, "ext4 on a loop device")
    return Fact("tmp", True, "tmpfs", machine.lacking.get("loop device", ""))


def _files(machine: Machine) -> Fact:
    if machine.wanted.writable:
        return Fact("files", False, "none", "--writable")
    if "read-only mounts" not in machine.means:
        why = machine.lacking.get("read-only mounts", "")
        return Fact(
            "files", False, "none", _with(why, "needs Linux 5.12") if why else _why(machine)
        )
    return Fact("files", True, "mount namespace")


def _descriptors(machine: Machine) -> Fact:
    del machine  # everywhere
    return Fact("descriptors", True, "RLIMIT_NOFILE")


def _processes(machine: Machine) -> Fact:
    mechanism = machine.cgroups.mechanism("processes")
    if mechanism is not None:
        return Fact("processes", True, mechanism)
    if "user namespace" in machine.means:
        return Fact("processes", True, "RLIMIT_NPROC in a user namespace")
    return Fact("processes", False, "none", machine.cgroups.why_not("processes"))


def _cpu(machine: Machine) -> Fact:
    mechanism = machine.cgroups.mechanism("cpu")
    if mechanism is None:
        return Fact("cpu", False, "none", machine.cgroups.why_not("cpu"))
    return Fact("cpu", True, mechanism)


def _user(machine: Machine) -> Fact:
    if machine.identity is None:
        if os.geteuid() == 0:
            return Fact("user", False, "none", machine.lacking.get("identity", "--user 0:0"))
        return Fact("user", True, "our own, which is unprivileged")
    uid, gid = machine.identity
    if "user namespace" in machine.means:
        return Fact("user", True, f"user namespace: {uid}:{gid}, outside our own")
    return Fact("user", True, f"setuid {uid}:{gid}")


def _network(machine: Machine) -> Fact:
    if "network namespace" in machine.means and "network namespace" not in machine.lacking:
        return Fact("network", True, "network namespace")
    return Fact("network", False, "none", machine.lacking.get("network namespace", _why(machine)))


def _egress(machine: Machine) -> Fact:
    if not machine.wanted.egress:
        return Fact("egress", False, "none", "--no-egress")
    if machine.wanted.network == "host":
        return Fact("egress", True, "the network is this machine's")
    if "egress" in machine.lacking:
        return Fact("egress", False, "none", machine.lacking["egress"])
    return Fact("egress", True, "slirp4netns")


def _freeze(machine: Machine) -> Fact:
    mechanism = machine.cgroups.mechanism("freeze")
    return Fact("freeze", True, mechanism or "SIGSTOP, one process after the other")


def _cleanup(machine: Machine) -> Fact:
    killer = machine.cgroups.mechanism("kill")
    kills = {"cgroup v2": "cgroup.kill", "cgroup v1": "freeze, kill, thaw"}.get(killer or "")
    found = ["process namespace"] if "process namespace" in machine.means else []
    found += [kills] if kills else []
    if not found:
        remedy = machine.lacking.get("process namespace", _why(machine))
        return Fact("cleanup", True, "subreaper, one process after the other", remedy)
    return Fact("cleanup", True, ", ".join(found))


_TELL: dict[Feature, Callable[[Machine], Fact]] = {
    "memory": _memory,
    "tmp": _tmp,
    "files": _files,
    "descriptors": _descriptors,
    "processes": _processes,
    "cpu": _cpu,
    "user": _user,
    "network": _network,
    "egress": _egress,
    "freeze": _freeze,
    "cleanup": _cleanup,
}


def _why(machine: Machine) -> str:
    """Say why there is no mount namespace."""
    for mean in ("user namespace", "mount namespace"):
        if mean in machine.lacking:
            return _with(machine.lacking[mean], _NO_MOUNTS)
    return _NO_MOUNTS


def _with(why: str, remedy: str) -> str:
    return f"{why}: {remedy}"
