"""How the agent's part of the status is closed when the run ends without the agent's final report.

Everything unfinished gets the state in which the run ends, so that the status shows no work that nobody does any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.api.status import MAX_INDEXES, MAX_MESSAGE

from .conditions import shorten

UNFINISHED = frozenset(
    {
        "Pending",
        "Paused",
        "Scheduled",
        "Resume",
        "Retrying",
        "Submitted",
        "Queued",
        "Running",
        "Cancelling",
    }
)
"""The names of the engine's states that are no end."""

Document = dict[str, Any]


def close_flow(flow: Mapping[str, Any], end: FlowState, reason: FlowReason, message: str) -> Document:
    """Return `status.flow` of a run that ends here."""
    closed: Document = {
        **flow,
        "state": end.value,
        "reason": reason.value,
        "message": shorten(message, MAX_MESSAGE),
    }
    if "counts" in flow:
        closed["counts"] = _close_counts(flow["counts"], _task_state(end))
    return closed


def close_tasks(tasks: Sequence[Mapping[str, Any]], end: FlowState, time: str) -> list[Document]:
    """Return `status.tasks` of a run that ends at `time` (RFC 3339)."""
    return [_close_task(task, _task_state(end), time) for task in tasks]


def _task_state(end: FlowState) -> str:
    # A run that Failed by its timeout had nothing wrong in the tasks that were cut off.
    return FlowState.CRASHED.value if end is FlowState.CRASHED else FlowState.CANCELLED.value


def _close_task(task: Mapping[str, Any], end: str, time: str) -> Document:
    closed: Document = dict(task)
    if task.get("state") in UNFINISHED:
        closed["state"] = end
        if "startTime" in task:
            closed["completionTime"] = time
    if isinstance(children := task.get("children"), Mapping):
        closed["children"] = _close_children(children, end)
    return closed


def _close_children(children: Mapping[str, Any], end: str) -> Document:
    closed: Document = dict(children)
    if "counts" in children:
        closed["counts"] = _close_counts(children["counts"], end)
    entries = children.get("indexes") or ()
    ended = [entry for entry in entries if entry["state"] in UNFINISHED or entry["state"] == end]
    if ended:
        kept = [entry for entry in entries if entry not in ended]
        closed["indexes"] = [*kept, _join(ended, end)]
    return closed


def _close_counts(counts: Mapping[str, int], end: str) -> dict[str, int]:
    closed = {state: number for state, number in counts.items() if state not in UNFINISHED}
    if ended := sum(number for state, number in counts.items() if state in UNFINISHED):
        closed[end] = closed.get(end, 0) + ended
    return closed


def _join(entries: Iterable[Mapping[str, Any]], state: str) -> Document:
    """Put several states' index ranges together as one state's, as far as they fit."""
    entries = list(entries)
    ranges = sorted(_range(part) for entry in entries for part in entry["indexes"].split(",") if part)
    joined: list[tuple[int, int]] = []
    for first, last in ranges:
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    text = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in joined)
    truncated = any(entry.get("truncated") for entry in entries)
    if len(text) > MAX_INDEXES:
        text, truncated = text[: text.rindex(",", 0, MAX_INDEXES + 1)], True
    return {"state": state, "indexes": text, **({"truncated": True} if truncated else {})}


def _range(part: str) -> tuple[int, int]:
    first, _, last = part.partition("-")
    return int(first), int(last or first)
