"""Entries of `status.tasks`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flowkiln.states.kinds import NOT_STARTED
from flowkiln.states.records import NOT_MAPPED
from flowkiln_operator.agent.projection.budget import Candidate
from flowkiln_operator.agent.projection.children import Children
from flowkiln_operator.agent.projection.failures import FailureText
from flowkiln_operator.agent.projection.groups import priority
from flowkiln_operator.status.text import head, timestamp

IMPLIED_STATE = "Success"
"""The state of children that are in no index list."""


@dataclass(slots=True)
class TaskEntry:
    """The status of one task. `children` is set once it is mapped; times are seconds since the epoch."""

    name: str
    state: str = NOT_STARTED
    start: float | None = None
    end: float | None = None
    run_count: int = 0
    visit: int = 0
    children: Children | None = None


def render(entry: TaskEntry, failure: FailureText | None) -> Candidate:
    """Return the entry as JSON text, with and without index ranges."""
    bare = _bare(entry, failure)
    bare_text = compact_json(bare)
    bare_size = len(bare_text.encode())
    if entry.children is None:
        return Candidate(entry.name, priority(entry.state), bare_text, bare_text, bare_size, bare_size)
    bare["children"]["indexes"] = _indexes(entry.children)
    full_text = compact_json(bare)
    full_size = len(full_text.encode())
    return Candidate(entry.name, entry.children.priority(), full_text, bare_text, full_size, bare_size)


def compact_json(value: object) -> str:
    """Return JSON without spaces, in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _bare(entry: TaskEntry, failure: FailureText | None) -> dict[str, Any]:
    document: dict[str, Any] = {"name": entry.name, "state": entry.state}
    if entry.start is not None:
        document["startTime"] = timestamp(entry.start)
    end = entry.end
    if entry.children is not None:
        end = entry.children.last_end if entry.children.finished() else None
    if end is not None:
        document["completionTime"] = timestamp(end)
    if entry.run_count:
        document["runCount"] = entry.run_count
    if failure is not None:
        mark = "" if failure.map_index == NOT_MAPPED else f"[{failure.map_index}] "
        document["message"] = head(mark + failure.message)
        if failure.traceback:
            document["traceback"] = failure.traceback
    if entry.children is not None:
        document["children"] = {"total": entry.children.total, "counts": entry.children.counts()}
    return document


def _indexes(children: Children) -> list[dict[str, Any]]:
    ranges: list[dict[str, Any]] = []
    for state, indexes in children.by_importance():
        if state == IMPLIED_STATE:
            continue
        text = indexes.text()
        ranges.append({"state": state, "indexes": text.text} | ({"truncated": True} if text.truncated else {}))
    return ranges
