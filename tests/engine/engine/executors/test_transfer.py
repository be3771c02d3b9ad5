"""Results on their way from one process to another."""

from __future__ import annotations

from flowkiln import Flow, task
from flowkiln.engine.executors import DaskExecutor


class Unreadable:
    """Can be pickled, and not unpickled."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        """Give a call that fails."""
        return int, ("no number",)


def test_a_result_that_cannot_be_unpickled_fails_its_task_alone() -> None:
    """The flow ends with a state for every task, and the one that cannot be read says so."""
    executor = DaskExecutor(local_processes=True, n_workers=2, threads_per_worker=1)
    with Flow("unreadable") as flow:
        bad = task(lambda: Unreadable(), name="bad")()
        good = task(lambda: {"three": 3}, name="good")()
    state = flow.run(executor=executor)
    assert state.result[good].result == {"three": 3}
    assert state.result[bad].is_failed()
    assert "unpickling it fails" in str(state.result[bad].message)
