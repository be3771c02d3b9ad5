"""Cycles: no task may wait for itself, directly or through others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flowkiln.api.flow import FlowSpec, TaskSpec
from flowkiln.api.validation.problem import Problem

_MAX_NAMES_SHOWN = 12


def check_cycles(spec: FlowSpec) -> Iterator[Problem]:
    """Find one cycle, if there is any, and name the tasks on it. References to nothing are ignored here."""
    indexes = {task.name: index for index, task in enumerate(spec.tasks)}
    upstream = {task.name: _upstream(task, indexes) for task in spec.tasks}
    cycle = _find_cycle(upstream)
    if cycle is None:
        return
    field = f"tasks[{indexes[cycle[0]]}]"
    if len(cycle) == 1:
        yield Problem(field, f'the task "{cycle[0]}" depends on itself')
        return
    names = [*cycle, cycle[0]]
    if len(names) > _MAX_NAMES_SHOWN:
        names = [*names[: _MAX_NAMES_SHOWN - 1], "…", names[-1]]
    yield Problem(field, f"these tasks wait for each other, each for the next: {' → '.join(names)}")


def _upstream(task: TaskSpec, known: Mapping[str, int]) -> Sequence[str]:
    names = [given.task for given in task.inputs if given.task is not None] + list(task.after)
    return [name for name in dict.fromkeys(names) if name in known]


def _find_cycle(upstream: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Search depth-first with a stack of its own, in time linear in tasks and edges; give a cycle in edge order."""
    done: set[str] = set()
    for start in upstream:
        if start in done:
            continue
        path = [start]
        on_path = {start}
        ways = [iter(upstream[start])]
        while path:
            following = next(ways[-1], None)
            if following is None:
                done.add(path[-1])
                on_path.discard(path.pop())
                ways.pop()
            elif following in on_path:
                return path[path.index(following) :]
            elif following not in done:
                path.append(following)
                on_path.add(following)
                ways.append(iter(upstream[following]))
    return None
