"""Restart from failure: an explicit operation that keeps the successes."""

from __future__ import annotations

from typing import Any

import flowkiln
from flowkiln import Flow, Task
from flowkiln.engine.executors import Executor
from flowkiln.engine.result import Result
from flowkiln.engine.runs.restart import restart_from_failure
from flowkiln.engine.state import (
    Cancelled,
    Crashed,
    Failed,
    Mapped,
    Paused,
    Pending,
    Retrying,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
)
from flowkiln.triggers import any_failed


def chain() -> tuple[Flow, list[Task]]:
    """Make three tasks in a row and one beside them."""
    with Flow("f") as flow:
        one = flowkiln.task(lambda: 1)()
        two = flowkiln.task(lambda x: x + 1)(one)
        three = flowkiln.task(lambda x: x + 1)(two)
        other = flowkiln.task(lambda: 9)()
    return flow, [one, two, three, other]


def test_what_failed_and_what_depends_on_it_starts_again() -> None:
    """Successes stand, as the same objects; the caller's dict is untouched."""
    flow, (one, two, three, other) = chain()
    given: dict[Task, State] = {one: Success(), two: Failed(), three: TriggerFailed(), other: Success()}
    before = dict(given)
    restarted = restart_from_failure(flow, given)
    assert restarted[one] is given[one]
    assert restarted[other] is given[other]
    assert type(restarted[two]) is type(restarted[three]) is Pending
    assert given == before


def test_every_kind_of_failure_counts() -> None:
    """Crashed, TimedOut with its inputs, and what was cancelled."""
    flow, (one, two, three, other) = chain()
    inputs = {"x": Result(1)}
    given: dict[Task, State] = {
        one: Crashed(),
        two: TimedOut(cached_inputs=inputs),
        three: Cancelled(),
        other: Skipped(),
    }
    restarted = restart_from_failure(flow, given)
    assert [type(restarted[task]) for task in (one, two, three)] == [Pending] * 3
    assert restarted[two].cached_inputs == inputs  # type: ignore[attr-defined]
    assert restarted[other] is given[other]


def test_what_is_not_finished_stays() -> None:
    """Waiting states go on as they would."""
    flow, (one, two, three, other) = chain()
    given: dict[Task, State] = {one: Retrying(), two: Pending(), three: Paused(), other: Failed()}
    restarted = restart_from_failure(flow, given)
    assert all(restarted[task] is given[task] for task in (one, two, three))


def test_a_success_that_ran_because_of_the_failure_starts_again() -> None:
    """It depends on what failed."""
    with Flow("f") as flow:
        failed = flowkiln.task(lambda: 1 // 0)()
        cleaned = flowkiln.task(lambda: "clean", trigger=any_failed)(upstream_tasks=[failed])
    restarted = restart_from_failure(flow, {failed: Failed(), cleaned: Success()})
    assert type(restarted[cleaned]) is Pending


def test_single_children_start_again_with_their_own_downstream() -> None:
    """The others are kept; a reducer depends on all."""
    with Flow("f") as flow:
        values = flowkiln.task(lambda: [0, 1])()
        first = flowkiln.task(lambda x: x).map(values)
        second = flowkiln.task(lambda x: x).map(first)
        total = flowkiln.task(lambda xs: sum(xs))(second)
    kept = [Success(result=0), Success(result=0)]
    given: dict[Task, State] = {
        values: Success(result=[0, 1]),
        first: Mapped(map_states=[kept[0], Failed()]),
        second: Mapped(map_states=[kept[1], TriggerFailed()]),
        total: TriggerFailed(),
    }
    restarted = restart_from_failure(flow, given)
    for task, child in ((first, kept[0]), (second, kept[1])):
        states = restarted[task].map_states  # type: ignore[attr-defined]
        assert states[0] is child
        assert type(states[1]) is Pending
    assert type(restarted[total]) is Pending


def test_a_restarted_run_ends_well(any_executor: Executor, tmp_path: Any) -> None:
    """Only what is needed runs: each body notes that it did."""
    log = tmp_path / "log"
    broken = tmp_path / "broken"
    broken.touch()

    def body(x: int) -> int:
        with log.open("a") as file:
            file.write(f"{x}\n")
        if x == 1 and broken.exists():
            raise ValueError("broken")
        return x * 10

    with Flow("f") as flow:
        values = flowkiln.task(lambda: [0, 1, 2])()
        mapped = flowkiln.task(body).map(values)
        total = flowkiln.task(lambda xs: sum(xs))(mapped)
    failed = flow.run(executor=any_executor)
    assert type(failed) is Failed
    broken.unlink()
    log.write_text("")
    final = flow.run(executor=any_executor, task_states=restart_from_failure(flow, failed.result))
    assert type(final) is Success
    assert final.result[total].result == 30
    assert log.read_text() == "1\n"
