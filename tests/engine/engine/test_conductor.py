"""A run that is watched: its records say what happened, in legal steps, on every executor."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import flowkiln
from flowkiln import Flow, context
from flowkiln.engine import signals
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.state import Cancelled, Mapped, Running, Success
from flowkiln.states.records import NOT_MAPPED, FlowRunRecord, TaskRunRecord
from flowkiln.states.transitions import illegal_transitions, is_legal

from .graphs import Shape, build, shapes
from .test_random_graphs import EXAMPLES


class Notebook:
    """An observer that notes all records."""

    def __init__(self) -> None:
        self.task_runs: list[TaskRunRecord] = []
        self.flow_runs: list[FlowRunRecord] = []
        self.running = threading.Event()

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Note task runs."""
        self.task_runs.extend(records)
        if any(record.state == "Running" for record in records):
            self.running.set()

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Note the flow run."""
        self.flow_runs.append(record)

    def states(self, task: str, map_index: int = NOT_MAPPED) -> list[str]:
        """The states of one task run, in order."""
        return [r.state for r in self.task_runs if (r.task, r.map_index) == (task, map_index)]


def watch(flow: Flow, executor: Executor, **options: Any) -> tuple[Any, Notebook]:
    """Run a flow under a Conductor and give its state and what was noted."""
    notebook = Notebook()
    return Conductor(flow, executor, observer=notebook, **options).run(), notebook


def test_the_records_of_a_run(any_executor: Executor) -> None:
    """Each task run from Running to its end, with times, counts and messages; the flow's at start and end."""

    def fails_once(x: int) -> int:
        if context.task_run_count == 1:
            raise ValueError("first attempt")
        return x

    with Flow("f") as flow:
        numbers = flowkiln.task(lambda: [1, 2], name="numbers")()
        mapped = flowkiln.task(fails_once, name="each", max_retries=1, retry_delay=dt.timedelta(0)).map(numbers)
        flowkiln.task(lambda xs: sum(xs), name="total")(mapped)
    final, notebook = watch(flow, any_executor)
    assert type(final) is Success
    assert notebook.states("numbers") == ["Running", "Success"]
    assert notebook.states("total") == ["Running", "Success"]
    assert notebook.states("each") == ["Mapped"]
    for index in (0, 1):
        assert notebook.states("each", index) == ["Running", "Failed", "Retrying", "Running", "Success"]
    (parent,) = [r for r in notebook.task_runs if r.state == "Mapped"]
    assert parent.map_size == 2
    failed = next(r for r in notebook.task_runs if r.state == "Failed")
    assert "first attempt" in failed.message
    assert "fails_once" in failed.traceback
    last = [r for r in notebook.task_runs if r.task == "each"][-1]
    assert last.start_time is not None
    assert last.end_time is not None
    assert last.run_count == 2
    assert [record.state for record in notebook.flow_runs] == ["Running", "Success"]


def test_the_records_of_a_loop_come_in_order(any_executor: Executor) -> None:
    """Each iteration runs and ends before the next."""

    def body() -> int:
        count: int = context.get("task_loop_count", 1)
        if count < 3:
            raise signals.LOOP(result=count)
        return count

    with Flow("f") as flow:
        flowkiln.task(body, name="loop")()
    _, notebook = watch(flow, any_executor)
    assert notebook.states("loop") == ["Running", "Looped", "Running", "Looped", "Running", "Success"]


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(nodes=shapes(behaviours=["ok", "fail", "skip", "retry", "retry_signal", "loop", "one_fails", "one_retries"]))
def test_all_record_streams_are_legal_and_end_in_the_final_states(
    dask_threads: DaskExecutor, nodes: tuple[Shape, ...]
) -> None:
    """On random flows, in this process and on a cluster."""
    for executor in (LocalExecutor(), dask_threads):
        flow, tasks = build(nodes)
        final, notebook = watch(flow, executor, return_tasks=tuple(tasks))
        assert illegal_transitions(notebook.task_runs) == []
        last = {(r.task, r.map_index): r.state for r in notebook.task_runs}
        for task in tasks:
            state = final.result[task]
            assert last[task.name, NOT_MAPPED] == type(state).__name__
            for index, child in enumerate(state.map_states if isinstance(state, Mapped) else ()):
                assert last[task.name, index] == type(child).__name__


