"""Order lines and State changes: "Running", then the output of the body, then its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from flowkiln.cli.output.lines import Line
from flowkiln.cli.output.printing import LinePrinting
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, Observer, TaskRunRecord

HELD_FOR = 2.0
"""Maximum seconds that a line waits for the record that its task run started."""

HELD_AT_MOST = 10_000
"""Maximum number of waiting lines."""

_Key = tuple[str | None, int]

_NO_TASK: _Key = (None, NOT_MAPPED)
"""The key of lines that do not belong to a task run of this flow run."""


class OrderedLog:
    """An Observer in front of a display that also receives all lines of the run's log.

    Thread-safe; `lock` is held while output is shown. `gather` is called before a State change is shown, to emit all
    lines written until then.
    """

    def __init__(self, display: Observer, printing: LinePrinting, run_id: str) -> None:
        self.lock = threading.RLock()
        self.gather: Callable[[], object] = lambda: None
        self._display, self._printing, self._run_id = display, printing, run_id
        self._running: dict[_Key, int] = {}
        self._held: dict[_Key, list[Line]] = {}
        self._held_count = 0
        self._release_at = 0.0

    def say(self, line: Line) -> None:
        """Show a line, once its task run is known to run."""
        facts = line.facts
        with self.lock:
            if facts.run != self._run_id or facts.task is None:
                # It keeps its position among the waiting lines.
                key, is_due = _NO_TASK, not self._held
            else:
                key = (facts.task, NOT_MAPPED if facts.map_index is None else facts.map_index)
                is_due = key in self._running and self._running[key] >= (facts.run_count or 0)
            if is_due:
                self._printing.print((line,))
                return
            if not self._held:
                self._release_at = time.monotonic() + HELD_FOR
            self._held.setdefault(key, []).append(line)
            self._held_count += 1
            if self._held_count > HELD_AT_MOST:
                self._release_all()

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Show State changes of task runs, each after the lines before it."""
        with self.lock:
            self.gather()
            if not self._held:
                for record in records:
                    self._note(record)
                self._display.on_task_runs(records)
                return
            for record in records:
                key = (record.task, record.map_index)
                attempt = max(1, record.run_count)
                if record.state != "Running":
                    self._release(key, attempt)
                self._display.on_task_runs((record,))
                self._note(record)
                if record.state == "Running":
                    self._release(key, attempt)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Show a State change of the flow run."""
        with self.lock:
            self.gather()
            self._release_all()
            self._display.on_flow_run(record)

    def tick(self) -> None:
        """Show lines that have waited long enough; call it periodically."""
        with self.lock:
            if self._held and time.monotonic() >= self._release_at:
                self._release_all()
            self._printing.tick()

    def finish(self) -> None:
        """Show everything."""
        with self.lock:
            self.gather()
            self._release_all()
            self._printing.flush()

    def _note(self, record: TaskRunRecord) -> None:
        key = (record.task, record.map_index)
        if record.state == "Running":
            self._running[key] = max(1, record.run_count)
        else:
            self._running.pop(key, None)

    def _release(self, key: _Key, attempt: int) -> None:
        """Show the lines of a task run up to an attempt."""
        lines = self._held.pop(key, [])
        due = [line for line in lines if (line.facts.run_count or 0) <= attempt]
        later = [line for line in lines if (line.facts.run_count or 0) > attempt]
        if later:
            self._held[key] = later
        self._held_count -= len(due)
        self._printing.print(due)
        if self._held.keys() == {_NO_TASK}:
            self._release_all()

    def _release_all(self) -> None:
        for lines in self._held.values():
            self._printing.print(lines)
        self._held.clear()
        self._held_count = 0
