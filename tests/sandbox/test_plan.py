"""What the launcher is told to do: which operations there are, and in what order."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from rie.sandbox import plan
from rie.sandbox.plan import BUILT_ON, EVERY_MEAN, MEAN_OF, Means
from rie.sandbox.wanted import Identity, Wanted

LAMBDA: Identity = (993, 990)
ROOT_MEANS: Means = EVERY_MEAN - {"user namespace"}
NATIVE = Path(plan.__file__).with_name("native")


def wanted(**fields: object) -> Wanted:
    return Wanted(**{"memory_size": 128, "task_root": Path("/srv/code"), **fields})  # type: ignore[arg-type]


def preparation(
    means: Means = ROOT_MEANS, device: str | None = "/dev/loop7", **fields: object
) -> list[str]:
    return plan.preparation(
        wanted(**fields),
        means,
        identity=LAMBDA,
        outer=(1000, 1001),
        device=device,
        replaced=[("/etc/passwd", "me")],
    )


def positions(words: list[str], *found: str) -> list[int]:
    return [words.index(word) for word in found]


def test_what_is_there_becomes_read_only_before_anything_of_ours_is_mounted() -> None:
    words = preparation()

    order = positions(words, "mount-namespace", "read-only", "bind", "ext4", "devices")
    assert order == sorted(order)


def test_the_disk_is_mounted_before_the_devices_are_hidden_of_which_it_is_one() -> None:
    words = preparation()

    assert words[words.index("ext4") :][:3] == ["ext4", "/dev/loop7", "/tmp"]
    assert words.index("ext4") < words.index("devices")


def test_what_lies_below_tmp_is_held_before_it_is_covered_and_shown_after() -> None:
    words = preparation(needs=(Path("/tmp/venv/bin/python"),))

    order = positions(words, "hold", "ext4", "show")
    assert order == sorted(order)
    assert words[words.index("hold") + 1] == "/tmp/venv"


def test_without_a_disk_tmp_is_a_tmpfs_of_the_same_size() -> None:
    words = preparation(device=None, tmp_size=1024)

    at = words.index("tmpfs")
    assert words[at + 1 : at + 3] == ["/tmp", "size=1024m,mode=1777"]
    assert "ext4" not in words


def test_a_writable_function_finds_nothing_read_only() -> None:
    words = preparation(writable=True)

    assert words.count("read-only") == 1
    assert words[words.index("read-only") + 1] == "/sys"  # control groups, which bound it
    assert "seal" not in words
    assert {"bind", "ext4", "devices"} <= set(words)


def test_an_ordinary_user_begins_with_a_user_namespace_in_which_it_is_lambdas() -> None:
    assert preparation(EVERY_MEAN)[:5] == ["user-namespace", "993", "1000", "990", "1001"]
    assert "user-namespace" not in preparation(ROOT_MEANS)


def test_an_isolated_network_is_made_before_the_mounts_and_listens_at_lambdas_port() -> None:
    words = preparation(network="isolated")

    assert words[:3] == ["network-namespace", "listen", "9001"]


def test_without_namespaces_nothing_is_prepared() -> None:
    assert preparation(EVERY_MEAN - {"mount namespace"}) == []


@pytest.mark.parametrize(
    ("need", "shown"),
    [
        ("/usr/bin/python3", None),
        ("/tmp/project/.venv/bin/python", "/tmp/project/.venv"),
        ("/tmp/project/bootstrap", "/tmp/project"),
        ("/tmp/bootstrap", "/tmp/bootstrap"),
        ("/tmp/bin/tool", "/tmp/bin"),
        ("/tmp", None),
    ],
)
def test_of_the_machines_tmp_no_more_is_shown_than_a_program_needs(
    need: str, shown: str | None
) -> None:
    assert plan.shown([Path(need)]) == ([Path(shown)] if shown else [])


def test_what_is_shown_with_its_folder_is_not_shown_again() -> None:
    needs = [Path("/tmp/a/bin/python"), Path("/tmp/a/lib/site.py"), Path("/tmp/b/x")]

    assert plan.shown(needs) == [Path("/tmp/a"), Path("/tmp/b")]


def test_a_task_root_that_is_there_already_is_covered_and_nothing_else_is_sealed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plan, "TASK_ROOT", tmp_path)

    words = preparation()

    assert words[words.index("bind") + 1 :][:2] == ["/srv/code", str(tmp_path)]
    assert "/var" not in words


def test_a_path_with_dots_is_shown_where_it_leads_to() -> None:
    needs = [Path("/tmp/app/../venv/bin/python"), Path("/tmp/app")]

    assert Path("/tmp/venv") in plan.shown(needs)


def after(means: Means, identity: Identity | None) -> list[str]:
    return plan.after_supervision(
        means,
        groups=(5, 6),
        limits=[(resource.RLIMIT_NOFILE, 1024), (resource.RLIMIT_FSIZE, 1 << 29)],
        identity=identity,
        inherited=(9,),
        folder="/var/task",
        program="/var/task/bootstrap",
        arguments=("bootstrap", "x"),
    )


def test_who_may_change_limits_and_groups_gives_that_up_last() -> None:
    words = after(ROOT_MEANS, LAMBDA)

    order = positions(
        words, "enter", "limit", "out-of-memory-score", "keep-capabilities", "identity",
        "no-new-privileges", "directory", "exec",
    )  # fmt: skip
    assert order == sorted(order)
    assert words[-4:] == ["exec", "/var/task/bootstrap", "bootstrap", "x"]


def test_a_file_that_grows_too_large_is_an_error_and_no_signal() -> None:
    words = after(ROOT_MEANS, LAMBDA)

    assert words[words.index("ignore") + 1] == "25"  # SIGXFSZ


def test_a_mapped_user_gives_up_what_it_may_by_the_exec() -> None:
    words = after(EVERY_MEAN, LAMBDA)

    assert words[words.index("keep-capabilities") + 1] == "0"
    assert "no-new-privileges" in words
    assert "identity" not in words


@pytest.mark.parametrize(
    ("means", "identity"), [(ROOT_MEANS, None), (ROOT_MEANS, (0, 5)), (EVERY_MEAN, (0, 0))]
)
def test_root_inside_keeps_no_right_to_mount(means: Means, identity: Identity | None) -> None:
    words = after(means, identity)

    # chown, dac_override, fowner, fsetid, kill, setgid, setuid, net_bind_service; no more
    kept = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 10))
    assert int(words[words.index("keep-capabilities") + 1], 16) == kept
    assert words.index("no-user-namespaces") < words.index("exec")


@pytest.mark.parametrize(
    ("bounded", "expected"),
    [
        ({"memory_bounded": True, "processes_by_limit": False, "tmp_bounded": True}, {"NOFILE"}),
        (
            {"memory_bounded": False, "processes_by_limit": True, "tmp_bounded": False},
            {"NOFILE", "NPROC", "DATA", "FSIZE"},
        ),
    ],
)
def test_limits_of_the_process_stand_in_for_what_nothing_else_bounds(
    bounded: dict[str, bool], expected: set[str]
) -> None:
    found = plan.limits(wanted(), **bounded)

    assert {number for number, _ in found} == {
        getattr(resource, f"RLIMIT_{name}") for name in expected
    }


def test_without_bounds_there_are_no_limits() -> None:
    assert (
        plan.limits(
            wanted(bounded=False), memory_bounded=False, processes_by_limit=True, tmp_bounded=False
        )
        == []
    )


def test_the_launcher_knows_every_operation_that_can_be_done_without() -> None:
    table = (NATIVE / "main.c").read_text()

    assert [name for name in MEAN_OF if f'{{"{name}", ' not in table] == []
    assert set(MEAN_OF.values()) | set().union(*BUILT_ON.values()) <= EVERY_MEAN
