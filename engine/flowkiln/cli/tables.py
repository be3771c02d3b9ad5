"""The table of a run's tasks, with a separate layout for narrow terminals."""

from __future__ import annotations

import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flowkiln.cli.progress import TaskProgress
from flowkiln.common.safe_text import shortened
from flowkiln.engine.driver.driver import TERMINATED
from flowkiln.states.kinds import FAILURES, NOT_STARTED, RUNNING, SUCCESSES, WAITING
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord

STYLES = {
    **dict.fromkeys(SUCCESSES, "green"),
    **dict.fromkeys(RUNNING, "cyan"),
    **dict.fromkeys(WAITING, "yellow"),
    **dict.fromkeys(FAILURES, "red"),
    "TriggerFailed": "dim red",
    **dict.fromkeys(("Paused", "Cancelled"), "magenta"),
    **dict.fromkeys((NOT_STARTED, "Skipped"), "dim"),
}
NARROW = 80
"""Terminals with fewer columns get the narrow layout."""
ROOM_FOR_NOTES = 20
"""Minimum width of notes; below it the narrow layout puts them on separate lines."""
_HEADINGS = ("TASK", "STATE", "CHILDREN", "ATTEMPTS", "TIME", "NOTE")
_ALWAYS = ("TASK", "STATE", "TIME")
_GAP = 2
_INDENT = 4
_LINES_OF_NOTES = 2
"""Approximate maximum number of lines of a note; failures are shown in full below the table."""


class TaskTable:
    """A rich renderable of tasks: state, children by state, attempts, time, and a note.

    `origins` are the root causes of tasks that did not run.
    """

    def __init__(self, tasks: Sequence[TaskProgress], origins: Mapping[str, Sequence[str]] | None = None) -> None:
        self._tasks = tasks
        self._origins = origins or {}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = [_cells(task, self._origins.get(task.name, ())) for task in self._tasks]
        columns = [name for name in _HEADINGS if name in _ALWAYS or any(_says_something(name, row) for row in rows)]
        fixed = [max(len(name), *(len(row[name]) for row in rows), 0) for name in columns if name != "NOTE"]
        room = options.max_width - sum(fixed) - _GAP * len(fixed)
        if options.max_width >= NARROW and room >= (ROOM_FOR_NOTES if "NOTE" in columns else 0):
            yield self._wide(columns, rows, room)
        else:
            yield from self._narrow(rows, options.max_width)

    def _wide(self, columns: Sequence[str], rows: Sequence[Mapping[str, str]], room: int) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0))
        for name in columns:
            is_note = name == "NOTE"
            table.add_column(name, overflow="ellipsis" if is_note else "fold", no_wrap=not is_note)
        for row in rows:
            cells = {**row, "NOTE": _clipped(row["NOTE"], room * _LINES_OF_NOTES)}
            table.add_row(*(_styled(row[name]) if name == "STATE" else escape(cells[name]) for name in columns))
        return table

    def _narrow(self, rows: Sequence[Mapping[str, str]], width: int) -> Iterator[RenderableType]:
        """Return a line for each task, with its details indented below."""
        longest = max((len(row["STATE"]) for row in rows), default=0)
        facts = {row["TASK"]: _facts(row, longest) for row in rows}
        room = width - _GAP - max(map(len, facts.values()), default=0)
        column = max((len(name) for name in facts if len(name) <= room), default=0) + _GAP
        for row in rows:
            name, state = row["TASK"], _styled(row["STATE"])
            line = Text.assemble(state, facts[name].removeprefix(row["STATE"]))
            if len(name) <= room:
                yield Text.assemble(name.ljust(column), line)
            else:
                yield Text(name, overflow="ellipsis", no_wrap=True)
                yield _indented(line)
            attempts = f"{row['ATTEMPTS']} attempts" if _says_something("ATTEMPTS", row) else ""
            children = "" if _is_short(row["CHILDREN"]) else row["CHILDREN"]
            for details in filter(None, (", ".join(filter(None, (children, attempts))), row["NOTE"])):
                yield _indented(Text(_clipped(details, (width - _INDENT) * _LINES_OF_NOTES), overflow="ellipsis"))


def _facts(row: Mapping[str, str], longest: int) -> str:
    """Return state, time, and children without states, in one line."""
    children = row["CHILDREN"] if _is_short(row["CHILDREN"]) else ""
    return "  ".join(filter(None, (row["STATE"].ljust(longest), row["TIME"], children))).rstrip()


def _is_short(children: str) -> bool:
    """Return whether all finished children succeeded, so two numbers are enough."""
    return ":" not in children


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, _INDENT), expand=False)


def _clipped(text: str, length: int) -> str:
    """Cut a text after a word, or inside a word that is too long."""
    clipped = textwrap.shorten(text, max(length, 1), placeholder=" …")
    return shortened(text, length) if clipped.strip() == "…" else clipped


def _says_something(column: str, row: Mapping[str, str]) -> bool:
    return row[column] not in ("", "1" if column == "ATTEMPTS" else "")


def _styled(state: str) -> Text:
    return Text(state, style=STYLES.get(state, ""))


def _cells(task: TaskProgress, origins: Sequence[str]) -> dict[str, str]:
    return {
        "TASK": task.name,
        "STATE": task.state,
        "CHILDREN": _children(task),
        "ATTEMPTS": str(task.attempts or ""),
        "TIME": "" if task.seconds is None else duration(task.seconds),
        "NOTE": f"because of {listed(origins)}" if origins else _note(task),
    }


def _children(task: TaskProgress) -> str:
    if not task.is_mapped:
        return ""
    done = f"{task.finished_children}/{task.total}"
    return done if set(+task.counts) <= {"Success", *RUNNING} else f"{done}: {describe_counts(task.counts)}"


def describe_counts(counts: Counter[str]) -> str:
    """Return the number of children in each state: `11 Success, 1 Failed`."""
    return ", ".join(f"{count} {state}" for state, count in counts.most_common() if count)


def duration(seconds: float) -> str:
    """Return a duration as text: `0.3 s`, `2 min 05 s`, `3 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and the number of the others."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def waiting(due: float) -> str:
    """Return when a waiting task run starts."""
    return f"again in {max(0.0, due - time.time()):.0f} s"


def first_line(record: TaskRunRecord) -> str:
    """Return the first line of the message, without the prefix that a body raised."""
    return record.message.partition("\n")[0].removeprefix("Unexpected error: ")


def _note(task: TaskProgress) -> str:
    """Return a note about a task that has not simply succeeded: the first message of its runs."""
    due = waiting(task.due) if task.due is not None else ""
    for record in task.noted():
        if record.message == TERMINATED:
            # Its state already says so.
            continue
        reason = ": ".join(filter(None, (record.state_class, first_line(record))))
        if reason:
            mark = "" if record.map_index == NOT_MAPPED else f"[{record.map_index}] "
            return ": ".join(filter(None, (due, mark + reason)))
    return due or ("" if task.is_mapped else task.record.state_class)
