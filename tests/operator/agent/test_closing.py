"""The status of a run whose engine is gone."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given

from flowkiln.api.limits import MAX_STATUS_BYTES
from flowkiln.api.status import TaskStatus
from flowkiln.states.kinds import FINISHED
from flowkiln.states.records import TaskRunRecord
from flowkiln_operator.agent.projection.table import RunTable
from flowkiln_operator.status.closing import close_counts, close_tasks
from flowkiln_operator.status.indexes import parse_indexes
from tests.operator.agent.records import child, mapped, plain, record_sequences


@given(record_sequences())
def test_closing_what_was_reported_equals_closing_what_is_known(
    sequence: tuple[list[str], list[TaskRunRecord]],
) -> None:
    """From the status alone comes the same end, in numbers and indexes, as from the engine's own table."""
    names, records = sequence
    table = RunTable(names)
    table.apply(records)
    closed = close_tasks(json.loads(table.tasks_text(MAX_STATUS_BYTES)), "Crashed")
    counts = close_counts(table.counts().by_state, "Crashed")
    table.close("Crashed", 0.0)
    known = json.loads(table.tasks_text(MAX_STATUS_BYTES))
    assert counts == table.counts().by_state
    assert set(counts) <= FINISHED
    for ours, theirs in zip(closed, known, strict=True):
        TaskStatus.model_validate(ours)
        assert ours["state"] == theirs["state"]
        assert _children(ours) == _children(theirs)


def _children(entry: dict[str, object]) -> tuple[object, dict[str, set[int]]]:
    children = entry.get("children")
    if not isinstance(children, dict):
        return None, {}
    ranges: dict[str, set[int]] = {}
    for one in children.get("indexes", ()):
        found = {i for a, b in parse_indexes(one["indexes"]) for i in range(a, b + 1)}
        ranges.setdefault(one["state"], set()).update(found)
    return (children["total"], Counter(children["counts"])), ranges


@pytest.mark.parametrize("text", ["x", "3-1", "1-", "-1", "5,4", "1,2"])
def test_indexes_that_are_none_are_left_out_and_said_to_be_missing(text: str) -> None:
    """Whoever has the rights of a run's pods can write them, and must not keep the run from ending."""
    children = {
        "total": 9,
        "counts": {"Running": 9},
        "indexes": [{"state": "Running", "indexes": text}, {"state": "Pending", "indexes": "7-8"}],
    }
    (entry,) = close_tasks([{"name": "m", "state": "Mapped", "children": children}], "Crashed")
    assert entry["children"] == {
        "total": 9,
        "counts": {"Crashed": 9},
        "indexes": [{"state": "Crashed", "indexes": "7-8", "truncated": True}],
    }


def test_cut_ranges_stay_marked_as_cut() -> None:
    """When the status named only some of the unfinished children, so does what is made of it."""
    table = RunTable(["m"])
    table.apply([mapped("m", 10_000)])
    table.apply(child("m", i, "Running") for i in range(0, 10_000, 2))
    (entry,) = close_tasks(json.loads(table.tasks_text(MAX_STATUS_BYTES)), "Cancelled")
    (ranges,) = entry["children"]["indexes"]
    assert ranges["state"] == "Cancelled"
    assert ranges["truncated"] is True
    assert len(ranges["indexes"]) <= 4096
    assert entry["children"]["counts"] == {"Cancelled": 10_000}


def test_finished_tasks_stay_as_they_were() -> None:
    """Text, times and states of what had ended are history."""
    table = RunTable(["a", "b"])
    table.apply([plain("a", "Failed", message="no rows", start_time=0.0, end_time=1.0)])
    before = json.loads(table.tasks_text(MAX_STATUS_BYTES))
    after = close_tasks(before, "Crashed")
    assert after == [before[0], {"name": "b", "state": "Crashed"}]
