"""What a mapped parent waits for, and what its handlers decide about it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest

from flowkiln import Flow, Task, context, task, unmapped
from flowkiln.engine import FlowRunner, signals
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor
from flowkiln.engine.state import Failed, Mapped, Pending, Queued, Skipped, State, Submitted, Success
from flowkiln.triggers import manual_only


@pytest.fixture(scope="module", params=["local", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor that is used for a run, or that all runs share."""
    if request.param == "local":
        yield LocalExecutor()
        return
    shared = DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=2)
    with shared.start():
        yield shared


@task
def nothing() -> list[int]:
    """Give no elements."""
    return []


@task
def load(file: int) -> int:
    """Take one element."""
    return file


@task
def report(loaded: Any) -> Any:
    """Take what all elements gave."""
    return loaded


class TestEmptyMaps:
    """A map without elements has no children that would wait for what else is upstream."""

    def test_it_waits_for_a_task_that_is_retried(self, executor: Executor) -> None:
        """What is downstream of the map runs after the last attempt."""

        @task(max_retries=1, retry_delay=dt.timedelta(seconds=0.1))
        def flaky() -> int:
            if context.task_run_count == 1:
                raise ValueError("not yet")
            return time.monotonic_ns()

        @task
        def after(loaded: list[int]) -> int:
            return time.monotonic_ns()

        with Flow("retried") as flow:
            above = flaky()
            below = after(load.map(nothing(), upstream_tasks=[unmapped(above)]))
        state = flow.run(executor=executor)
        assert state.result[above].result < state.result[below].result

    def test_it_does_not_pass_a_gate_that_is_closed(self, executor: Executor) -> None:
        """The flow is not finished while somebody is asked."""
        with Flow("gated") as flow:
            gate = task(lambda: None, trigger=manual_only)()
            below = report(load.map(nothing(), upstream_tasks=[unmapped(gate)]))
        state = flow.run(executor=executor)
        assert state.is_running()
        assert type(state.result[below]) is Pending

    def test_a_single_pass_leaves_it_pending(self) -> None:
        """As a TaskRunner by itself does."""

        @task(max_retries=1, retry_delay=dt.timedelta(hours=1))
        def flaky() -> None:
            raise ValueError("not yet")

        with Flow("retried") as flow:
            loaded = load.map(nothing(), upstream_tasks=[unmapped(flaky())])
        state = FlowRunner(flow).run(return_tasks=[loaded])
        assert type(state.result[loaded]) is Pending


def answer(given: State | Exception) -> Any:
    """Make a handler that answers to Mapped by returning or raising this."""

    def handler(_task: Task, _old: State, new: State) -> State | None:
        if not new.is_mapped():
            return None
        if isinstance(given, State):
            return given
        raise given

    return handler


class TestHandlers:
    """The state that a parent's handlers settle on is the one that counts, for the flow and for the tasks below."""

    @pytest.mark.parametrize(
        ("given", "reduced", "mapped"),
        [
            (Failed("no"), "TriggerFailed", "TriggerFailed"),
            (signals.FAIL("no"), "TriggerFailed", "TriggerFailed"),
            (ValueError("no"), "TriggerFailed", "TriggerFailed"),
            (Skipped("no"), "Skipped", "Skipped"),
            (signals.PAUSE("no"), "Pending", "Pending"),
            (Pending("no"), "Pending", "Pending"),
        ],
    )
    def test_what_is_downstream_follows_it(
        self, given: State | Exception, reduced: str, mapped: str, executor: Executor
    ) -> None:
        """A reducer, and a map over the map."""
        with Flow("handled") as flow:
            loaded = task(lambda x: x, name="load", state_handlers=[answer(given)]).map([1, 2])
            below, each = report(loaded), task(lambda x: x, name="each").map(loaded)
        state = flow.run(executor=executor)
        assert type(state.result[below]).__name__ == reduced
        assert type(state.result[each]).__name__ == mapped
        assert not state.result[loaded].is_mapped()

    def test_another_result_is_what_is_mapped_over(self, executor: Executor) -> None:
        """A handler may replace what the children are about to give."""
        with Flow("handled") as flow:
            loaded = task(lambda x: x, name="load", state_handlers=[answer(Success(result=[7, 8, 9]))]).map([1, 2])
            below, each = report(loaded), task(lambda x: x + 1, name="each").map(loaded)
        state = flow.run(executor=executor)
        assert state.result[below].result == [7, 8, 9]
        assert state.result[each].result == [8, 9, 10]


def test_meta_states_among_given_children_are_unwrapped() -> None:
    """Submitted and Queued stand for what they hold, or for a fresh start."""
    with Flow("given") as flow:
        loaded = load.map([1, 2, 3])
    given = Mapped(map_states=[Submitted(state=Success(result=7)), Queued(state=Pending()), Submitted()])
    state = flow.run(task_states={loaded: given})
    assert state.result[loaded].result == [7, 2, 3]
    assert type(given.map_states[0]) is Submitted
