"""Rows of figures as the benchmarks print them."""

from __future__ import annotations

import re

from benchmarks.table import COUNT, Row, header, line, remarks, table


def test_a_line_is_case_baseline_ours_ratio() -> None:
    """With the ratio last and a number: programs read it so."""
    rows = (Row("plain", [2.0], [1.0]), Row("all", [2.0, 4.0], [1.0, 2.0], 1.3, COUNT, paired=True))
    for row in rows:
        fields = re.split(r"\s{2,}", line(row).strip())
        assert len(fields) == 4
        assert fields[0] == row.case
        assert float(fields[-1]) == 0.5


def test_what_was_to_be_reached_stands_below() -> None:
    """And how far the rounds differ; a row without either has no remark."""
    rows = [Row("good", [2.0], [1.0], 0.6), Row("bad", [1.0] * 4, [1.0, 2.0, 3.0, 2.0], 0.6), Row("plain", [1], [1])]
    assert list(remarks(rows)) == [
        "  good: to reach 0.6, reached",
        "  bad: to reach 0.6, missed; middle half of 4 rounds 1.750-2.250",
    ]
    assert list(table(rows))[-2:] == list(remarks(rows))


def test_paired_rounds_are_compared_round_by_round() -> None:
    """A round that was slow on both sides does not move the ratio of paired rounds, and moves that of medians."""
    baseline, ours = [1.0, 10.0, 1.0, 2.0], [1.1, 11.0, 4.0, 2.2]
    assert round(Row("paired", baseline, ours, paired=True).ratio, 3) == 1.1
    assert round(Row("medians", baseline, ours).ratio, 3) == round(3.1 / 1.5, 3)


def test_the_spread_is_the_middle_half_of_the_rounds() -> None:
    """One outlier in five rounds is not in it; of one round there is none."""
    row = Row("case", [1.0] * 5, [1.0, 1.1, 1.2, 1.3, 9.0])
    assert row.spread == "1.100-1.300"
    assert Row("case", [1.0], [2.0]).spread == ""


def test_columns_stand_below_their_heading() -> None:
    """A line is as long as its heading."""
    assert len(line(Row("case", [1.0, 1.0], [1.0, 1.0], 1.3))) == len(header())
