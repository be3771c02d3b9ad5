"""Close `status.tasks` of a run that ends without its engine: unfinished tasks get a final state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowkiln.api.reasons import FlowState
from flowkiln.states.kinds import FINISHED
from flowkiln_operator.status.indexes import merged_text, parse_indexes


def state_of_unfinished(end: FlowState) -> FlowState:
    """Return the state of unfinished task runs for a final state of the run.

    The unfinished task runs of a run that Failed by its timeout, for example, did not fail themselves.
    """
    return FlowState.CRASHED if end is FlowState.CRASHED else FlowState.CANCELLED


def close_tasks(tasks: Iterable[Mapping[str, Any]], state: str) -> list[dict[str, Any]]:
    """Return the last reported tasks with everything unfinished in `state` (Crashed or Cancelled)."""
    return [_close_task(dict(task), state) for task in tasks]


def close_counts(counts: Mapping[str, int], state: str) -> dict[str, int]:
    """Return counts by state, with unfinished ones added to `state`."""
    closed = {name: count for name, count in counts.items() if name in FINISHED}
    if unfinished := sum(counts.values()) - sum(closed.values()):
        closed[state] = closed.get(state, 0) + unfinished
    return dict(sorted(closed.items()))


def _close_task(task: dict[str, Any], state: str) -> dict[str, Any]:
    if task.get("state") not in FINISHED:
        task["state"] = state
    if children := task.get("children"):
        task["children"] = _close_children(children, state)
    return task


def _close_children(children: Mapping[str, Any], state: str) -> dict[str, Any]:
    counts = children.get("counts") or {}
    closed = {"total": children.get("total", 0), "counts": close_counts(counts, state)}
    kept: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for entry in children.get("indexes") or ():
        stays = entry.get("state") in FINISHED and entry.get("state") != state
        (kept if stays else moved).append(entry)
    if moved:
        readable = [runs for entry in moved if (runs := _runs(entry)) is not None]
        text = merged_text(run for runs in readable for run in runs)
        incomplete = text.truncated or len(readable) < len(moved) or any(entry.get("truncated") for entry in moved)
        kept.insert(0, {"state": state, "indexes": text.text} | ({"truncated": True} if incomplete else {}))
    if kept:
        closed["indexes"] = kept
    return closed


def _runs(entry: Mapping[str, Any]) -> list[tuple[int, int]] | None:
    """Return the index ranges of an entry; None if they are invalid, because the run's pods can write anything."""
    try:
        return parse_indexes(entry.get("indexes", ""))
    except ValueError:
        return None
