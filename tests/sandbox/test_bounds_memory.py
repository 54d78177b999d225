"""The function has as much memory as it was given, and its use is told.

Source: public reports of AWS: the caller reads `signal: killed`, the REPORT line says
`Error Type: Runtime.OutOfMemory`. Root's functions are bounded by the kernel; an ordinary user's
are looked at now and then, and killed once they have been seen with too much.
"""

from __future__ import annotations

from tests.support.running_function import RunningFunction, Whom

KILLED = "Error: Runtime exited with error: signal: killed"


def out_of_memory(function: RunningFunction, probe: str) -> int:
    """Have the function killed for its memory; return how much was told to be used."""
    error_type, message = function.error(probe, 400)

    assert error_type == "Runtime.ExitError"
    assert str(message).endswith(KILLED)
    report = function.report()
    assert (report.status, report.error_type) == ("error", "Runtime.OutOfMemory"), report.line
    return report.max_memory_used


def test_who_takes_too_much_is_killed_for_it(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=128") as function:
        used = out_of_memory(function, "hold_memory")

    assert used == 128 if as_whom.name == "root" else used >= 128


def test_after_a_kill_for_memory_the_next_call_works(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=128") as function:
        out_of_memory(function, "hold_memory")

        assert function.call("touch_memory", 1) == 1
        assert function.report().max_memory_used < 128
        assert function.is_alive()


def test_of_roots_function_only_the_child_that_takes_too_much_is_killed(as_root: Whom) -> None:
    with as_root.run("--memory-size=128") as function:
        assert function.call("hold_memory_in_child", 400) == -9
        assert function.report().status == "success"
        assert function.report().max_memory_used == 128
        assert function.call("touch_memory", 1) == 1


def test_an_ordinary_users_function_is_killed_for_what_its_child_takes(as_user: Whom) -> None:
    with as_user.run("--memory-size=128") as function:
        assert out_of_memory(function, "hold_memory_in_child") >= 128
        assert function.call("touch_memory", 1) == 1


def test_a_kill_by_the_function_itself_is_none_for_memory(as_root: Whom) -> None:
    with as_root.run("--memory-size=128") as function:
        assert function.call("touch_memory_in_child", 400) == -9

        assert function.error("shell", "kill -9 $PPID")[0] == "Runtime.ExitError"
        assert function.report().error_type == "Runtime.ExitError"


def test_an_init_that_takes_too_much_is_told_as_such(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=128", "--env=TAKE_AT_START=300") as function:
        out_of_memory(function, "touch_memory")

        for phase in ("init", "invoke"):
            line = function.log.wait_for(f"Phase: {phase}\t")
            assert line.startswith("INIT_REPORT")
            assert line.endswith("Status: error\tError Type: Runtime.OutOfMemory")


def test_the_memory_that_was_used_is_reported(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=256") as function:
        assert function.call("touch_memory", 60) == 60

        assert 60 <= function.report().max_memory_used <= 100


def test_what_a_short_lived_child_of_roots_function_used_counts(as_root: Whom) -> None:
    with as_root.run("--memory-size=256") as function:
        assert function.call("touch_memory_in_child", 60) == 0

        assert 60 <= function.report().max_memory_used <= 100


def test_the_page_cache_of_files_does_not_count(as_whom: Whom) -> None:
    with as_whom.run("--memory-size=256") as function:
        assert function.call("fill_tmp", 150) == [150, None]

        assert function.report().max_memory_used < 60