def test_results_that_nobody_wants_are_given_up(dask_threads: DaskExecutor) -> None:
    """The final state has none, and the cluster holds none."""
    with Flow("f") as flow:
        one = flowkiln.task(lambda: [1, 2, 3])()
        flowkiln.task(lambda x: x).map(one)
    final, _ = watch(flow, dask_threads)
    assert final.result == {}
    final, _ = watch(flow, dask_threads, return_tasks=(one,))
    assert set(final.result) == {one}
    assert final.result[one].result == [1, 2, 3]


def test_terminate_ends_a_run_from_another_thread(any_executor: Executor) -> None:
    """What has not finished is Cancelled, and so is the flow."""

    def wait() -> None:
        threading.Event().wait(1)

    with Flow("f") as flow:
        before = flowkiln.task(wait, name="first")()
        for number in range(60):
            before = flowkiln.task(wait, name=f"n{number}")(upstream_tasks=[before])
    notebook = Notebook()
    conductor = Conductor(flow, any_executor, observer=notebook)
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(conductor.run()))
    thread.start()
    assert notebook.running.wait(60)
    conductor.terminate()
    thread.join(60)
    assert type(ended[0]) is Cancelled
    assert notebook.states("n59") == ["Cancelled"]
    assert notebook.flow_runs[-1].state == "Cancelled"


@pytest.mark.parametrize("moment", ["before", "in a handler", "while it is prepared", "while the executor starts"])
def test_a_termination_before_the_first_task_is_not_lost(moment: str) -> None:
    """The run ends as Cancelled, and no body runs, however early the termination comes."""
    bodies: list[int] = []

    class Terminating(LocalExecutor):
        def start(self) -> Any:
            if moment == "while the executor starts":
                conductor.terminate()
            return super().start()

    def handler(_: Flow, old: Any, new: Any) -> None:
        if moment == "in a handler":
            conductor.terminate()

    class Prepared(Flow):
        def sorted_tasks(self, *arguments: Any, **options: Any) -> Any:
            if moment == "while it is prepared":
                conductor.terminate()
            return super().sorted_tasks(*arguments, **options)

    with Prepared("f", state_handlers=[handler]) as flow:
        flowkiln.task(lambda: bodies.append(1), name="only")()
    notebook = Notebook()
    conductor = Conductor(flow, Terminating(), observer=notebook)
    if moment == "before":
        conductor.terminate()
    assert type(conductor.run()) is Cancelled
    assert bodies == []
    assert notebook.states("only") == ["Cancelled"]


def test_a_termination_after_the_end_changes_nothing() -> None:
    """The state of the run stays what it was."""
    with Flow("f") as flow:
        flowkiln.task(lambda: 1, name="only")()
    notebook = Notebook()
    conductor = Conductor(flow, LocalExecutor(), observer=notebook)
    final = conductor.run()
    conductor.terminate()
    assert type(final) is Success
    assert notebook.flow_runs[-1].state == "Success"


def test_a_run_that_waits_for_somebody_says_so() -> None:
    """Running, with nothing left to do."""

    def pause() -> None:
        raise signals.PAUSE("look at this")

    with Flow("f") as flow:
        flowkiln.task(pause, name="asks")()
    final, notebook = watch(flow, LocalExecutor())
    assert type(final) is Running
    assert notebook.states("asks") == ["Running", "Paused"]


@pytest.mark.parametrize(
    ("old", "new", "legal"),
    [
        ("Pending", "Running", True),
        ("Running", "Success", True),
        ("Success", "Cached", True),
        ("Failed", "Retrying", True),
        ("Retrying", "Running", True),
        ("Paused", "Running", True),
        ("Success", "Running", False),
        ("Cancelled", "Running", False),
        ("Pending", "Success", False),
        ("Skipped", "Success", False),
        ("Running", "MyOwnState", True),
        ("MyOwnState", "Running", True),
    ],
)
def test_the_table_of_transitions(old: str, new: str, legal: bool) -> None:
    """Classes of the users' are legal anywhere."""
    assert is_legal(old, new) is legal
