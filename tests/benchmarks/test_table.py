"""Rows of figures as the benchmarks print them."""

from __future__ import annotations

from benchmarks.table import COUNT, Row, header, line


def test_the_ratio_is_the_last_word_of_a_line_and_a_number() -> None:
    """Programs read the ratio as the last field, whatever else is in the row."""
    rows = (Row("plain", [2.0], [1.0]), Row("all", [2.0, 4.0], [1.0, 2.0], 1.3, COUNT, paired=True))
    for row in rows:
        for spread in (False, True):
            assert float(line(row, spread=spread).split()[-1]) == 0.5


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
    """A line is as long as its heading, with and without the spread."""
    row = Row("case", [1.0, 1.0], [1.0, 1.0], 1.3)
    for spread in (False, True):
        assert len(line(row, spread=spread)) == len(header(spread=spread))
