"""Rows `case  baseline  ours  ratio`, the ratio last and a plain number."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """The measured rounds of one case, in seconds; `target` is the ratio to reach, if there is one."""

    case: str
    baseline: Sequence[float]
    ours: Sequence[float]
    target: float | None = None

    @property
    def ratio(self) -> float:
        """The ratio of the medians."""
        return statistics.median(self.ours) / statistics.median(self.baseline)


def header() -> str:
    """The heading of a table."""
    return f"{'case':<34} {'target':>7} {'baseline':>12} {'ours':>12} {'ratio':>8}"


def line(row: Row) -> str:
    """One row: medians in milliseconds."""
    target = "" if row.target is None else f"{row.target:g}"
    return (
        f"{row.case:<34} {target:>7} {statistics.median(row.baseline) * 1e3:>9.1f} ms "
        f"{statistics.median(row.ours) * 1e3:>9.1f} ms {row.ratio:>8.3f}"
    )
