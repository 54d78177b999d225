"""Who gets what, and when one more is started.

Source: developer guide, "Understanding Lambda function scaling".
"""

from __future__ import annotations

from rie.core.assignment import Assignment, Give, OnBusy, Retire, StartEnvironment, Throttle

Start = StartEnvironment


def make_assignment(
    environments: int = 1,
    *,
    on_busy: OnBusy = "wait",
    idle_timeout: float | None = None,
    max_lifetime: float | None = None,
) -> Assignment[str, str]:
    return Assignment(
        environments=environments,
        on_busy=on_busy,
        idle_timeout=idle_timeout,
        max_lifetime=max_lifetime,
    )


def make_with_free(
    *names: str,
    environments: int = 3,
    idle_timeout: float | None = None,
    max_lifetime: float | None = None,
) -> Assignment[str, str]:
    """Make one with environments that came up and became free one after another from 1.0."""
    assignment = make_assignment(environments, idle_timeout=idle_timeout, max_lifetime=max_lifetime)
    for name in names:
        assignment.started(name, 0.0)
    for number, name in enumerate(names, start=1):
        assignment.free(name, float(number))
    return assignment


def test_the_first_work_starts_an_environment_and_waits_for_it() -> None:
    assignment = make_assignment()

    assert assignment.arrive("a") == [Start()]
    assignment.started("one", 0.0)
    assert assignment.waiting == 1
    assert assignment.free("one", 1.0) == [Give("one", "a")]
    assert assignment.waiting == 0


def test_work_for_a_free_environment_is_given_at_once() -> None:
    assert make_with_free("one").arrive("a") == [Give("one", "a")]


def test_who_came_first_is_served_first() -> None:
    assignment = make_assignment()
    for work in ("a", "b", "c"):
        assignment.arrive(work)
    assignment.started("one", 0.0)

    given = [assignment.free("one", float(at)) for at in range(3)]

    assert given == [[Give("one", "a")], [Give("one", "b")], [Give("one", "c")]]


def test_the_environment_that_was_busy_last_is_used_first() -> None:
    assignment = make_with_free("one", "two", "three")

    assert assignment.arrive("a") == [Give("three", "a")]
    assert assignment.arrive("b") == [Give("two", "b")]
    assignment.free("three", 9.0)
    assert assignment.arrive("c") == [Give("three", "c")]


def test_as_many_environments_are_started_as_wait_up_to_the_limit() -> None:
    assignment = make_assignment(2)

    assert assignment.arrive("a") == [Start()]
    assert assignment.arrive("b") == [Start()]
    assert assignment.arrive("c") == []
    assignment.started("one", 0.0)
    assignment.started("two", 0.0)
    assert assignment.arrive("d") == []


def test_an_environment_on_its_way_up_is_awaited_rather_than_another_started() -> None:
    assignment = make_assignment(2)
    assignment.started("one", 0.0)  # ahead of any invocation

    assert assignment.arrive("a") == []
    assert assignment.arrive("b") == [Start()]


def test_an_environment_that_has_answered_is_awaited_rather_than_another_started() -> None:
    assignment = make_with_free("one", environments=2)
    assignment.arrive("a")
    assignment.answered("one")

    assert assignment.arrive("b") == []
    assert assignment.free("one", 2.0) == [Give("one", "b")]


def test_an_environment_that_has_not_answered_is_not_awaited() -> None:
    assignment = make_with_free("one", environments=2)
    assignment.arrive("a")

    assert assignment.arrive("b") == [Start()]


def test_two_do_not_wait_for_the_same_environment() -> None:
    assignment = make_with_free("one", environments=2)
    assignment.arrive("a")
    assignment.answered("one")

    assert assignment.arrive("b") == []
    assert assignment.arrive("c") == [Start()]


# Throttling


def test_work_beyond_the_concurrency_is_throttled() -> None:
    assignment = make_assignment(1, on_busy="throttle")

    assert assignment.arrive("a") == [Start()]
    assert assignment.arrive("b") == [Throttle("b")]
    assert assignment.waiting == 1


def test_what_was_answered_is_no_concurrency_any_more() -> None:
    assignment = make_assignment(1, on_busy="throttle")
    assignment.arrive("a")
    assignment.started("one", 0.0)
    assignment.free("one", 1.0)
    assert assignment.arrive("b") == [Throttle("b")]

    assignment.answered("one")

    assert assignment.arrive("c") == []
    assert assignment.free("one", 2.0) == [Give("one", "c")]


def test_patient_work_is_never_throttled() -> None:
    assignment = make_assignment(1, on_busy="throttle")
    assignment.arrive("a")

    assert assignment.arrive("b", patient=True) == []
    assert assignment.waiting == 2


