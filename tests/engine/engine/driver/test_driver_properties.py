"""Random flows on an executor that does everything a cluster may do: all runs end, alike, by legal steps."""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.state import Crashed, Mapped, Paused, State

from ..graphs import InputSpec, Shape, build, canonical, shapes
from .simulation import Simulation, Weather

EXAMPLES = int(os.environ.get("FLOWKILN_TEST_EXAMPLES", "60"))

thoroughly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
randoms = st.integers(0, 2**32).map(Random)

WEATHERS = {
    "calm": Weather(),
    "units cut short": Weather(cuts=0.5),
    "units shortened": Weather(cuts=0.3, shorter=0.4),
    "harmless losses": Weather(cuts=0.3, harmless=0.3),
    "gates": Weather(cuts=0.2, shorter=0.2, harmless=0.1, gates=0.2),
}


def kinds(state: State) -> object:
    """The classes of a state and its children."""
    if isinstance(state, Mapped):
        return tuple(kinds(child) for child in state.map_states if child is not None)
    return type(state).__name__


@pytest.mark.parametrize("weather", WEATHERS.values(), ids=WEATHERS.keys())
@thoroughly
@given(nodes=shapes(), random=randoms, fuse=st.booleans())
def test_any_order_ends_like_the_plain_one(
    weather: Weather, nodes: tuple[Shape, ...], random: Random, fuse: bool
) -> None:
    """Whatever order units end and are heard of in, and whatever is lost at nobody's charge."""
    flow, tasks = build(nodes)
    plain = flow.run(executor=LocalExecutor())
    simulation = Simulation(flow, random, weather=weather, fuse=fuse)
    states = simulation.run()
    numbers = simulation.prepared.numbers
    for task in tasks:
        assert canonical(states[numbers[task]]) == canonical(plain.result[task]), task


@thoroughly
@given(nodes=shapes(), random=randoms, fuse=st.booleans())
def test_one_pass_in_any_order_is_like_the_plain_one(nodes: tuple[Shape, ...], random: Random, fuse: bool) -> None:
    """Each task run is visited at most once, and units that are cut short change nothing."""
    flow, tasks = build(nodes)
    plain = FlowRunner(flow).run(executor=LocalExecutor(), return_tasks=tasks)
    simulation = Simulation(flow, random, weather=Weather(cuts=0.5), fuse=fuse, repeats=False)
    states = simulation.run()
    for task in tasks:
        assert canonical(states[simulation.prepared.numbers[task]]) == canonical(plain.result[task]), task


@thoroughly
@given(nodes=shapes(), random=randoms, fuse=st.booleans())
def test_with_results_given_up_early_runs_end_alike(nodes: tuple[Shape, ...], random: Random, fuse: bool) -> None:
    """Nothing that was released is needed again, and in a run that finished nothing is left."""
    flow, tasks = build(nodes)
    plain = flow.run(executor=LocalExecutor())
    simulation = Simulation(flow, random, weather=Weather(cuts=0.3), fuse=fuse, keep_results=False)
    states = simulation.run()
    for task in tasks:
        assert kinds(states[simulation.prepared.numbers[task]]) == kinds(plain.result[task]), task
    assert simulation.finish is not None
    if not simulation.finish.waiting:
        assert not simulation.held


@pytest.mark.parametrize("fuse", [True, False])
def test_what_was_gathered_for_a_map_over_nothing_is_released(fuse: bool) -> None:
    """The map is over as soon as it is expanded, and no child of it ever ends."""
    whole = InputSpec(1)
    flow, _ = build(
        (
            Shape(size=2),
            Shape((InputSpec(0, mapped=True),)),
            Shape((whole,), size=0),
            Shape((whole, InputSpec(2, mapped=True))),
        )
    )
    simulation = Simulation(flow, Random(0), fuse=fuse, keep_results=False)
    simulation.run()
    submitted = [one for some in simulation.instructions for one in some if one["type"] == "SubmitUnits"]
    assert any(unit["gather"] for one in submitted for unit in one["units"])
    assert not simulation.held


@thoroughly
@given(nodes=shapes(), random=randoms, fuse=st.booleans(), keep_results=st.booleans(), resume=st.booleans())
def test_runs_end_whatever_happens(
    nodes: tuple[Shape, ...], random: Random, fuse: bool, keep_results: bool, resume: bool
) -> None:
    """Who is lost too often is Crashed, what is downstream is run with that state, gates close and open."""
    flow, _ = build(nodes)
    weather = Weather(cuts=0.2, shorter=0.1, harmless=0.2, charged=0.2, gates=0.1)
    simulation = Simulation(flow, random, weather=weather, fuse=fuse, keep_results=keep_results, resume=resume)
    states = simulation.run()
    assert simulation.finish is not None
    if not simulation.finish.waiting:
        assert all(state.is_finished() for state in states)
    else:
        assert not resume
        flat = [one for state in states for one in (state.map_states if isinstance(state, Mapped) else [state])]
        assert any(isinstance(one, Paused) for one in flat)


@thoroughly
@given(nodes=shapes(), random=randoms, moment=st.integers(0, 20))
def test_a_terminated_run_ends_at_once(nodes: tuple[Shape, ...], random: Random, moment: int) -> None:
    """What was finished stays; all else is Cancelled; nothing is submitted any more."""
    flow, _ = build(nodes)
    simulation = Simulation(flow, random, terminate_after=moment)
    simulation.run()
    states = [
        one
        for state in simulation.driver.states()
        for one in (state.map_states if isinstance(state, Mapped) else [state])
    ]
    if simulation.terminate_after is None:
        assert all(isinstance(one, State) and one.is_finished() for one in states)
    assert not any(isinstance(one, Crashed) for one in states)
    assert simulation.driver.in_flight == 0


@thoroughly
@given(nodes=shapes(), random=randoms, fuse=st.booleans())
def test_paused_task_runs_that_are_resumed_end_like_those_that_never_paused(
    nodes: tuple[Shape, ...], random: Random, fuse: bool
) -> None:
    """Children too, with their inputs, whatever happens meanwhile."""
    flow, tasks = build(nodes)
    straight, straight_tasks = build(
        tuple(replace(node, behaviour="ok") if node.behaviour == "pause" else node for node in nodes)
    )
    plain = straight.run(executor=LocalExecutor())
    weather = Weather(cuts=0.2, harmless=0.1, gates=0.1)
    simulation = Simulation(flow, random, weather=weather, fuse=fuse, resume=True)
    states = simulation.run()
    for task, twin in zip(tasks, straight_tasks, strict=True):
        assert canonical(states[simulation.prepared.numbers[task]]) == canonical(plain.result[twin]), task
