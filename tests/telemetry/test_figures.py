from __future__ import annotations

import pytest

from rie.telemetry.figures import billed_milliseconds, milliseconds, timestamp


def test_a_started_millisecond_is_billed_whole() -> None:
    assert billed_milliseconds(0.00301) == 4


def test_a_whole_number_of_milliseconds_is_billed_as_it_is() -> None:
    assert [billed_milliseconds(ms / 1000) for ms in range(1, 5000)] == list(range(1, 5000))


# Recorded from CloudWatch: 2025-09 (text), 2026-07 and 2026-10 (JSON).
@pytest.mark.parametrize(
    ("duration", "init_duration", "billed"),
    [(3.0, 0.06749, 3068), (5.622492, 0.698806, 6322), (1.23396, 0.463512, 1698)],
)
def test_a_cold_start_is_billed_with_its_init(
    duration: float, init_duration: float, billed: int
) -> None:
    assert billed_milliseconds(duration, init_duration) == billed


def test_milliseconds_have_three_places() -> None:
    assert milliseconds(0.0185931) == 18.593


def test_a_timestamp_is_in_utc_with_milliseconds() -> None:
    assert timestamp(1795185699.4821) == "2026-11-20T14:41:39.482Z"


def test_a_timestamp_is_carried_over_into_the_next_second() -> None:
    assert timestamp(1795185699.9996) == "2026-11-20T14:41:40.000Z"
