"""The phases of task runs and of the run, the table of moves, and what a violation of either tells."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from flowkiln.engine.driver import Driver, InEdge, Node, RunGraph, Started, SubmitUnits, UnitEnded, UnitPolicy
from flowkiln.engine.driver.events import Event, Outcome, UnitLost
from flowkiln.engine.driver.history import EVENTS_KEPT, MOVES_TOLD
from flowkiln.engine.driver.instructions import Finish, Instruction, Release
from flowkiln.engine.driver.phases import (
    MOVES,
    RUN_MOVES,
    InvalidTransition,
    InvariantViolated,
    Phase,
    RunPhase,
)
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.task_runs import NodeRuns
from flowkiln.engine.driver.units import Unit
from flowkiln.engine.driver.validation import Validator
from flowkiln.states.state import Failed, Success

GRAPH = RunGraph((Node("fetch", (), (1,)), Node("parse", (InEdge(0, "x"),))))


def run_state() -> RunState:
    """What a driver of two tasks knows."""
    return RunState(GRAPH, "r", {}, UnitPolicy(), [], repeats=True)


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_a_task_run_makes_only_the_moves_of_the_table(before: Phase, after: Phase) -> None:
    """Any other raises, and changes nothing."""
    state = run_state()
    run = state.runs[0].parent
    run.phase = before
    if after in MOVES[before]:
        state.move(run, after)
        assert run.phase is after
    else:
        with pytest.raises(InvalidTransition, match=f"fetch cannot move from {before.name} to {after.name}"):
            state.move(run, after)
        assert run.phase is before


@pytest.mark.parametrize(("before", "after"), list(product(RunPhase, RunPhase)))
def test_the_run_makes_only_the_moves_of_its_table(before: RunPhase, after: RunPhase) -> None:
    """Any other raises, and changes nothing."""
    state = run_state()
    state.phase = before
    if after in RUN_MOVES[before]:
        state.move_run(after)
        assert state.phase is after
    else:
        with pytest.raises(InvalidTransition, match=f"cannot move from {before.name} to {after.name}"):
            state.move_run(after)
        assert state.phase is before


def test_a_run_starts_once() -> None:
    """A second start is no move of the table."""
    driver = Driver(GRAPH, "r")
    driver.handle(Started(0.0))
    with pytest.raises(InvalidTransition, match="The run cannot move from RUNNING to RUNNING"):
        driver.handle(Started(1.0))


class TestMessage:
    """An invalid move tells what led to it."""

    def test_it_has_the_last_events_and_the_moves_of_the_task_run(self) -> None:
        """By the number of the event; moves of others are left out."""
        state = run_state()
        fetch, parse = (runs.parent for runs in state.runs)
        state.history.note(Started(0.0))
        state.move(fetch, Phase.SUBMITTED)
        state.move(parse, Phase.SUBMITTED)
        outcome = Outcome(0, -1, 1, Success())
        state.history.note(UnitEnded(("fetch-r", -1, 1), (outcome,), 1.0))
        fetch.state = Success()
        state.move(fetch, Phase.DONE)
        with pytest.raises(InvalidTransition) as caught:
            state.move(fetch, Phase.SUBMITTED)
        assert str(caught.value).splitlines() == [
            "Task run fetch cannot move from DONE to SUBMITTED.",
            "Last events:",
            "  event 1: Started",
            "  event 2: UnitEnded ('fetch-r', -1, 1) gathered=0 0[-1] Success",
            "Last moves of fetch:",
            "  event 1: fetch WAITING -> SUBMITTED",
            "  event 2: fetch SUBMITTED -> DONE",
        ]

    def test_it_is_bounded_and_has_no_text_of_a_users(self) -> None:
        """However long the run was, and whatever its states say."""
        state = run_state()
        run = state.runs[0].parent
        for _ in range(10 * EVENTS_KEPT):
            state.history.note(UnitLost(("fetch-r", -1, 1), "secret", 0.0))
            state.history.note(UnitEnded(("fetch-r", -1, 1), (Outcome(0, -1, 1, Failed("secret", "secret")),), 0.0))
            state.move(run, Phase.SUBMITTED)
            state.move(run, Phase.WAITING)
        text = state.history.text(run)
        assert len(text.splitlines()) == EVENTS_KEPT + MOVES_TOLD + 2
        assert "secret" not in text


def _miscount(runs: NodeRuns) -> None:
    runs.unfinished += 1


def _forget_unit(runs: NodeRuns) -> None:
    runs.parent.unit = None


def _other_unit(runs: NodeRuns) -> None:
    runs.parent.unit = ("other", -1, 1)


def _done_too_early(runs: NodeRuns) -> None:
    runs.parent.phase = Phase.DONE


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_miscount, "counts 0 and 2"),
        (_forget_unit, "fetch is SUBMITTED, but has no unit"),
        (_other_unit, "('other', -1, 1), which is not in flight"),
        (_done_too_early, "fetch is DONE, but its state is Pending"),
    ],
)
def test_what_must_be_true_is_checked(damage: Callable[[NodeRuns], None], told: str) -> None:
    """On request, and after an event when the driver was made so."""
    driver = Driver(GRAPH, "r")
    driver.handle(Started(0.0))
    driver.validate()
    damage(driver.node_runs(0))
    with pytest.raises(InvariantViolated) as caught:
        driver.validate()
    assert told in str(caught.value)
    assert "Last events:" in str(caught.value)


@pytest.mark.parametrize(
    ("instructions", "told"),
    [
        ([SubmitUnits((Unit(("a", -1, 1), (), ()),) * 2)], "('a', -1, 1) is submitted twice"),
        ([SubmitUnits((Unit(("a", -1, 1), (), (("b", -1, 1),)),))], "needs ('b', -1, 1), which nobody makes"),
        ([Release((("a", -1, 1),)), Release((("a", -1, 1),))], "('a', -1, 1) is released twice"),
        ([Finish(("fetch",))], "2 task runs are left, but 1 are said to wait"),
    ],
)
def test_instructions_are_checked(instructions: list[Instruction], told: str) -> None:
    """Against each other and against what is in flight."""
    with pytest.raises(InvariantViolated) as caught:
        Validator(run_state()).check(Started(0.0), instructions, [])
    assert told in str(caught.value)


def test_a_large_run_is_checked_so_often_that_its_cost_stays_linear() -> None:
    """Each event pays for a hundred task runs; a check looks at all."""
    state = RunState(RunGraph(tuple(Node(f"n{i}") for i in range(1000))), "r", {}, UnitPolicy(), [], repeats=True)
    state.runs[0].unfinished = 5
    validator = Validator(state)
    event: Event = Started(0.0)
    for _ in range(9):
        validator.check(event, [], [])
    with pytest.raises(InvariantViolated):
        validator.check(event, [], [])
