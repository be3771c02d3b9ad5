"""Names of tasks that are the same in every process that builds the flow, and valid as names in Kubernetes."""

from __future__ import annotations

from flowkiln.common.names import MAX_LENGTH, local_id
from flowkiln.core.flow_graph import FlowGraph
from flowkiln.core.task import Task


def local_ids(flow: FlowGraph) -> dict[Task, str]:
    """Return each task's local id, in insertion order: its slug, else its name, else `name-2`, `name-3` …

    Ids consist of `[a-z0-9-]`, begin and end with a letter or digit, have at most 63 characters, and are unique in the
    flow. Slugs take precedence over names, and earlier tasks over later ones.
    """
    chosen: dict[Task, str] = {}
    taken: set[str] = set()
    tried: dict[str, int] = {}
    tasks = list(flow.tasks)
    for task in [*(task for task in tasks if task.slug), *(task for task in tasks if not task.slug)]:
        chosen[task] = _free(local_id(str(task.slug or task.name)), taken, tried)
        taken.add(chosen[task])
    return {task: chosen[task] for task in tasks}


def _free(wanted: str, taken: set[str], tried: dict[str, int]) -> str:
    if wanted not in taken:
        return wanted
    number = tried.get(wanted, 1)
    while True:
        number += 1
        suffix = f"-{number}"
        candidate = wanted[: MAX_LENGTH - len(suffix)].rstrip("-") + suffix
        if candidate not in taken:
            tried[wanted] = number
            return candidate
