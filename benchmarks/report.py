"""What a row of the benchmark found, and how it is shown: text, Markdown, JSON."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Cell = tuple[str, str]  # contender, metric

GREEN, RED, BOLD, PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[1m", "\x1b[0m"
ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Metric:
    """A column: what is measured, in which unit, with how many decimals."""

    name: str
    unit: str
    digits: int = 0

    @property
    def title(self) -> str:
        """The column's heading."""
        return f"{self.name}, {self.unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked of `top`, or of `top` divided by `bottom`, each round with its own.

    A required target fails `--check`; the others are what the project is after.
    """

    what: str
    top: Cell
    bottom: Cell | None = None
    bound: Literal["at most", "at least"]
    limit: float
    required: bool = False

    @property
    def asked(self) -> str:
        """The target in words."""
        return f"{self.bound} {self.limit:g}{' x' if self.bottom else ''}"

    @property
    def rank(self) -> str:
        """Whether it must be reached."""
        return "required" if self.required else "goal"

    def allows(self, value: float) -> bool:
        """Say whether `value` reaches the target."""
        return value <= self.limit if self.bound == "at most" else value >= self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was found; None where a contender was missing."""

    target: Target
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None when that could not be measured."""
        return None if self.value is None else self.target.allows(self.value)

    @property
    def mark(self) -> str:
        """The same in a word."""
        return {True: "reached", False: "MISSED", None: "not measured"}[self.reached]

    @property
    def shown(self) -> str:
        """The value as the tables have it."""
        return ABSENT if self.value is None else f"{self.value:.2f}"


@dataclass(slots=True, kw_only=True)
class Result:
    """A row: its figures by contender and metric, one for each round, and what was left out."""

    id: str
    title: str
    method: str
    metrics: tuple[Metric, ...]
    targets: tuple[Target, ...]
    series: dict[Cell, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def add(self, contender: str, values: dict[str, float]) -> None:
        """Add a round's figures of one contender."""
        for metric, value in values.items():
            self.series.setdefault((contender, metric), []).append(value)

    def drop(self, contender: str, why: str) -> None:
        """Leave a contender out, with what it has measured so far."""
        self.absent[contender] = why
        self.series = {cell: v for cell, v in self.series.items() if cell[0] != contender}

    @property
    def contenders(self) -> list[str]:
        """Those that were measured, in the order in which they came."""
        return list(dict.fromkeys(contender for contender, _ in self.series))

    def median(self, contender: str, metric: str) -> float | None:
        """Return the median over the rounds."""
        values = self.series.get((contender, metric))
        return statistics.median(values) if values else None

    def judge(self, target: Target) -> Verdict:
        """Hold the figures against a target: the median over the rounds of each round's ratio."""
        tops = self.series.get(target.top)
        bottoms = self.series.get(target.bottom) if target.bottom else None
        if not tops or (target.bottom and not bottoms):
            return Verdict(target, None)
        if not bottoms:
            return Verdict(target, statistics.median(tops))
        ratios = [top / bottom for top, bottom in zip(tops, bottoms, strict=False) if bottom]
        return Verdict(target, statistics.median(ratios) if ratios else None)

    @property
    def verdicts(self) -> list[Verdict]:
        """All targets, judged."""
        return [self.judge(target) for target in self.targets]

    def figures(self) -> list[list[str]]:
        """Return the table of figures, its heading first."""
        heading = ["", *(metric.title for metric in self.metrics)]
        return [heading, *(self.line(contender) for contender in self.contenders)]

    def line(self, contender: str) -> list[str]:
        """Return one contender's line of it."""
        shown = [contender]
        for metric in self.metrics:
            value = self.median(contender, metric.name)
            shown.append(ABSENT if value is None else f"{value:,.{metric.digits}f}")
        return shown

    def judgements(self) -> list[list[str]]:
        """Return the table of targets, its heading first."""
        heading = ["target", "measured", "asked", "", ""]
        return [
            heading,
            *(
                [v.target.what, v.shown, v.target.asked, v.target.rank, v.mark]
                for v in self.verdicts
            ),
        ]


def align(table: Sequence[Sequence[str]]) -> list[str]:
    """Set a table in columns, the first to the left and those of numbers to the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if is_numeric(table, i) else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def is_numeric(table: Sequence[Sequence[str]], column: int) -> bool:
    """Say whether all of a column below its heading are numbers, or absent."""
    cells = [row[column].replace(",", "") for row in table[1:]]
    return column > 0 and all(
        cell == ABSENT or cell.removeprefix("-").replace(".", "", 1).isdigit() for cell in cells
    )


def as_text(results: Iterable[Result], *, colour: bool) -> str:
    """Show all rows as aligned tables."""
    return "\n".join(line for result in results for line in [*text_of(result, colour=colour), ""])


def text_of(result: Result, *, colour: bool) -> list[str]:
    """Show one row."""
    lines = [f"{BOLD}{result.title}{PLAIN}" if colour else result.title, f"  {result.method}"]
    if result.series:
        lines += [f"  {line}" for line in align(result.figures())]
    for contender, why in result.absent.items():
        lines.append(f"  {contender} not available: {why}")
    if result.targets:
        lines += ["", *(f"  {line}" for line in align(result.judgements()))]
    return [paint(line) for line in lines] if colour else lines


def paint(line: str) -> str:
    """Colour the last word of a line that holds a verdict."""
    for word, colour in (("reached", GREEN), ("MISSED", RED)):
        if line.endswith(word):
            return f"{line.removesuffix(word)}{colour}{word}{PLAIN}"
    return line


def as_markdown(results: Iterable[Result]) -> str:
    """Show all rows as Markdown: for each its figures, then one table of all targets."""
    lines: list[str] = []
    results = list(results)
    for result in results:
        lines += [f"### {result.title}", "", result.method, ""]
        if result.series:
            lines += [*markdown_table(result.figures()), ""]
        for contender, why in result.absent.items():
            lines += [f"{contender} not available: {why}.", ""]
    lines += ["### Targets", ""]
    rows = [[result.title, *row] for result in results for row in result.judgements()[1:]]
    lines += markdown_table([["row", "target", "measured", "asked", "kind", "verdict"], *rows])
    return "\n".join([*lines, ""])


def markdown_table(table: Sequence[Sequence[str]]) -> list[str]:
    """Return a table's lines; numbers to the right."""
    rule = ["---:" if is_numeric(table, i) else "---" for i in range(len(table[0]))]
    return [f"| {' | '.join(row)} |" for row in [table[0], rule, *table[1:]]]


def as_json(results: Iterable[Result], about: dict[str, object]) -> str:
    """Return all figures of all rounds, and the verdicts."""
    rows = [
        {
            "id": result.id,
            "title": result.title,
            "figures": {
                contender: {
                    metric.name: {
                        "unit": metric.unit,
                        "median": result.median(contender, metric.name),
                        "rounds": result.series.get((contender, metric.name), []),
                    }
                    for metric in result.metrics
                }
                for contender in result.contenders
            },
            "absent": result.absent,
            "targets": [
                {
                    "what": verdict.target.what,
                    "asked": verdict.target.asked,
                    "required": verdict.target.required,
                    "measured": verdict.value,
                    "reached": verdict.reached,
                }
                for verdict in result.verdicts
            ],
        }
        for result in results
    ]
    return json.dumps({**about, "rows": rows}, indent=2) + "\n"


def missed(results: Iterable[Result]) -> list[Verdict]:
    """Return the required targets that were measured and missed, or could not be measured."""
    verdicts = (verdict for result in results for verdict in result.verdicts)
    return [v for v in verdicts if v.target.required and not v.reached]
