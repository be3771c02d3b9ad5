"""Show the progress of a flow run: a live table on a terminal, otherwise one line for each change."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from flowkiln.cli.progress import RunProgress, TaskProgress, full_name
from flowkiln.cli.root_causes import RootCauses, root_causes
from flowkiln.cli.tables import TaskTable, describe_counts, first_line, listed, waiting
from flowkiln.states.kinds import FAILURES, FINISHED, NOT_STARTED, WAITING
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord

_QUIET_STATES = frozenset({NOT_STARTED, "Submitted", "Queued"})
_EXPLAINED = FAILURES | WAITING | {"Paused", "Skipped", NOT_STARTED}
"""States that are printed with their message."""
MAX_ROWS = 40
"""Maximum number of rows of the live table; finished tasks are hidden first."""


class LinePrinter:
    """An Observer that prints a line for each change, for logs, pipes and CI.

    Mapped children are only counted, except for failures, retries and pauses. Implicit tasks have no lines unless they
    fail.
    """

    def __init__(self, console: Console, progress: RunProgress) -> None:
        self._console = console
        self._progress = progress
        self._origins = RootCauses(progress.tasks)

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Update the progress, then print the changes."""
        for record in records:
            task = self._progress.tasks[record.task]
            was = task.state
            self._progress.on_task_runs([record])
            if not task.is_shown:
                continue
            if record.map_index == NOT_MAPPED and record.map_size is None:
                if record.state not in _QUIET_STATES or record.message:
                    self._print(task, record)
                continue
            if record.state in FAILURES | WAITING | {"Paused"} and record.map_index != NOT_MAPPED:
                self._print(task, record)
            if record.state == "Mapped":
                _print_line(self._console, f"{record.task}: {_mapped_over(task)}")
            elif task.state != was and task.is_mapped and task.finished_children == task.total:
                _print_line(self._console, f"{record.task}: {describe_counts(task.counts)} of {task.total}")

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Print the state of the whole run."""
        self._progress.on_flow_run(record)
        reason = "" if record.state == "Running" else _reason(record.state_class, record.message)
        _print_line(self._console, f"flow run: {record.state}{reason}")

    def _print(self, task: TaskProgress, record: TaskRunRecord) -> None:
        attempts = task.attempts_of(record)
        attempt = f", attempt {attempts}" if attempts > 1 and record.state == "Running" else ""
        wait = f", {waiting(record.due)}" if record.due is not None and record.state in WAITING else ""
        is_child = record.map_index != NOT_MAPPED
        names = self._origins.of_child(task, record) if is_child else self._origins.of(task)
        message = f"because of {listed(names)}" if names else first_line(record) if record.state in _EXPLAINED else ""
        reason = _reason(record.state_class, message)
        _print_line(self._console, f"{full_name(record)}: {record.state}{attempt}{wait}{reason}")


def _reason(*parts: str) -> str:
    said = ": ".join(filter(None, parts))
    return f" ({said})" if said else ""


def _print_line(console: Console, text: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {text}", markup=False, highlight=False, soft_wrap=True)


def _mapped_over(task: TaskProgress) -> str:
    return f"mapped over {task.total}" if task.total else "Success, there was nothing to map over"


class _LiveView:
    """The live table, which rich renders several times a second."""

    def __init__(self, title: str, progress: RunProgress) -> None:
        self._title = title
        self._progress = progress

    def __rich__(self) -> Group:
        with self._progress.lock:
            tasks = self._progress.shown()
            reasons = root_causes(self._progress.tasks) if len(tasks) <= MAX_ROWS else {}
            if len(tasks) > MAX_ROWS:
                open_tasks = [task for task in tasks if task.state not in FINISHED]
                tasks = [task for task in open_tasks if task.state != NOT_STARTED][:MAX_ROWS] or open_tasks[:MAX_ROWS]
            # The cursor stays on the last line, where a terminal shows ^C, so that line is empty.
            return Group(self._head(), TaskTable(tasks, reasons), Text())

    def _head(self) -> Text:
        if self._progress.waits_for is not None:
            return Text.assemble((self._title, "bold"), ("  ", ""), (_ending(self._progress.waits_for), "yellow"))
        ended, total = self._progress.done()
        return Text.assemble((self._title, "bold"), f"  {self._progress.flow.title}  {ended}/{total} task runs")


def announce_end(console: Console, progress: RunProgress) -> None:
    """Show that the run is being ended: in the header of a live table, otherwise as a line."""
    waits_for = progress.begin_to_end()
    if not console.is_terminal:
        _print_line(console, _ending(waits_for))


def print_outcome(console: Console, text: str) -> str:
    """Return a text formatted for below a live table: the terminal shows ^C there and breaks lines within words."""
    return f"\n{textwrap.fill(text, console.width)}\n" if console.is_terminal else f"{text}\n"


def _ending(waits_for: Sequence[str]) -> str:
    """Return a message that the run is being ended, and which task runs it waits for."""
    waits = f" It waits for {listed(waits_for)}." if waits_for else ""
    return f"Ending the run; Ctrl-C again to leave at once.{waits}"


@contextmanager
def watching(console: Console, title: str, progress: RunProgress) -> Iterator[RunProgress | LinePrinter]:
    """Show progress inside the block; yield the Observer for the records."""
    if not console.is_terminal:
        yield LinePrinter(console, progress)
        return
    with Live(
        _LiveView(title, progress),
        console=console,
        refresh_per_second=8,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield progress
