"""Rows `case  baseline  ours  ratio`, the ratio last and a plain number."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """What figures are printed in: `factor` of it make one of what was measured."""

    name: str
    factor: float = 1.0
    digits: int = 1

    def show(self, figure: float) -> str:
        """Return a figure with its unit."""
        return f"{figure * self.factor:.{self.digits}f} {self.name}"


MILLISECONDS = Unit("ms", 1e3)
"""Of seconds."""
COUNT = Unit("", digits=0)


@dataclass(frozen=True, slots=True)
class Row:
    """The measured rounds of one case, in seconds unless `unit` says otherwise; `target` is the ratio to reach, if any.

    `paired`: baseline and ours of a round belong together, and the ratio is the median of the rounds' ratios; otherwise
    it is the ratio of the medians.
    """

    case: str
    baseline: Sequence[float]
    ours: Sequence[float]
    target: float | None = None
    unit: Unit = MILLISECONDS
    paired: bool = False

    @property
    def ratio(self) -> float:
        """Ours by the baseline's."""
        if self.paired:
            return statistics.median(self.ratios())
        return statistics.median(self.ours) / statistics.median(self.baseline)

    def ratios(self) -> list[float]:
        """Ours by the baseline's, round by round."""
        return [ours / baseline for baseline, ours in zip(self.baseline, self.ours, strict=True)]

    @property
    def spread(self) -> str:
        """Between which ratios the middle half of the rounds lies; empty for rounds that have no pairs."""
        if len(self.ours) < 2 or len(self.baseline) != len(self.ours):
            return ""
        low, _, high = statistics.quantiles(self.ratios(), n=4, method="inclusive")
        return f"{low:.3f}-{high:.3f}"


def header() -> str:
    """Return the heading of a table."""
    return _columns("case", "baseline", "ours", "ratio")


def line(row: Row) -> str:
    """One row: medians, and the ratio."""
    baseline, ours = (row.unit.show(statistics.median(rounds)) for rounds in (row.baseline, row.ours))
    return _columns(row.case, baseline, ours, f"{row.ratio:.3f}")


def remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what goes below a table: which ratios were to be reached, and between which most rounds lie."""
    for row in rows:
        said = []
        if row.target is not None:
            said.append(f"to reach {row.target:g}, {'reached' if row.ratio <= row.target else 'missed'}")
        if row.spread:
            said.append(f"middle half of {len(row.ours)} rounds {row.spread}")
        if said:
            yield f"  {row.case}: {'; '.join(said)}"


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a whole table."""
    yield header()
    yield from map(line, rows)
    yield from remarks(rows)


def _columns(case: str, baseline: str, ours: str, ratio: str) -> str:
    return f"{case:<36}  {baseline:>12}  {ours:>12}  {ratio:>8}"
