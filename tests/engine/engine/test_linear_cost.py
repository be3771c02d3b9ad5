"""What one task run costs does not depend on how large its graph is: counted in lines that run, not in time."""

from __future__ import annotations

import pickle
import sys
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from benchmarks.engine.shapes import SHAPES, Shape

from flowkiln.common.configuration import config
from flowkiln.engine.driver import (
    CallHandlers,
    Driver,
    Event,
    Finish,
    HandlersCalled,
    Outcome,
    Release,
    Started,
    SubmitUnits,
    Unit,
    UnitEnded,
    UnitPolicy,
)
from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.prepare import prepare
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.states.state import Success

SIZE = 40
"""Enough for children to be gathered."""

GROWTH = 1.2
"""How much more a task run may cost in a graph four times as large.

The first tasks, of which nothing is known yet, go singly: of a small graph that is a larger part.
"""


@pytest.fixture(autouse=True)
def _drivers_validate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here no driver checks itself: that is not what is counted."""
    monkeypatch.setitem(config.engine.driver, "validate", False)


def lines_run(call: Callable[[], object]) -> int:
    """Count the lines of ours that a call runs."""
    count = 0

    def in_ours(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return in_ours

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return in_ours if "flowkiln" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def play(shape: Shape, policy: UnitPolicy, kept: tuple[int, ...]) -> tuple[int, int]:
    """Have a driver run a shape whose units all succeed at once. Return the bytes of all units, and what is left."""
    graph = prepare(shape.flow).graph
    driver = Driver(graph, "r", policy=policy, kept=kept)
    events: deque[Event] = deque([Started(0.0)])
    size, left, is_over = 0, set(), False
    while events:
        for instruction in driver.handle(events.popleft()):
            match instruction:
                case SubmitUnits(units):
                    size += sum(len(pickle.dumps(unit)) for unit in units)
                    left.update(unit.key for unit in units)
                    events.extend(_ended(unit, shape) for unit in units)
                case CallHandlers(node):
                    events.append(HandlersCalled(node, None, 0.0))
                case Release(keys):
                    left.difference_update(keys)
                case Finish(waiting):
                    assert not waiting
                    is_over = True
    assert is_over
    return size, len(left)


def _ended(unit: Unit, shape: Shape) -> UnitEnded:
    # The elements of a shape's maps: lists of four in `flatten and map`, else as many as its constant says.
    count = 4 if unit.key[1] >= 0 else shape.elements
    outcomes = tuple(Outcome(one.node, one.map_index, one.visit, Success(), count) for one in unit.members)
    return UnitEnded(unit.key, outcomes, 0.0, gathered=len(unit.gather.sources) if unit.gather else 0)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("keeps_results", [True, False])
def test_a_task_run_takes_as_many_steps_in_a_large_graph(name: str, keeps_results: bool) -> None:
    """Through flow runner, driver, executor and task runner, whether all results are kept or given up early."""
    steps = []
    for size in (SIZE, 4 * SIZE):
        shape = SHAPES[name](size)
        tasks = tuple(shape.flow.tasks) if keeps_results else (shape.result,)
        conductor = Conductor(shape.flow, LocalExecutor(), return_tasks=tasks)
        steps.append(lines_run(conductor.run) / shape.task_runs)
    assert steps[1] < steps[0] * GROWTH


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("keeps_results", [True, False])
def test_the_driver_takes_as_many_steps_in_a_large_graph_when_units_are_fused(name: str, keeps_results: bool) -> None:
    """As on Dask. What is sent does not grow either, and nothing but what is wanted is left in the end."""
    steps, sizes = [], []
    for size in (SIZE, 4 * SIZE):
        shape = SHAPES[name](size)
        prepared = prepare(shape.flow)
        kept = tuple(range(len(prepared.tasks))) if keeps_results else (prepared.numbers[shape.result],)
        policy = UnitPolicy(fuse=True, threads=2)
        sent = []
        lines = lines_run(lambda: sent.append(play(shape, policy, kept)))  # noqa: B023  # called at once
        steps.append(lines / shape.task_runs)
        sizes.append(sent[0][0] / shape.task_runs)
        if not keeps_results:
            assert sent[0][1] == 1
    assert steps[1] < steps[0] * GROWTH
    assert sizes[1] < sizes[0] * GROWTH
