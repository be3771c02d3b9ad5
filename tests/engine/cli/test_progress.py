from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln import Flow
from flowkiln.cli.progress import RunProgress, progress_of
from flowkiln.states.kinds import FAILURES, FINISHED
from flowkiln.states.records import FlowRunRecord, TaskRunRecord
from flowkiln.tasks.core.function import FunctionTask

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

    def test_attempts_are_what_ran(self) -> None:
        """Retries have a new run count, runs after the loss of a worker a new visit, iterations of a loop neither."""
        task = progress(
            record("a", "Running", run_count=1, visit=1),
            record("a", "Looped", run_count=1, visit=1),
            record("a", "Running", run_count=1, visit=1),
            record("a", "Retrying", run_count=1, visit=1),
            record("a", "Running", run_count=2, visit=2),
            record("a", "Running", run_count=2, visit=3),
            record("a", "Success", run_count=2, visit=3),
        ).tasks["a"]
        assert task.attempts == 3

    def test_attempts_that_only_the_end_tells_of(self) -> None:
        """Where the beginnings were not told, the last run count is what is known."""
        assert progress(record("a", "Failed", run_count=2, visit=1)).tasks["a"].attempts == 2


class TestMappedTasks:
    def test_attempts_of_children(self) -> None:
        """They are counted one by one, and the most of a child are the task's."""
        task = progress(
            record("m", "Running", 0, run_count=1, visit=1),
            record("m", "Running", 1, run_count=1, visit=1),
            record("m", "Running", 1, run_count=1, visit=2),
        ).tasks["m"]
        assert task.attempts == 2
        assert [task.attempts_of(record("m", "Success", index)) for index in (0, 1)] == [1, 2]

    def test_a_cause_counts_more_than_its_consequences(self) -> None:
        """Of children that failed and others that did not run, the failed ones make the task's state."""
        task = progress(record("m", "TriggerFailed", 0), record("m", "Failed", 1)).tasks["m"]
        assert task.state == "Failed"

    def test_all_skipped(self) -> None:
        """Then the task is skipped."""
        assert progress(record("m", "Skipped", 0), record("m", "Skipped", 1)).tasks["m"].state == "Skipped"

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
    def test_order_and_what_is_implicit(self) -> None:
        """Tasks come after those upstream of them; constants, collections and indexes count only when they fail."""
        with Flow("f") as flow:
            late = FunctionTask(lambda **given: given, name="late")
            early = FunctionTask(lambda: {"rows": 1}, name="early")()
            late(rows=[early["rows"], 5])
        run = progress_of(flow)
        assert [task.name for task in run.shown()] == ["early", "late"]
        assert len(run.tasks) == 6
        assert run.done() == (0, 2)
        names = list(run.tasks)
        assert all(names.index(above) < names.index(name) for name in names for above in run.tasks[name].upstream)
        (index,) = (name for name in names if "getitem" in name)
        run.on_task_runs([record(index, "TriggerFailed")])
        assert run.done() == (0, 2)
        run.on_task_runs([record(index, "Failed")])
        assert [task.name for task in run.shown()] == ["early", index, "late"]
        assert run.counts() == {"Pending": 2, "Failed": 1}

    def test_last_record(self) -> None:
        """The flow's state is kept beside its tasks'."""
        run = progress()
        run.on_flow_run(FlowRunRecord("Running", "on it"))
        assert run.flow == FlowRunRecord("Running", "on it")
