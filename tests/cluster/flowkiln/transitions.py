"""Which state of a task run may follow which, as somebody sees it who looks at the status now and then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .watching import Version

WAITING = frozenset({"Pending", "Scheduled", "Resume"})
FINAL = frozenset({"Success", "Cached", "Skipped", "Failed", "TimedOut", "TriggerFailed", "Cancelled", "Crashed"})

_AFTER_START = frozenset({"Running", "Retrying", "Paused", "Mapped"}) | FINAL

LEGAL: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(WAITING, _AFTER_START | WAITING),
    "Running": frozenset({"Retrying", "Paused"}) | FINAL,
    "Retrying": frozenset({"Running", "Paused"}) | FINAL,
    "Paused": frozenset({"Running", "Resume", "Retrying"}) | FINAL,
    "Mapped": FINAL,
    **{state: frozenset() for state in FINAL},
}
"""A status shows at most one state a second, so each of these may stand for several steps: a final state ends it."""

RUN_STATES = ("", "Scheduled", "Pending", "Running", "Paused", "Success", "Failed", "Cancelled", "Crashed")
LEGAL_FOR_RUNS: Mapping[str, frozenset[str]] = {
    "": frozenset(RUN_STATES),
    "Scheduled": frozenset(RUN_STATES) - {""},
    "Pending": frozenset(RUN_STATES) - {"", "Scheduled"},
    "Running": frozenset({"Paused", "Success", "Failed", "Cancelled", "Crashed"}),
    "Paused": frozenset({"Running", "Success", "Failed", "Cancelled", "Crashed"}),
    **{state: frozenset() for state in ("Success", "Failed", "Cancelled", "Crashed")},
}


def task_runs(status: Mapping[str, Any]) -> dict[str, str]:
    """Return the state of each task run that a status names: `load`, and mapped children as `load[3]`.

    Children in no range of the status are Success or Pending; those are left out.
    """
    found: dict[str, str] = {}
    for task in status.get("tasks", ()):
        found[task["name"]] = task["state"]
        for group in task.get("children", {}).get("indexes", ()):
            for index in indexes(group["indexes"]):
                found[f"{task['name']}[{index}]"] = group["state"]
    return found


def indexes(text: str) -> Iterator[int]:
    """Yield the numbers of a list such as `1,3-5`."""
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def illegal_steps(versions: Iterable[Version]) -> list[str]:
    """Return the steps between the versions of one FlowRun that must not be, for the run and for each task run."""
    wrong: list[str] = []
    before: dict[str, str] = {}
    run = ""
    for version in versions:
        state = version.status.get("state", "")
        if state != run and state not in LEGAL_FOR_RUNS[run]:
            wrong.append(f"run: {run} → {state}")
        run = state
        now = task_runs(version.status)
        wrong += [
            f"{name}: {before[name]} → {state}"
            for name, state in now.items()
            if name in before and state != before[name] and state not in LEGAL[before[name]]
        ]
        before |= now
    return wrong
