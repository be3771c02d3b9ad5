"""Show the progress of a flow run: as a live table on a terminal, as one line for each change elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from flowkiln.cli.progress import FAILURES, FINISHED, UNTOUCHED, WAITING, RunProgress, TaskProgress
from flowkiln.engine.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord

STYLES = {
    "Success": "green",
    "Cached": "green",
    "Running": "cyan",
    "Retrying": "yellow",
    "Scheduled": "yellow",
    "Paused": "magenta",
    "Skipped": "dim",
    "Cancelled": "magenta",
    UNTOUCHED: "dim",
    **dict.fromkeys(FAILURES, "red"),
}
_QUIET_STATES = frozenset({UNTOUCHED, "Submitted", "Queued"})
MAX_ROWS = 40
"""More tasks than this are not shown all at once while the run goes on: the finished ones go first."""


class LinePrinter:
    """An Observer that prints a line for each change: for logs, pipes and CI.

    Children of a mapped task are only counted, but for failures, retries and pauses.
    """

    def __init__(self, console: Console, progress: RunProgress) -> None:
        self._console = console
        self._progress = progress

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Take the records, then print what they change."""
        for record in records:
            task = self._progress.tasks[record.task]
            was = task.state
            self._progress.on_task_runs([record])
            if record.map_index == NOT_MAPPED and record.map_size is None:
                if record.state not in _QUIET_STATES:
                    self._print(record.task, record)
                continue
            if record.state in FAILURES | WAITING | {"Paused"} and record.map_index != NOT_MAPPED:
                self._print(f"{record.task}[{record.map_index}]", record)
            if record.state == "Mapped":
                self._line(f"{record.task}: mapped over {task.total}")
            if task.state != was and task.is_mapped and task.finished_children == task.total:
                self._line(f"{record.task}: {describe_counts(task.counts)} of {task.total}")

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Print the state of the whole run."""
        self._progress.on_flow_run(record)
        self._line(f"flow run: {record.title}" + (f" ({record.message})" if record.message else ""))

    def _print(self, name: str, record: TaskRunRecord) -> None:
        attempt = f", attempt {record.run_count}" if record.run_count > 1 and record.state == "Running" else ""
        wait = f", {_wait(record.due)}" if record.due is not None and record.state in WAITING else ""
        message = f" ({record.message})" if record.message and record.state in FAILURES | WAITING | {"Paused"} else ""
        self._line(f"{name}: {record.title}{attempt}{wait}{message}")

    def _line(self, text: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False, soft_wrap=True)


class _LiveView:
    """What rich renders anew several times a second."""

    def __init__(self, title: str, progress: RunProgress) -> None:
        self._title = title
        self._progress = progress

    def __rich__(self) -> Group:
        with self._progress.lock:
            ended, total = self._progress.done()
            flow = self._progress.flow
            head = Text.assemble((self._title, "bold"), f"  {flow.state}  {ended}/{total} task runs")
            tasks = list(self._progress.tasks.values())
            if len(tasks) > MAX_ROWS:
                open_tasks = [task for task in tasks if task.state not in FINISHED]
                tasks = [task for task in open_tasks if task.state != UNTOUCHED][:MAX_ROWS] or open_tasks[:MAX_ROWS]
            return Group(head, task_table(tasks))


@contextmanager
def watching(console: Console, title: str, progress: RunProgress) -> Iterator[RunProgress | LinePrinter]:
    """Show progress while the block runs; gives the Observer that has to get the records."""
    if not console.is_terminal:
        yield LinePrinter(console, progress)
        return
    with Live(_LiveView(title, progress), console=console, refresh_per_second=8, transient=True):
        yield progress


def task_table(tasks: Sequence[TaskProgress]) -> Table:
    """A row for each task: state, children by state, attempts, time or what it waits for."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("TASK", "STATE", "CHILDREN", "ATTEMPTS", "TIME", "NOTE"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("TASK", "STATE"))
    for task in tasks:
        table.add_row(
            escape(task.name),
            Text(task.state, style=STYLES.get(task.state, "")),
            _children(task),
            str(task.attempts or ""),
            "" if task.seconds is None else f"{task.seconds:.1f} s",
            escape(_note(task)),
        )
    return table


def _children(task: TaskProgress) -> str:
    if not task.is_mapped:
        return ""
    done = f"{task.finished_children}/{task.total}"
    return done if set(+task.counts) <= {"Success"} else f"{done}: {describe_counts(task.counts)}"


def describe_counts(counts: Counter[str]) -> str:
    """Say how many children are in which state: `11 Success, 1 Failed`."""
    return ", ".join(f"{count} {state}" for state, count in counts.most_common() if count)


def _note(task: TaskProgress) -> str:
    due = task.due
    if due is not None:
        return f"{_wait(due)}: {_reason(task)}"
    return _reason(task)


def _wait(due: float) -> str:
    return f"again in {max(0.0, due - time.time()):.0f} s"


def _reason(task: TaskProgress) -> str:
    """The message of the first run of the task that says why it does not simply succeed."""
    for record in task.noted():
        if record.message:
            first_line = record.message.partition("\n")[0]
            return first_line if record.map_index == NOT_MAPPED else f"[{record.map_index}] {first_line}"
    return ""
