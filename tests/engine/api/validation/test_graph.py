"""Names, references, choices and cycles."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .tables import flow_problems, problems_of_tasks


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({}, "exactly one of value, parameter, task and valueFrom must be given, and none is"),
        ({"value": None}, "exactly one of value, parameter, task and valueFrom must be given, and none is"),
        (
            {"value": 0, "parameter": "year"},
            "value and parameter exclude each other; give exactly one of value, parameter, task and valueFrom",
        ),
        (
            {"task": "load", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
            "task and valueFrom exclude each other; give exactly one of value, parameter, task and valueFrom",
        ),
    ],
)
def test_an_input_has_exactly_one_kind(given_: dict[str, Any], sentence: str) -> None:
    """None, a null and two at once are refused; a zero is a value."""
    tasks = ({"name": "load"}, {"name": "use", "inputs": [{"name": "x", **given_}]})
    assert problems_of_tasks(*tasks, parameters=[{"name": "year"}]) == [f"spec.tasks[1].inputs[0]: {sentence}"]


def test_map_goes_with_tasks_only() -> None:
    """A parameter cannot be mapped over in YAML, so it is refused instead of ignored."""
    task = {"name": "use", "inputs": [{"name": "x", "parameter": "years", "map": True}]}
    assert problems_of_tasks(task, parameters=[{"name": "years"}]) == [
        "spec.tasks[0].inputs[0].map: goes with task only"
    ]


@pytest.mark.parametrize(
    ("task", "parts", "sentence"),
    [
        (
            {"name": "use", "inputs": [{"name": "x", "task": "lod"}]},
            {},
            'spec.tasks[1].inputs[0].task: there is no task "lod"; did you mean "load"?',
        ),
        ({"name": "use", "after": ["zzz"]}, {}, 'spec.tasks[1].after[0]: there is no task "zzz"'),
        ({"name": "use", "after": ["load", "load"]}, {}, 'spec.tasks[1].after[1]: the task "load" is named twice'),
        (
            {"name": "use", "inputs": [{"name": "x", "parameter": "yaer"}]},
            {"parameters": [{"name": "year"}]},
            'spec.tasks[1].inputs[0].parameter: there is no parameter "yaer"; did you mean "year"?',
        ),
        (
            {"name": "use"},
            {"referenceTasks": ["used"]},
            'spec.referenceTasks[0]: there is no task "used"; did you mean "use"?',
        ),
        ({"name": "load"}, {}, 'spec.tasks[1].name: tasks[0] is called "load" already'),
        (
            {"name": "year"},
            {"parameters": [{"name": "year"}]},
            'spec.tasks[1].name: "year" is taken by the parameter "year"; rename one of them',
        ),
        (
            {"name": "first-year"},
            {"parameters": [{"name": "First_Year"}]},
            'spec.tasks[1].name: "first-year" is taken by the parameter "First_Year"; rename one of them',
        ),
        (
            {"name": "a-b"},
            {"parameters": [{"name": "a__b"}]},
            'spec.tasks[1].name: "a-b" is taken by the parameter "a__b"; rename one of them',
        ),
        (
            {"name": "use"},
            {"parameters": [{"name": "a"}, {"name": "a"}]},
            'spec.parameters[1].name: parameters[0] is called "a" already',
        ),
        (
            {"name": "use", "inputs": [{"name": "x", "value": 1}, {"name": "x", "value": 2}]},
            {},
            'spec.tasks[1].inputs[1].name: tasks[1].inputs[0] is called "x" already',
        ),
        (
            {"name": "use", "inputs": [{"name": "class", "value": 1}]},
            {},
            'spec.tasks[1].inputs[0].name: "class" is a keyword of Python and cannot be the name of an argument',
        ),
        (
            {"name": "use", "inputs": [{"name": "mapped", "value": 1}]},
            {},
            'spec.tasks[1].inputs[0].name: no argument of a task\'s function can be called "mapped"',
        ),
        (
            {"name": "use", "function": "a:b", "command": ["true"]},
            {},
            "spec.tasks[1]: function and command exclude each other; give exactly one of function and command",
        ),
    ],
)
def test_names_mean_one_existing_thing(task: dict[str, Any], parts: dict[str, Any], sentence: str) -> None:
    """What is misspelt, missing, doubled or reserved is told with its place, and what was probably meant."""
    assert problems_of_tasks({"name": "load"}, task, **parts) == [sentence]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({}, "spec: exactly one of tasks and entrypoint must be given, and none is"),
        (
            {"entrypoint": "a:b", "tasks": [{"name": "x", "function": "a:b"}]},
            "spec: tasks and entrypoint exclude each other; give exactly one of tasks and entrypoint",
        ),
        (
            {"entrypoint": "a:b", "referenceTasks": ["x"]},
            "spec.referenceTasks: goes with tasks only; with an entrypoint the code sets it",
        ),
        (
            {"entrypoint": "a:b", "stateHandlers": ["a:h"]},
            "spec.stateHandlers: goes with tasks only; with an entrypoint the code sets it",
        ),
        ({"tasks": [{"name": "x"}]}, "spec.tasks[0]: exactly one of function and command must be given, and none is"),
    ],
)
def test_a_flow_is_tasks_or_code(document: dict[str, Any], sentence: str) -> None:
    """What only tasks can have is refused beside an entrypoint, since nothing would read it."""
    assert flow_problems(document) == [sentence]


def chain(*edges: str) -> list[dict[str, Any]]:
    """Make tasks from `a<b`: a waits for b."""
    upstream: dict[str, list[str]] = {}
    for edge in edges:
        name, _, above = edge.partition("<")
        upstream.setdefault(name, [])
        if above:
            upstream[name].append(above)
            upstream.setdefault(above, [])
    return [{"name": name, "after": above} for name, above in upstream.items()]


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (["a<a"], 'spec.tasks[0]: the task "a" depends on itself'),
        (["a<b", "b<a"], "spec.tasks[0]: these tasks wait for each other, each for the next: a → b → a"),
        (
            ["x<a", "a<b", "b<c", "c<a"],
            "spec.tasks[1]: these tasks wait for each other, each for the next: a → b → c → a",
        ),
    ],
)
def test_a_cycle_is_told_with_its_tasks(edges: list[str], message: str) -> None:
    """Only the tasks on the cycle are named, in the order in which they wait."""
    assert problems_of_tasks(*chain(*edges)) == [message]


def test_a_cycle_through_data_counts_too() -> None:
    """Inputs are edges like `after`."""
    one = {"name": "a", "inputs": [{"name": "x", "task": "b"}]}
    assert problems_of_tasks(one, {"name": "b", "after": ["a"]}) == [
        "spec.tasks[0]: these tasks wait for each other, each for the next: a → b → a"
    ]


def test_a_long_cycle_has_a_short_sentence() -> None:
    """A cycle of a thousand tasks, deeper than Python's stack, is found and told briefly."""
    names = [f"t{number}" for number in range(1000)]
    tasks = [{"name": name, "after": [names[index - 1]]} for index, name in enumerate(names)]
    (sentence,) = problems_of_tasks(*tasks)
    assert sentence.endswith("t990 → … → t0")


