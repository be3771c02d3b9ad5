"""What `flowkiln run` prints when the run is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from flowkiln.cli.display import STYLES, task_table
from flowkiln.cli.progress import RunProgress, TaskProgress
from flowkiln.engine.records import NOT_MAPPED, TaskRunRecord
from flowkiln.engine.state import State

SHOWN_FAILURES = 10
"""How many failed task runs are printed with their tracebacks."""


def print_summary(console: Console, name: str, state: State, progress: RunProgress) -> None:
    """Print a table of all tasks, the first failures with their tracebacks, and the final state."""
    console.print(task_table(list(progress.tasks.values())))
    failures = [record for task in progress.tasks.values() for record in task.failures()]
    for record in failures[:SHOWN_FAILURES]:
        _print_failure(console, record)
    if len(failures) > SHOWN_FAILURES:
        console.print(f"… and {len(failures) - SHOWN_FAILURES} more failed task runs")
    style = STYLES.get(type(state).__name__, "")
    console.print(Text.assemble((f"{name}: ", "bold"), (type(state).__name__, style), f"  {state.message or ''}"))


def print_json(name: str, state: State, progress: RunProgress, results: Mapping[str, State]) -> None:
    """Print one JSON object: the flow's state, each task's, and the results of the reference tasks.

    A result that JSON cannot express is given as its repr.
    """
    outcome = {
        "flow": name,
        "state": type(state).__name__,
        "message": str(state.message or ""),
        "tasks": [_task_json(task) for task in progress.tasks.values()],
        "results": {task: result.result for task, result in results.items()},
    }
    click.echo(json.dumps(outcome, indent=2, default=repr))


def _print_failure(console: Console, record: TaskRunRecord) -> None:
    console.print(Text(f"\n{_full_name(record)}: {record.state}: {record.message}", style="red"), soft_wrap=True)
    if record.traceback and record.state != "TriggerFailed":
        console.print(record.traceback.rstrip(), markup=False, highlight=False, soft_wrap=True)


def _full_name(record: TaskRunRecord) -> str:
    return record.task if record.map_index == NOT_MAPPED else f"{record.task}[{record.map_index}]"


def _task_json(task: TaskProgress) -> dict[str, Any]:
    return {
        "name": task.name,
        "state": task.state,
        "runCount": task.attempts,
        "message": task.record.message,
        **({"children": {state: count for state, count in task.counts.items() if count}} if task.is_mapped else {}),
        "failures": [
            {"name": _full_name(record), "state": record.state, "message": record.message} for record in task.failures()
        ],
    }
