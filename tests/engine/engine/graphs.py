"""Random flows: chains, diamonds, maps, maps over maps, flattening, skips, retries, loops, pauses, triggers."""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from flowkiln import Flow, Task, context, triggers
from flowkiln.engine import signals
from flowkiln.engine.result import NoResult
from flowkiln.engine.state import Mapped, State

BEHAVIOURS = [
    "ok",
    "ok",
    "ok",
    "ok",
    "fail",
    "skip",
    "retry",
    "retry_signal",
    "loop",
    "pause",
    "one_fails",
    "one_retries",
]
TRIGGERS = {
    "all_successful": triggers.all_successful,
    "all_finished": triggers.all_finished,
    "any_successful": triggers.any_successful,
    "any_failed": triggers.any_failed,
}


@dataclass(frozen=True)
class InputSpec:
    """An edge from the node `number`."""

    number: int
    keyed: bool = True
    mapped: bool = False
    flattened: bool = False


@dataclass(frozen=True)
class Shape:
    """One node of a random flow. `size` is the number of elements of its result, each of which is a list of two."""

    inputs: tuple[InputSpec, ...] = ()
    behaviour: str = "ok"
    size: int = 2
    trigger: str = "all_successful"
    skips: bool = True


@st.composite
def shapes(draw: st.DrawFn, largest: int = 8, behaviours: list[str] | None = None) -> tuple[Shape, ...]:
    """Make the nodes of a random flow, in topological order."""
    nodes: list[Shape] = []
    for number in range(draw(st.integers(1, largest))):
        above = draw(st.lists(st.integers(0, number - 1), max_size=3, unique=True)) if number else []
        nodes.append(
            Shape(
                tuple(
                    InputSpec(
                        one,
                        keyed=draw(st.booleans()),
                        mapped=draw(st.booleans()),
                        flattened=draw(st.sampled_from([False, False, False, True])),
                    )
                    for one in above
                ),
                draw(st.sampled_from(behaviours or BEHAVIOURS)),
                draw(st.integers(0, 3)),
                draw(st.sampled_from(["all_successful", "all_successful", *TRIGGERS])),
                draw(st.booleans()),
            )
        )
    return tuple(nodes)


class Node(Task):
    """A task that behaves as its shape says; its result depends on its inputs alone."""

    def __init__(self, number: int, shape: Shape) -> None:
        self.behaviour, self.size = shape.behaviour, shape.size
        super().__init__(
            name=f"n{number}",
            trigger=TRIGGERS[shape.trigger],
            skip_on_upstream_skip=shape.skips,
            max_retries=1,
            retry_delay=dt.timedelta(0),
        )

    def run(self, **inputs: Any) -> Any:
        """Behave."""
        is_first = context.map_index in (None, 0)
        match self.behaviour:
            case "fail":
                raise ValueError(self.name)
            case "skip":
                raise signals.SKIP(self.name)
            case "retry" if context.task_run_count == 1:
                raise ValueError("first attempt")
            case "retry_signal" if context.task_run_count == 1:
                raise signals.RETRY("again")
            case "loop" if "task_loop_result" not in context:
                raise signals.LOOP(result=1)
            case "pause" if not context.get("resume"):
                raise signals.PAUSE(self.name)
            case "one_fails" if is_first:
                raise ValueError("only this one")
            case "one_retries" if is_first and context.task_run_count == 1:
                raise ValueError("only this one, once")
        seed = zlib.crc32(repr([(key, canonical(inputs[key])) for key in sorted(inputs)]).encode()) % 1000
        return [[seed + index, self.size] for index in range(self.size)]


def build(nodes: tuple[Shape, ...]) -> tuple[Flow, list[Task]]:
    """Make the flow of some shapes."""
    flow = Flow("random")
    tasks: list[Task] = [flow.add_task(Node(number, shape)) for number, shape in enumerate(nodes)]
    for number, shape in enumerate(nodes):
        for up in shape.inputs:
            flow.add_edge(
                tasks[up.number],
                tasks[number],
                key=f"x{up.number}" if up.keyed else None,
                mapped=up.mapped,
                flattened=up.flattened,
            )
    flow.set_reference_tasks(tasks)
    return flow, tasks


def canonical(value: Any) -> Any:
    """Give what two runs of a flow must agree on: no identities, no times."""
    if isinstance(value, Mapped):
        return type(value).__name__, tuple(canonical(child) for child in value.map_states)
    if isinstance(value, State) and value.is_pending():
        # The signal that it was made from may be lost with a worker.
        return type(value).__name__
    if isinstance(value, State):
        return type(value).__name__, canonical(value.result)
    if isinstance(value, BaseException):
        return type(value).__name__
    if isinstance(value, list | tuple):
        return tuple(canonical(one) for one in value)
    return "NoResult" if value == NoResult else value


def ends(state: State, tasks: list[Task]) -> Any:
    """Give how a run ended: the flow's state and those of all tasks."""
    return type(state).__name__, tuple(canonical(state.result[task]) for task in tasks)
