"""What is shown of the figures, and how they are judged."""

import json

from benchmarks import report
from benchmarks.report import Metric, Result, Target

RATIO = Target(
    what="times the floor",
    top=("rie", "p50"),
    bottom=("floor", "p50"),
    bound="at most",
    limit=1.6,
    required=True,
)


def make_result(*targets: Target, **series: list[float]) -> Result:
    result = Result(
        id="warm",
        title="Warm call",
        method="One caller.",
        metrics=(Metric("p50", "us", 1),),
        targets=targets,
    )
    for contender, values in series.items():
        for value in values:
            result.add(contender, {"p50": value})
    return result


def test_a_table_has_names_to_the_left_and_numbers_to_the_right() -> None:
    table = [["", "p50"], ["floor", "9.5"], ["rie", "1,012.5"], ["less", "-0.1"], ["gone", "-"]]

    assert report.align(table) == [
        "           p50",
        "floor      9.5",
        "rie    1,012.5",
        "less      -0.1",
        "gone         -",
    ]


def test_figures_are_medians_over_the_rounds() -> None:
    result = make_result(rie=[1000.0, 3000.0, 2000.0])

    assert result.figures() == [["", "p50, us"], ["rie", "2,000.0"]]


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    result = make_result(RATIO, rie=[10.0, 60.0, 15.0], floor=[10.0, 40.0, 10.0])

    assert result.judge(RATIO).value == 1.5


def test_a_target_within_its_limit_is_reached() -> None:
    result = make_result(RATIO, rie=[16.0], floor=[10.0])

    assert result.judge(RATIO).mark == "reached"


def test_a_target_beyond_its_limit_is_missed() -> None:
    result = make_result(RATIO, rie=[17.0], floor=[10.0])

    assert [verdict.mark for verdict in report.missed([result])] == ["MISSED"]


def test_a_required_target_that_could_not_be_measured_is_missed() -> None:
    result = make_result(RATIO, floor=[10.0])

    assert [verdict.mark for verdict in report.missed([result])] == ["not measured"]


def test_a_goal_that_is_missed_fails_no_check() -> None:
    goal = Target(what="MB", top=("rie", "p50"), bound="at most", limit=1)

    assert report.missed([make_result(goal, rie=[2.0])]) == []


def test_a_contender_that_fails_is_left_out_with_the_reason() -> None:
    result = make_result(RATIO, rie=[10.0], floor=[10.0])

    result.drop("rie", "it ended")

    assert result.contenders == ["floor"]
    assert "  rie not available: it ended" in report.text_of(result, colour=False)


def test_markdown_has_the_figures_and_one_table_of_targets() -> None:
    result = make_result(RATIO, rie=[15.0], floor=[10.0])

    shown = report.as_markdown([result]).splitlines()

    assert "| rie | 15.0 |" in shown
    assert "| Warm call | times the floor | 1.50 | at most 1.6 x | required | reached |" in shown


def test_json_has_the_figures_of_every_round() -> None:
    result = make_result(RATIO, rie=[15.0, 17.0], floor=[10.0, 10.0])

    row = json.loads(report.as_json([result], {"cores": 2}))["rows"][0]

    assert row["figures"]["rie"]["p50"] == {"unit": "us", "median": 16.0, "rounds": [15.0, 17.0]}
    assert row["targets"][0]["reached"] is True


def test_verdicts_are_coloured_only_when_asked_for() -> None:
    result = make_result(RATIO, rie=[15.0], floor=[10.0])

    assert "\x1b[32mreached" in report.as_text([result], colour=True)
    assert "\x1b" not in report.as_text([result], colour=False)
