"""Units: what runs together, and what a cut-short one leaves behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flowkiln import Flow, task
from flowkiln.engine.driver.units import Children, Element, InlineState, Member, StateRef, Unit
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.prepare import make_environment, prepare
from flowkiln.engine.state import Mapped, Pending, State, Success
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.engine.unit_runner import UnitResult, resolve, run_unit
from flowkiln.states.result import Undelivered
from flowkiln.tasks.core.function import FunctionTask


@task
def first() -> int:
    """Start a chain."""
    return 1


@task
def increment(x: int) -> int:
    """Go on."""
    return x + 1


@task
def fails(x: int) -> int:
    """Break the chain, again and again."""
    raise ValueError(x)


def _environment(flow: Flow) -> RunEnvironment:
    return make_environment(prepare(flow), "run", {}, {}, TaskRunner, None, None)


def _chain_unit(length: int, **options: Any) -> Unit:
    key = ("chain-run", -1, 1)
    members = [Member(0, -1, 1, None, (), **options)]
    members += [Member(n, -1, 1, None, (StateRef(key, n - 1),), **options) for n in range(1, length)]
    return Unit(key, tuple(members), ())


def test_members_run_in_order_and_use_what_the_unit_has_so_far() -> None:
    """Each member finds its upstream state in the same unit, and each is told of by itself."""
    with Flow("chain") as flow:
        increment(increment(first()))
    held, report = run_unit(_environment(flow), _chain_unit(3), [])
    assert [state.result for state in held.states] == [1, 2, 3]
    assert [type(outcome.state).__name__ for outcome in report.outcomes] == ["Success"] * 3
    assert [record.state for record in report.records] == ["Running", "Success"] * 3


def test_what_only_the_next_member_used_is_not_kept() -> None:
    """A result that nobody else wants goes when the next member has it, so a chain holds one value, not all."""
    with Flow("chain") as flow:
        increment(increment(first()))
    held, _ = run_unit(_environment(flow), _chain_unit(3, only_for_next=True), [])
    assert [isinstance(state.result, int) for state in held.states] == [False, False, True]


def test_what_follows_an_unfinished_member_comes_back_unrun() -> None:
    """It finds its upstream waiting; what does not depend on that runs on."""
    with Flow("chain") as flow:
        last = increment(fails(first(), task_args={"max_retries": 1, "retry_delay": timedelta(9)}))
    assert last in flow.tasks
    unit = replace(_chain_unit(3), repeats=True)
    unit = replace(unit, members=(*unit.members, Member(0, -1, 2, None, ())))
    held, report = run_unit(_environment(flow), unit, [])
    assert [type(state).__name__ for state in held.states] == ["Success", "Retrying", "Pending", "Success"]
    assert len(report.outcomes) == 4
    assert [record.state for record in report.records if record.task == "increment"] == []


class _Flaky:
    """Fails in its first attempts."""

    def __init__(self, failures: int) -> None:
        self.left = failures

    def __call__(self, x: int) -> int:
        self.left -= 1
        if self.left >= 0:
            raise ValueError(x)
        return x + 1


@pytest.mark.parametrize(("repeats", "states"), [(True, ["Success"] * 3), (False, ["Success", "Retrying", "Pending"])])
def test_a_retry_without_delay_goes_on_in_its_place(repeats: bool, states: list[str]) -> None:
    """It costs no other submission, unless the run is one pass only; every attempt is recorded with its own start."""
    flow = Flow("chain")
    flaky = FunctionTask(_Flaky(2), name="flaky", max_retries=2, retry_delay=timedelta(0))
    with flow:
        increment(flaky(first()))
    held, report = run_unit(_environment(flow), replace(_chain_unit(3), repeats=repeats), [])
    assert [type(state).__name__ for state in held.states] == states
    told = [record for record in report.records if record.task == "flaky"]
    attempt = ["Running", "Failed", "Retrying"]
    assert [record.state for record in told] == ([*attempt, *attempt, "Running", "Success"] if repeats else attempt)
    starts = [record.start_time for record in told if record.state == "Running"]
    assert starts == sorted(set(starts))


def test_a_gate_that_closes_stops_retries_too() -> None:
    """The retry comes back as due, and goes on when the gate opens."""
    flow = Flow("one")
    flow.add_task(FunctionTask(lambda: 1 / 0, name="flaky", max_retries=2, retry_delay=timedelta(0)))
    answers = iter([True, False])
    held, _ = run_unit(
        _environment(flow), replace(_chain_unit(1), repeats=True), [], may_begin=lambda _: next(answers, False)
    )
    assert [type(state).__name__ for state in held.states] == ["Retrying"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (InlineState(Success(result=5)), Success(result=5)),
        (StateRef(("k", -1, 1), 0), Success(result=[7, 8])),
        (StateRef(("k", -1, 1), 3), Pending()),
        (Element(StateRef(("k", -1, 1), 0), (1,)), Success(result=8)),
        (
            Children((StateRef(("k", -1, 1), 0), InlineState(Success(result=1)))),
            Mapped(result=[[7, 8], 1], map_states=[Success(result=[7, 8]), Success(result=1)]),
        ),
    ],
)
def test_sources_are_resolved(source: Any, expected: Any) -> None:
    """Every kind of source gives its state; a position that a cut-short unit does not have is a run not done yet."""
    held = {("k", -1, 1): UnitResult((Success(result=[7, 8]),))}
    assert resolve(source, held) == expected


def _undelivered() -> State:
    state = Success()
    state._result = Undelivered("No way for it.")
    return state


@pytest.mark.parametrize("source", ["plain", "element", "children"])
def test_who_uses_a_result_that_did_not_arrive_fails_with_the_reason(source: str) -> None:
    """The upstream task is named; whoever only waits for it runs."""
    with Flow("undelivered") as flow:
        made = first()
        increment(made)
        task(lambda: 5, name="waits")(upstream_tasks=[made])
    environment = _environment(flow)
    wanted = {
        "plain": InlineState(_undelivered()),
        "element": Element(InlineState(_undelivered()), (0,)),
        "children": Children((InlineState(Success(result=1)), InlineState(_undelivered()))),
    }[source]
    numbers = {entry.task.name: number for number, entry in enumerate(environment.entries)}
    unit = Unit(("u-run", -1, 1), (Member(numbers["increment"], -1, 1, None, (wanted,)),), ())
    (state,) = run_unit(environment, unit, [])[0].states
    assert state.message == "The result of 'first' did not arrive. No way for it."
    if source != "element":
        unit = Unit(("u-run", -1, 2), (Member(numbers["waits"], -1, 1, None, (wanted,)),), ())
        assert run_unit(environment, unit, [])[0].states[0].result == 5
