from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln.cli.progress import FAILURES, FINISHED, RunProgress
from flowkiln.engine.records import FlowRunRecord, TaskRunRecord

from .builders import record

STATES = ["Pending", "Running", "Retrying", "Success", "Failed", "Skipped", "Cancelled", "Cached"]


def progress(*records: TaskRunRecord) -> RunProgress:
    """What is known after some records."""
    made = RunProgress(["a", "m"])
    made.on_task_runs(records)
    return made


class TestPlainTasks:
    def test_untouched(self) -> None:
        """Tasks are there before anything is known of them."""
        assert [task.state for task in progress().tasks.values()] == ["Pending", "Pending"]
        assert progress().done() == (0, 2)

    def test_retry(self) -> None:
        """While it waits it is said until when; afterwards attempts and time from the first start remain."""
        waiting = progress(
            record("a", "Running", start_time=10.0, run_count=1),
            record("a", "Retrying", start_time=10.0, end_time=11.0, run_count=1, due=20.0, message="again"),
        )
        assert (waiting.tasks["a"].due, waiting.tasks["a"].seconds) == (20.0, None)
        waiting.on_task_runs([record("a", "Success", start_time=20.0, end_time=22.0, run_count=2)])
        task = waiting.tasks["a"]
        assert (task.due, task.attempts, task.seconds) == (None, 2, 12.0)
        assert waiting.done() == (1, 2)

    def test_failures(self) -> None:
        """A failed task is among the failures, one that waits for another try is not."""
        assert progress(record("a", "Retrying")).tasks["a"].failures() == []
        failed = record("a", "TimedOut", message="late")
        assert progress(failed).tasks["a"].failures() == [failed]


class TestMappedTasks:
    def test_state_is_that_of_the_children(self) -> None:
        """Running until all are finished; then what failed, else what was cancelled, else Success."""
        run = progress(record("m", "Mapped", map_size=2), record("m", "Success", 0))
        task = run.tasks["m"]
        assert (task.state, task.finished_children, task.total) == ("Running", 1, 2)
        run.on_task_runs([record("m", "Success", 1)])
        assert task.state == "Success"
        run.on_task_runs([record("m", "Cancelled", 1)])
        assert task.state == "Cancelled"
        run.on_task_runs([record("m", "Failed", 1)])
        assert task.state == "Failed"
        assert run.done() == (2, 3)

    def test_an_empty_map(self) -> None:
        """Nothing to do is done."""
        task = progress(record("m", "Mapped", map_size=0)).tasks["m"]
        assert (task.state, task.is_mapped, task.total) == ("Success", True, 0)

    def test_a_parent_that_fails(self) -> None:
        """A parent that could not be mapped is a failed task."""
        task = progress(record("m", "TriggerFailed", message="no")).tasks["m"]
        assert (task.state, task.is_mapped, len(task.failures())) == ("TriggerFailed", False, 1)

    def test_failures_by_index(self) -> None:
        """However they came, they are told in order."""
        task = progress(*(record("m", "Failed", index) for index in (7, 2, 5))).tasks["m"]
        assert [one.map_index for one in task.failures()] == [2, 5, 7]

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(STATES))))
    def test_counts_are_those_of_the_last_records(self, changes: list[tuple[int, str]]) -> None:
        """Whatever comes in whatever order, all that is counted follows from each child's last record."""
        run = progress(record("m", "Mapped", map_size=6), *(record("m", state, index) for index, state in changes))
        task, last = run.tasks["m"], dict(changes)
        assert +task.counts == Counter(last.values())
        assert task.finished_children == sum(state in FINISHED for state in last.values())
        assert {one.map_index for one in task.failures()} == {i for i, state in last.items() if state in FAILURES}


class TestFlow:
    def test_last_record(self) -> None:
        """The flow's state is kept beside its tasks'."""
        run = progress()
        run.on_flow_run(FlowRunRecord("Running", "on it"))
        assert run.flow == FlowRunRecord("Running", "on it")
