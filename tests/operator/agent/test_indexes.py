"""Index sets: what they hold, and the text they are written as."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln_operator.status.indexes import IndexSet, merged_text, parse_indexes

changes = st.lists(st.tuples(st.booleans(), st.integers(0, 60)))


@given(st.integers(0, 40), changes)
def test_an_index_set_is_a_set(stop: int, steps: list[tuple[bool, int]]) -> None:
    """After any additions and removals it holds what a Python set holds, in runs that never touch."""
    indexes, model = IndexSet(stop), set(range(stop))
    for add, index in steps:
        if add:
            indexes.add(index)
            model.add(index)
        else:
            indexes.remove(index)
            model.discard(index)
    assert list(indexes) == sorted(model)
    assert len(indexes) == len(model)
    assert {index for index in range(101) if index in indexes} == model
    runs = list(indexes.runs())
    assert all(first <= last for first, last in runs)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(runs))


@given(st.sets(st.integers(0, 10_000)))
def test_the_text_of_a_set_reads_back_as_the_set(model: set[int]) -> None:
    """Writing and reading index ranges loses nothing when there is room."""
    indexes = IndexSet()
    for index in model:
        indexes.add(index)
    text = indexes.text(max_bytes=1 << 20)
    assert not text.truncated
    assert {i for first, last in parse_indexes(text.text) for i in range(first, last + 1)} == model


@given(st.sets(st.integers(0, 10_000), min_size=1), st.integers(0, 200))
def test_a_text_that_is_cut_is_short_and_says_so(model: set[int], room: int) -> None:
    """A cut text names the lowest indexes, stays within its bytes, and is marked."""
    indexes = IndexSet()
    for index in model:
        indexes.add(index)
    full, cut = indexes.text(1 << 20), indexes.text(room)
    assert len(cut.text) <= room
    assert cut.truncated == (cut.text != full.text)
    assert full.text.startswith(cut.text)
    assert parse_indexes(full.text)[: len(parse_indexes(cut.text))] == parse_indexes(cut.text)


def test_the_notation_is_that_of_completed_indexes() -> None:
    """1, 3, 4, 5 and 7 read as the Kubernetes documentation writes them."""
    indexes = IndexSet()
    for index in (7, 3, 1, 5, 4):
        indexes.add(index)
    assert indexes.text().text == "1,3-5,7"


@pytest.mark.parametrize("text", ["5,3", "3-1", "1,2", "a", "-1", "1--2", "1,"])
def test_what_no_set_would_write_is_refused(text: str) -> None:
    """Text from elsewhere does not pass for index ranges."""
    with pytest.raises(ValueError):  # noqa: PT011 - int() and our own check both raise it
        parse_indexes(text)


@given(st.lists(st.sets(st.integers(0, 300)), max_size=5))
def test_merging_runs_is_the_union(models: list[set[int]]) -> None:
    """The text of several sets together names what any of them holds."""
    runs = []
    for model in models:
        indexes = IndexSet()
        for index in model:
            indexes.add(index)
        runs += list(indexes.runs())
    text = merged_text(runs).text
    assert {i for first, last in parse_indexes(text) for i in range(first, last + 1)} == set().union(*models)
