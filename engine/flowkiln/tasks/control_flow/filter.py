"""Filter a list of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flowkiln.core.task import Task
from flowkiln.states.result import NoResultType
from flowkiln.triggers import all_finished


def _is_result(item: Any) -> bool:
    return not isinstance(item, Exception | NoResultType)


class FilterTask(Task):
    """Keep the items for which `filter_func` is true; by default all except exceptions and missing results.

    Its default trigger is `all_finished`, so failed and skipped upstream tasks do not prevent it.
    """

    def __init__(self, filter_func: Callable[[Any], Any] | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("skip_on_upstream_skip", False)
        kwargs.setdefault("trigger", all_finished)
        self.filter_func = filter_func or _is_result
        super().__init__(**kwargs)

    def run(self, task_results: Iterable[Any]) -> list[Any]:
        """Return the kept items."""
        return [item for item in task_results if self.filter_func(item)]