# Retirement


def test_an_environment_that_was_idle_for_too_long_is_retired() -> None:
    assignment = make_with_free("one", "two", idle_timeout=10.0)

    assert assignment.next_retirement() == 11.0
    assert assignment.retiring(10.9) == []
    assert assignment.retiring(11.0) == [Retire("one")]
    assert assignment.next_retirement() == 12.0


def test_work_starts_the_idle_time_anew() -> None:
    assignment = make_with_free("one", idle_timeout=10.0)
    assignment.arrive("a")
    assert assignment.next_retirement() is None

    assignment.free("one", 5.0)

    assert assignment.next_retirement() == 15.0


def test_an_idle_environment_is_retired_when_it_is_too_old() -> None:
    assignment = make_with_free("one", idle_timeout=100.0, max_lifetime=10.0)

    assert assignment.next_retirement() == 10.0
    assert assignment.retiring(10.0) == [Retire("one")]


def test_a_busy_environment_that_is_too_old_is_retired_as_soon_as_it_is_done() -> None:
    assignment = make_with_free("one", environments=2, max_lifetime=10.0)
    assignment.arrive("a")

    assert assignment.free("one", 10.0) == [Retire("one")]
    assert assignment.arrive("b") == [Start()]


def test_without_limits_nothing_is_retired() -> None:
    assignment = make_with_free("one")

    assert assignment.next_retirement() is None
    assert assignment.retiring(1e9) == []


def test_an_environment_that_says_twice_that_it_is_free_is_free_once() -> None:
    assignment = make_with_free("one", "two")

    assert assignment.free("one", 5.0) == []  # its idle runtime ended and was cleared away

    assert assignment.arrive("a") == [Give("one", "a")]
    assert assignment.arrive("b") == [Give("two", "b")]


def test_an_environment_retired_when_it_says_again_that_it_is_free_is_given_nothing() -> None:
    assignment = make_with_free("one", environments=2, max_lifetime=10.0)

    assert assignment.free("one", 10.0) == [Retire("one")]

    assert assignment.retiring(20.0) == []
    assert assignment.arrive("a") == [Start()]


# The end of environments


def test_an_environment_that_ended_is_replaced_when_somebody_waits() -> None:
    assignment = make_assignment(1)
    assignment.arrive("a")
    assignment.started("one", 0.0)

    assert assignment.ended("one") == [Start()]
    assert assignment.environments == ()


def test_an_environment_that_ended_is_not_replaced_when_nobody_waits() -> None:
    assignment = make_with_free("one")

    assert assignment.ended("one") == []
    assert assignment.arrive("a") == [Start()]


def test_one_that_is_being_retired_keeps_its_place_until_it_has_ended() -> None:
    assignment = make_with_free("one", environments=1, idle_timeout=1.0)
    assert assignment.retiring(9.0) == [Retire("one")]

    assert assignment.arrive("a") == []
    assert assignment.environments == ("one",)
    assert assignment.ended("one") == [Start()]


def test_an_end_of_one_unknown_changes_nothing() -> None:
    assert make_with_free("one").ended("stranger") == []


def test_closing_gives_back_all_that_waits_and_starts_nothing_more() -> None:
    assignment = make_assignment(1)
    assignment.arrive("a")
    assignment.started("one", 0.0)
    assignment.arrive("b")

    assert assignment.close() == ["a", "b"]
    assert assignment.waiting == 0
    assert assignment.ended("one") == []


def test_work_that_no_environment_can_be_started_for_is_given_back() -> None:
    assignment = make_assignment(environments=1)
    assignment.arrive("first")

    assert assignment.not_started() == ["first"]
    assert assignment.waiting == 0


def test_an_environment_that_cannot_be_started_leaves_the_work_to_the_others() -> None:
    assignment = make_assignment(environments=2)
    assignment.arrive("first")
    assignment.started("one", now=0.0)
    assignment.free("one", now=0.0)
    assignment.arrive("second")

    assert assignment.not_started() == []
    assert assignment.waiting == 1


def test_a_place_that_could_not_be_filled_is_tried_again_for_the_next_work() -> None:
    assignment = make_assignment(environments=1)
    assignment.arrive("first")
    assignment.not_started()

    assert assignment.arrive("second") == [StartEnvironment()]


def test_an_environment_that_took_longer_to_start_than_it_may_live_serves_who_waits() -> None:
    assignment = make_assignment(max_lifetime=2.0)
    assignment.arrive("a")
    assignment.started("one", 0.0)

    assert assignment.free("one", 3.0) == [Give("one", "a")]
    assert assignment.free("one", 6.0) == [Retire("one")]