def test_diamonds_and_shared_upstreams_are_no_cycles() -> None:
    """A task may be reached by several ways."""
    assert problems_of_tasks(*chain("d<b", "d<c", "b<a", "c<a", "d<a")) == []


@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
@settings(deadline=None, max_examples=200)
def test_cycles_are_found_exactly_when_there_is_no_order(edges: set[tuple[int, int]]) -> None:
    """A graph whose tasks can be removed one after the other has no cycle, any other has one that really is one."""
    upstream = {node: {above for below, above in edges if below == node} for node in range(13)}
    tasks = [
        {"name": f"t{node}", "after": [f"t{above}" for above in sorted(above)]} for node, above in upstream.items()
    ]
    problems = problems_of_tasks(*tasks)
    left = dict(upstream)
    while free := [node for node, above in left.items() if not above & left.keys()]:
        for node in free:
            del left[node]
    assert bool(problems) == bool(left)
    if problems and "→" in problems[0]:
        names = problems[0].rsplit(": ", 1)[1].split(" → ")
        if "…" not in names:
            pairs = pairwise(names)
            assert all((int(below[1:]), int(above[1:])) in edges for below, above in pairs)


def test_time_is_linear_in_tasks_and_edges() -> None:
    """A dense graph of the largest size is checked without a search over all its ways (2^1000 of them)."""
    names = [f"t{number}" for number in range(1000)]
    tasks = [{"name": name, "after": names[max(0, index - 60) : index]} for index, name in enumerate(names)]
    assert problems_of_tasks(*tasks) == []
