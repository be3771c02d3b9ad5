"""Select the failures that are reported with text: those of the first ten tasks, causes before consequences."""

from __future__ import annotations

from dataclasses import dataclass

from flowkiln.api.limits import MAX_FAILURES_WITH_TEXT
from flowkiln.states.kinds import ROOT_FAILURES
from flowkiln.states.records import NOT_MAPPED
from flowkiln_operator.status.text import head, tail


@dataclass(frozen=True, slots=True)
class FailureText:
    """Message and traceback of one failed task run, cut to the limits of a status."""

    map_index: int
    message: str
    traceback: str


class FailureTexts:
    """The text of the first failure of each task, for the first tasks that failed.

    A failed trigger only reports another task's failure, so it is replaced by a failure that is a cause.
    """

    __slots__ = ("_causes", "_consequences")

    def __init__(self) -> None:
        self._causes: dict[str, FailureText] = {}
        self._consequences: dict[str, FailureText] = {}

    def get(self, task: str) -> FailureText | None:
        """Return the text of a task, or None."""
        return self._causes.get(task) or self._consequences.get(task)

    def first(self) -> str:
        """Return the first failure that is a cause, as `task: message`; empty if there is none."""
        return next((f"{_name(task, text)}: {text.message}" for task, text in self._causes.items()), "")

    def add(self, task: str, map_index: int, state: str, message: str, traceback: str) -> str | None:
        """Add a failure if there is room; return the task whose text it replaced, if any."""
        self.discard(task, map_index)
        if not message and not traceback:
            return None
        if state in ROOT_FAILURES:
            if task in self._causes or len(self._causes) >= MAX_FAILURES_WITH_TEXT:
                return None
            self._consequences.pop(task, None)
            self._causes[task] = FailureText(map_index, head(message), tail(traceback))
            if len(self._causes) + len(self._consequences) > MAX_FAILURES_WITH_TEXT:
                return self._consequences.popitem()[0]
        elif self.get(task) is None and len(self._causes) + len(self._consequences) < MAX_FAILURES_WITH_TEXT:
            self._consequences[task] = FailureText(map_index, head(message), tail(traceback))
        return None

    def discard(self, task: str, map_index: int) -> None:
        """Remove the text of a task run that is no longer failed."""
        for texts in (self._causes, self._consequences):
            if task in texts and texts[task].map_index == map_index:
                del texts[task]


def _name(task: str, text: FailureText) -> str:
    return task if text.map_index == NOT_MAPPED else f"{task}[{text.map_index}]"
