"""`rie doctor` as a process: what it says, in which form, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rie.sandbox.wanted import FEATURES
from tests.support.emulator import wait_until
from tests.support.pipes import read_some
from tests.support.raw_http import LIMIT
from tests.support.rie_process import (
    POWERLESS,
    Home,
    Who,
    as_,
    as_everybody,
    begun,
    home,
    needs_capsh,
    needs_python,
    needs_root,
    rie_run,
    variables,
)
from tests.support.traces import Watch

DOCTOR = (sys.executable, "-m", "rie", "doctor")
FIELDS = {"name", "promise", "enforced", "mechanism", "remedy"}
NOT_ENFORCED = "not enforced on this machine; see rie doctor"
# What nobody asks for who asks for nothing: see rie run --help.
UNASKED = {"network", "egress", "cpu"}


def doctor(who: Who, *options: str, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    with home(who) as place:
        return subprocess.run(
            (*as_(who), *before, *DOCTOR, *options),
            cwd=place.task,
            env=variables(TMPDIR=str(place.temporary)),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )


def bounds(who: Who, before: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Return what it says in JSON, by the feature's name."""
    result = doctor(who, "--json", before=before)
    assert result.returncode == 0, result
    assert result.stderr == ""
    return {each["name"]: each for each in json.loads(result.stdout)["bounds"]}


@as_everybody
def test_a_pipe_gets_plain_text_with_a_line_for_each_feature(who: Who) -> None:
    result = doctor(who)

    assert result.returncode == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    heading, blank, *lines = result.stdout.splitlines()
    assert heading.startswith("rie ")
    assert blank == ""
    named = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in named] == list(FEATURES)
    assert {line.split()[1] for line in named} <= {"yes", "no"}
    assert all(line.endswith(FEATURES[line.split()[0]]) for line in named)  # type: ignore[index]
    assert sum(line.strip().startswith("by ") for line in lines) == len(FEATURES)


@as_everybody
def test_it_leaves_nothing_behind(who: Who) -> None:
    with home(who) as place, begun(who, DOCTOR, place) as process:
        wait_until(lambda: b"doctor" in cmdline(process.pid), "its exec")
        watch = Watch(process.pid, "TRACE=none", place.temporary)
        while process.poll() is None:
            watch.look()

        assert process.returncode == 0
        watch.assert_nothing_left()


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@as_everybody
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_a_terminal_gets_colours_only_in_text(options: tuple[str, ...], who: Who) -> None:
    status, shown = on_a_terminal(who, *options)

    assert status == 0
    assert (b"\x1b[32myes\x1b[0m" in shown) is (not options)
    assert (b"\x1b" in shown) is (not options)


@as_everybody
def test_no_color_is_heeded(who: Who) -> None:
    status, shown = on_a_terminal(who, NO_COLOR="1")

    assert status == 0
    assert b"memory" in shown
    assert b"\x1b" not in shown


def on_a_terminal(who: Who, *options: str, **more: str) -> tuple[int, bytes]:
    """Run it with a terminal for stdout; return the exit status and what came."""
    ours, theirs = pty.openpty()
    with (
        home(who) as place,
        subprocess.Popen(
            (*as_(who), *DOCTOR, *options),
            cwd=place.task,
            env=variables(TMPDIR=str(place.temporary), TERM="xterm", **more),
            stdout=theirs,
            stderr=theirs,
        ) as process,
    ):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # EIO: the other end is closed
            while piece := read_some(ours):
                shown += piece
        os.close(ours)
        return process.wait(LIMIT), shown


@as_everybody
def test_json_has_every_feature_with_all_fields(who: Who) -> None:
    result = doctor(who, "--json")

    document = json.loads(result.stdout)
    assert document["uid"] == (0 if who == "root" else uid_of_user())
    assert document.keys() == {"rie", "system", "uid", "bounds"}
    assert [each["name"] for each in document["bounds"]] == list(FEATURES)
    for each in document["bounds"]:
        assert each.keys() == FIELDS
        assert each["promise"] == FEATURES[each["name"]]
        assert isinstance(each["enforced"], bool)
        assert each["mechanism"]
        assert each["enforced"] or each["remedy"], each


def uid_of_user() -> int:
    return int(as_("user")[1].partition("=")[2]) if as_("user") else os.geteuid()


@needs_root
def test_what_is_required_and_holds_exits_with_0() -> None:
    result = doctor("root", "--require", "memory,tmp", "--require=cleanup")

    assert result.returncode == 0
    assert result.stderr == ""
    assert "memory" in result.stdout


@needs_root
@needs_capsh
def test_what_is_required_and_does_not_hold_exits_with_1_and_is_named() -> None:
    result = doctor("root", "--require", "descriptors,files", before=POWERLESS)

    assert result.returncode == 1
    assert result.stderr == "rie doctor: not enforced on this machine: files\n"
    assert [
        line.split()[:2] for line in result.stdout.splitlines() if line.startswith("files")
    ] == [["files", "no"]]


@as_everybody
def test_an_unknown_name_exits_with_2_and_the_list(who: Who) -> None:
    result = doctor(who, "--require", "memory,weather")

    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"rie doctor: --require 'memory,weather' must be some of {','.join(FEATURES)}\n"
    )


def test_a_user_who_can_make_no_group_is_told_what_to_do_for_memory() -> None:
    memory = bounds("user")["memory"]
    if memory["enforced"]:
        pytest.skip("this user may make control groups")

    table = "".join(doctor("user").stdout.split())

    assert "not writable for uid" in memory["remedy"]
    told = f"memory no {memory['promise']} by {memory['mechanism']} -> {memory['remedy']}"
    assert "".join(told.split()) in table  # whatever the lines it is broken into


@needs_python
@as_everybody
def test_the_diary_names_what_is_asked_for_and_not_enforced(who: Who) -> None:
    expected = {
        name: each["remedy"]
        for name, each in bounds(who).items()
        if not each["enforced"] and name not in UNASKED
    }

    with rie_run(who, "--freeze") as rie:
        rie.end()
        warnings = [json.loads(line) for line in rie.diary.all()]

    found = [each for each in warnings if each["level"] != "info"]
    assert [each["event"] for each in found] == [NOT_ENFORCED][: len(expected)]
    named = {name: each[name] for each in found for name in each if name in FEATURES}
    assert named == expected


@needs_root
@needs_capsh
@needs_python
def test_the_diary_of_root_without_capabilities_says_as_much() -> None:
    expected = {
        name
        for name, each in bounds("root", POWERLESS).items()
        if not each["enforced"] and name not in UNASKED
    }
    assert {"tmp", "files", "user"} <= expected

    with rie_run("root", before=POWERLESS) as rie:
        rie.end()
        diary = [json.loads(line) for line in rie.diary.all()]

    [warning] = [each for each in diary if each["level"] == "warning"]
    assert warning.keys() & FEATURES.keys() == expected


@as_everybody
def test_a_folder_that_is_gone_is_one_clear_line(who: Who) -> None:
    with home(who) as place:
        result = from_a_deleted_folder(who, place)

    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("rie doctor: there can be no environment: ")
    assert "No such file or directory" in result.stderr
    assert result.stderr.count("\n") == 1


def from_a_deleted_folder(who: Who, place: Home) -> subprocess.CompletedProcess[str]:
    gone = place.own / "gone"
    gone.mkdir()
    words = ("sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *DOCTOR)
    if as_(who):
        os.chown(gone, uid_of_user(), uid_of_user())
    return subprocess.run(
        (*as_(who), *words),
        cwd=gone,
        env=variables(),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
