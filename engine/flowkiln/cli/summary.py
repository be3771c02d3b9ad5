"""Print the summary of a run for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from flowkiln.cli.progress import RunProgress, TaskProgress, full_name
from flowkiln.cli.root_causes import root_causes
from flowkiln.cli.tables import STYLES, TaskTable, duration, first_line, listed
from flowkiln.states.kinds import FAILURES
from flowkiln.states.records import FlowRunRecord

SHOWN_FAILURES = 10
"""Maximum number of failed tasks printed with a traceback."""
SHOWN_CHILDREN = 5
"""Maximum number of failed children printed for one mapped task, the first with its traceback."""


def print_summary(console: Console, name: str, flow: FlowRunRecord, progress: RunProgress, seconds: float) -> None:
    """Print a table of all tasks, the first failures with tracebacks, and the final state."""
    shown = progress.shown()
    if shown:
        console.print(TaskTable(shown, root_causes(progress.tasks)))
        console.print()
    print_failures(console, name, flow, progress, seconds)


def print_failures(console: Console, name: str, flow: FlowRunRecord, progress: RunProgress, seconds: float) -> None:
    """Print the first failures with tracebacks, the tasks that did not run because of them, and the final state."""
    shown, because = progress.shown(), root_causes(progress.tasks)
    causes = sorted((task for task in shown if _is_cause(task, because)), key=_when)
    for task in causes[:SHOWN_FAILURES]:
        for line in _failure(task, console.width):
            _print(console, line)
        console.print()
    if len(causes) > SHOWN_FAILURES:
        _print(console, Text(f"… and {len(causes) - SHOWN_FAILURES} more tasks failed.\n"))
    if consequence := _consequence(causes, [task for task in shown if task.name in because]):
        _print(console, Text(f"{consequence}\n"))
    end = Text.assemble((f"{name}: ", "bold"), (flow.title, STYLES.get(flow.state, "")), f" in {duration(seconds)}")
    _print(console, end.append(f"  {flow.message}" if flow.message else ""))


def _print(console: Console, text: Text) -> None:
    """Print a text; wrap it at words on a terminal, but keep lines intact elsewhere for searching."""
    console.print(text, soft_wrap=not console.is_terminal)


def _is_cause(task: TaskProgress, because: dict[str, tuple[str, ...]]) -> bool:
    return task.state in FAILURES and task.name not in because


def _when(task: TaskProgress) -> float:
    return min((record.end_time for record in task.failures() if record.end_time is not None), default=0.0)


def _failure(task: TaskProgress, width: int) -> Iterator[Text]:
    """Print the failures of one task: the first run in full, one line for some others, and their number."""
    records = task.failures()
    own = [record for record in records if record.state != "TriggerFailed"] or records
    first, *others = own
    attempts = task.attempts_of(first)
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    head = f"{full_name(first)}: {first.title}{tries}"
    if first.traceback:
        # The last line of the traceback has the same text.
        says = "" if first.message.startswith("Unexpected error:") else first.message
        *frames, error = first.traceback.rstrip().split("\n")
        yield Text.assemble((head, "bold red"), _after_colon(says))
        yield Text("\n".join(line for line in frames if len(line) <= width or line.strip(" ^~")))
        yield Text(error, "red")
    else:
        yield Text.assemble((head, "bold red"), (_after_colon(first.message), "red"))
    for record in others[: SHOWN_CHILDREN - 1]:
        yield Text(f"{full_name(record)}: {record.title}{_after_colon(first_line(record))}", "red")
    if len(own) > SHOWN_CHILDREN:
        yield Text(f"… and {len(own) - SHOWN_CHILDREN} more of the {task.total} children of {task.name} failed.")


def _after_colon(text: str) -> str:
    return f": {text}" if text else ""


def _consequence(causes: Sequence[TaskProgress], kept_from_running: Sequence[TaskProgress]) -> str:
    failed = [task for task in kept_from_running if task.state == "TriggerFailed"]
    if not causes or not failed:
        return ""
    names = [f"{task.name}{_part_that_ran(task)}" for task in failed]
    tasks = "task" if len(failed) == 1 else "tasks"
    not_in_full = ", or only in part," if any(map(_part_that_ran, failed)) else ""
    reason = "it" if len(causes) == 1 else "them"
    return f"{len(failed)} {tasks} did not run{not_in_full} because of {reason}: {listed(names, 8)}"


def _part_that_ran(task: TaskProgress) -> str:
    """Return how many children of a mapped task ran, if any did."""
    ran = task.total - task.counts["TriggerFailed"]
    return f" (ran {ran} of {task.total} children)" if task.is_mapped and ran else ""
