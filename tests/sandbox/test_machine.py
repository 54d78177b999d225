"""What is done without on a machine that refuses it, tried with the real launcher, as root."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from rie.sandbox import examination, launcher, plan
from rie.sandbox.cgroup import Cgroup, Feature
from rie.sandbox.launcher import PROGRAM, StepFailed
from rie.sandbox.machine import Machine, SandboxError
from rie.sandbox.sandbox import Sandbox
from rie.sandbox.wanted import FEATURES, Wanted
from tests.support.control_groups import folders, needs

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces: need root"),
    pytest.mark.skipif(not launcher.is_built(), reason="the launcher: is not built"),
]

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_SIZE = 128
MIB = 1024 * 1024
TRUE = "/bin/true"
LIMITED: tuple[Feature, ...] = ("memory", "processes")

# In this order each can still fail when those before it are done without.
LADDER = (
    "out-of-memory-score",
    "no-user-namespaces",
    "identity",
    "bind",
    "devices",
    "seal",
    "ext4",
    "process-namespace",
    "mount-namespace",
)


def wanted(folder: Path) -> Wanted:
    folder.chmod(0o755)  # for everybody, as the function's user is
    return Wanted(memory_size=MEMORY_SIZE, task_root=folder, needs=(PROGRAM,))


@contextmanager
def machine_for(what: Wanted) -> Iterator[Machine]:
    machine = Machine(what)
    try:
        yield machine
    finally:
        machine.close()


@contextmanager
def opened(machine: Machine) -> Iterator[Sandbox]:
    sandbox = machine.open()
    try:
        yield sandbox
    finally:
        sandbox.close()


def run(sandbox: Sandbox, program: str = TRUE) -> bytes:
    """Run a program in it to its end; return what the supervisor says of that."""
    output = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        launched = sandbox.start(
            program, (program,), folder=Path("/"), environment={}, output=output, inherited=()
        )
    finally:
        os.close(output)
    with launched.control as control:
        said = control.recv(64)
    launched.supervisor.wait()
    return said


def assert_it_runs(machine: Machine) -> None:
    with opened(machine) as sandbox:
        assert run(sandbox).split()[:2] == [b"X", b"0"]


def refused(operation: str) -> StepFailed:
    return StepFailed(operation, errno.EPERM)


# Means


def test_with_every_mean_there_is_an_environment(tmp_path: Path) -> None:
    with machine_for(wanted(tmp_path)) as machine:
        assert_it_runs(machine)


@pytest.mark.parametrize("operation", LADDER)
def test_without_any_one_of_the_means_there_still_is(tmp_path: Path, operation: str) -> None:
    with machine_for(wanted(tmp_path)) as machine:
        machine.do_without(refused(operation))

        assert plan.MEAN_OF[operation] not in machine.means
        assert_it_runs(machine)
        assert machine.lacking[plan.MEAN_OF[operation]] == str(refused(operation))


def test_taken_away_one_after_the_other_they_leave_one_to_the_end(tmp_path: Path) -> None:
    with machine_for(wanted(tmp_path)) as machine:
        for operation in LADDER:
            machine.do_without(refused(operation))
            assert_it_runs(machine)

        assert machine.means <= {"network namespace"}


@pytest.mark.parametrize("operation", ["mount-namespace", "process-namespace", "bind", "ext4"])
def test_what_is_refused_while_it_is_made_is_done_without(
    tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, start = launcher.prepare, launcher.start
    monkeypatch.setattr(launcher, "prepare", refusing(operation, prepare))
    monkeypatch.setattr(launcher, "start", refusing(operation, start))
    with machine_for(wanted(tmp_path)) as machine:
        assert_it_runs(machine)

        assert plan.MEAN_OF[operation] in machine.lacking


def refusing(operation: str, do: Callable[P, T]) -> Callable[P, T]:
    """Refuse an operation before the launcher is told, as a kernel would."""

    def asked(*args: P.args, **kwargs: P.kwargs) -> T:
        if any(operation in words for words in args if isinstance(words, list)):
            raise refused(operation)
        return do(*args, **kwargs)

    return asked


# What was asked for by name


@pytest.mark.parametrize("operation", ["network-namespace", "listen"])
def test_an_isolated_network_that_cannot_be_had_is_told_by_its_option(
    tmp_path: Path, operation: str
) -> None:
    with (
        machine_for(wanted(tmp_path)._replace(network="isolated")) as machine,
        pytest.raises(SandboxError, match="--network isolated cannot be had here"),
    ):
        machine.do_without(refused(operation))


@pytest.mark.parametrize("operation", ["identity", "keep-capabilities"])
def test_so_is_a_user(tmp_path: Path, operation: str) -> None:
    with (
        machine_for(wanted(tmp_path)._replace(user=(1234, 1234))) as machine,
        pytest.raises(SandboxError, match="--user cannot be had here"),
    ):
        machine.do_without(refused(operation))


@pytest.mark.parametrize("operation", ["new-session", "launcher", "user-namespace"])
def test_what_no_environment_can_do_without_is_an_error(tmp_path: Path, operation: str) -> None:
    with (
        machine_for(wanted(tmp_path)) as machine,
        pytest.raises(SandboxError, match=f"an environment cannot be made: {operation}"),
    ):
        machine.do_without(refused(operation))


# Control groups that nobody can enter


def unenterable(sandbox: Sandbox, which: int) -> None:
    """Put a file in the place of an entry that can be opened and not be written to."""
    group = group_of(sandbox)
    entry = group.entries[which]
    read_only = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(read_only, entry, inheritable=False)
    os.close(read_only)


def group_of(sandbox: Sandbox) -> Cgroup:
    group = sandbox._group
    assert group is not None
    return group


@needs("memory", "kill")
def test_a_group_that_cannot_be_entered_costs_what_it_does_and_nothing_else(
    tmp_path: Path,
) -> None:
    with machine_for(wanted(tmp_path)) as machine, opened(machine) as sandbox:
        before = folders(group_of(sandbox))
        had = [each for each in LIMITED if machine.cgroups.mechanism(each)]
        unenterable(sandbox, which=-1)

        assert run(sandbox).split()[:2] == [b"X", b"0"]
        lost = [each for each in had if machine.cgroups.mechanism(each) is None]
        assert lost
        why = machine.cgroups.why_not(lost[0])
        assert why.startswith(f"groups in {before[-1].parent} cannot be entered: ")
        assert "bad file descriptor. Run rie as root" in why
        assert not any(each.exists() for each in before)


@needs("memory")
def test_where_none_can_be_entered_memory_is_watched(tmp_path: Path) -> None:
    with machine_for(wanted(tmp_path)) as machine, opened(machine) as sandbox:
        assert sandbox.counts_memory
        count = 0
        while group_of(sandbox).entries:
            unenterable(sandbox, which=0)
            run(sandbox)
            count += 1
            assert count < 10

        assert not sandbox.counts_memory
        assert sandbox.memory_limit == sys.maxsize
        assert sandbox.exceeds(MEMORY_SIZE * MIB + 1)
        assert sandbox.oom_kills() is None
        assert sandbox.memory_peak() == 0


def test_an_entry_that_is_none_of_ours_is_an_error(tmp_path: Path) -> None:
    with machine_for(wanted(tmp_path)) as machine, opened(machine) as sandbox:
        for about in ("", "999"):
            with pytest.raises(SandboxError, match="an environment cannot be made: enter"):
                machine.stay_out(group_of(sandbox), StepFailed("enter", errno.ENOENT, about))


# Memory that is counted no more


@needs("memory")
def test_a_running_sandbox_follows_when_memory_is_counted_no_more(tmp_path: Path) -> None:
    with machine_for(wanted(tmp_path)) as machine, opened(machine) as sandbox:
        assert not sandbox.exceeds(MEMORY_SIZE * MIB + 1)
        assert sandbox.memory_limit == MEMORY_SIZE * MIB
        group = group_of(sandbox)
        index = [(each / "memory.stat").exists() for each in folders(group)].index(True)
        directory = group.directory_of(group.entries[index])
        assert directory is not None
        machine.cgroups._taken_away(directory)

        assert sandbox.exceeds(MEMORY_SIZE * MIB + 1)
        assert not sandbox.counts_memory
        assert sandbox.memory_limit == sys.maxsize
        assert sandbox.oom_kills() == 0  # what it told before can be compared with it


# Trying it out


class Recorded(Machine):
    """Tells when it is made and closed."""

    told: list[str]

    def __init__(self, what: Wanted) -> None:
        self.told.append(f"made, {what.network}")
        super().__init__(what)

    def close(self) -> None:
        self.told.append(f"closed, {self.wanted.network}")
        super().close()


def test_an_examination_goes_back_to_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "told", [], raising=False)
    monkeypatch.setattr(examination, "Machine", Recorded)
    facts = examination.examine(tmp_path)

    assert [each.feature for each in facts] == list(FEATURES)
    assert Recorded.told == ["made, isolated", "closed, isolated"]


def test_so_it_does_before_it_makes_a_second_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "told", [], raising=False)
    monkeypatch.setattr(examination, "Machine", Recorded)
    monkeypatch.setattr(launcher, "prepare", refusing("network-namespace", launcher.prepare))
    facts = {each.feature: each for each in examination.examine(tmp_path)}

    assert not facts["network"].enforced
    assert Recorded.told == ["made, isolated", "closed, isolated", "made, host", "closed, host"]


def test_so_it_does_where_there_can_be_no_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorded, "told", [], raising=False)
    monkeypatch.setattr(examination, "Machine", Recorded)
    monkeypatch.setattr(launcher, "start", refusing("new-session", launcher.start))
    with pytest.raises(SandboxError, match="an environment cannot be made: new-session"):
        examination.examine(tmp_path)

    assert Recorded.told == ["made, isolated", "closed, isolated"]
