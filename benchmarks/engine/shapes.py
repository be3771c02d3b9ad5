"""Cost per task run of common shapes at n and at 16n, on the LocalExecutor.

The baseline of a row is the CPU time of a task run at n, ours that at 16n: a ratio near 1 says that cost is linear.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.engine import work
from benchmarks.engine.proof import Recorder, RoundNotProven
from benchmarks.table import Row, Unit, header, line, remarks
from flowkiln import Flow, Task, flatten, unmapped
from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.tasks.core.collections import List
from flowkiln.tasks.core.constants import Constant
from flowkiln.tasks.core.function import FunctionTask

SIZE = 400
"""Elements of a map, or tasks of a layer, at n."""

TIMES = 16
LIMIT = 1.3
"""How much more one task run may cost at 16n than at n."""

PER_TASK_RUN = Unit("us", 1e6)


@dataclass(frozen=True, slots=True)
class Shape:
    """A flow with its `task_runs`, without mapped parents, and the value that its task `result` must come to.

    `elements` is how many its first map has.
    """

    flow: Flow
    result: Task
    expected: int
    task_runs: int
    elements: int = 0


def _task(body: Callable[..., object], name: str = "") -> FunctionTask:
    return FunctionTask(body, name=name or body.__name__)


def _elements(n: int) -> Task:
    return _task(work.numbers)(Constant(n, name="n"))


def mapped(n: int) -> Shape:
    """Return a map; nothing needs the results."""
    with Flow("map") as flow:
        children = _task(work.increment).map(_elements(n))
        result = _task(work.one)(upstream_tasks=[children])
    return Shape(flow, result, 1, n + 3, n)


def mapped_with_whole_map(n: int) -> Shape:
    """Return a map each of whose children gets the results of all children of another map."""
    with Flow("unmapped") as flow:
        elements = _elements(n)
        whole = _task(work.increment).map(elements)
        result = _task(work.total)(_task(work.add_count).map(elements, unmapped(whole)))
    return Shape(flow, result, n * (n - 1) // 2 + n * n, 2 * n + 3, n)


def whole_map_for_many(n: int) -> Shape:
    """Return a map and plain tasks that each get the results of all its children, and one that waits for them."""
    with Flow("map for many") as flow:
        whole = _task(work.increment).map(_elements(n))
        users = [_task(work.one, f"t{number}")(upstream_tasks=[whole]) for number in range(n)]
        result = _task(work.one, "last")(upstream_tasks=users)
    return Shape(flow, result, 1, 2 * n + 3, n)


def flattened(n: int) -> Shape:
    """Return a map whose children give lists of four, and a map over all that is in them: n children in all."""
    with Flow("flatten") as flow:
        lists = _task(work.four_of).map(_elements(n // 4))
        result = _task(work.total)(_task(work.increment).map(flatten(lists)))
    return Shape(flow, result, 4 * (n // 4) * (n // 4 - 1) // 2 + n, n // 4 + n + 3, n // 4)


def reduced(n: int) -> Shape:
    """Return a map and a reducer."""
    with Flow("reduce") as flow:
        result = _task(work.total)(_task(work.increment).map(_elements(n)))
    return Shape(flow, result, n * (n + 1) // 2, n + 3, n)


def fan_in(n: int) -> Shape:
    """Plain tasks, all of which one task uses."""
    with Flow("fan-in") as flow:
        result = _task(work.total)(List()(*(_task(work.one, f"t{number}")() for number in range(n))))
    return Shape(flow, result, n, n + 2)


def fan_out(n: int) -> Shape:
    """Plain tasks that all use one task, and one that waits for them."""
    with Flow("fan-out") as flow:
        source = _task(work.one)()
        users = [_task(work.increment, f"t{number}")(source) for number in range(n)]
        result = _task(work.one, "last")(upstream_tasks=users)
    return Shape(flow, result, 1, n + 2)


def chain_of_maps(n: int) -> Shape:
    """Four maps, each over the one before."""
    with Flow("maps") as flow:
        children: Task = _elements(n // 4)
        for _ in range(4):
            children = _task(work.increment).map(children)
        result = _task(work.total)(children)
    return Shape(flow, result, (n // 4) * (n // 4 - 1) // 2 + 4 * (n // 4), 4 * (n // 4) + 3, n // 4)


def layered(n: int) -> Shape:
    """Ten layers of plain tasks, each with three parents."""
    width = n // 10
    flow = Flow("layered")
    layers = [[flow.add_task(_task(work.one, f"t0-{place}")) for place in range(width)]]
    for number in range(1, 10):
        layer = [flow.add_task(_task(work.add3, f"t{number}-{place}")) for place in range(width)]
        for place, task in enumerate(layer):
            for key, parent in zip("abc", (place, place + 1, place + 7), strict=True):
                flow.add_edge(layers[-1][parent % width], task, key=key, validate=False)
        layers.append(layer)
    with flow:
        result = _task(work.total)(List()(*layers[-1]))
    return Shape(flow, result, width * 3**9, 10 * width + 2)


SHAPES: dict[str, Callable[[int], Shape]] = {
    "map": mapped,
    "map with a whole map upstream": mapped_with_whole_map,
    "whole map for many tasks": whole_map_for_many,
    "flatten and map": flattened,
    "reduce of a map": reduced,
    "fan-in of plain tasks": fan_in,
    "fan-out of plain tasks": fan_out,
    "chain of maps": chain_of_maps,
    "wide layered graph": layered,
}


def seconds_per_task_run(shape: Shape, times: int = 1) -> float:
    """Run a shape and return what each task run took, averaged over some runs.

    Raises:
        RoundNotProven: a run did not come to the value, or did not record every task run.
    """
    took = 0.0
    for _ in range(times):
        recorder = Recorder()
        # The garbage of an earlier run, or of another shape, is not the cost of this one.
        gc.collect()
        started = time.process_time()
        state = Conductor(shape.flow, LocalExecutor(), observer=recorder, return_tasks=(shape.result,)).run()
        took += time.process_time() - started
        ended = sum(record.state == "Success" for record in recorder.records)
        value = state.result[shape.result].result
        if (value, ended) != (shape.expected, shape.task_runs):
            raise RoundNotProven(
                f"{shape.flow.name}: {value!r} and {ended} successes, {shape.expected}, {shape.task_runs}"
            )
    return took / times / shape.task_runs


def measure(name: str, rounds: int, size: int = SIZE) -> Row:
    """Measure one shape at n and 16n in turn, after one run of each that does not count."""
    small, large = SHAPES[name](size), SHAPES[name](size * TIMES)
    at_n, at_16n = [], []
    for number in range(rounds + 1):
        pair = seconds_per_task_run(small, times=4), seconds_per_task_run(large)
        if number:
            at_n.append(pair[0])
            at_16n.append(pair[1])
    return Row(name, at_n, at_16n, LIMIT, PER_TASK_RUN)


def run_table(rounds: int, only: str = "") -> None:
    """Measure all shapes and print their rows."""
    print(
        f"\nCPU time per task run on the LocalExecutor: at n = {SIZE} (baseline) and at {TIMES}n\n{header()}",
        flush=True,
    )
    rows = []
    for name in SHAPES:
        if only in name:
            rows.append(measure(name, rounds))
            print(line(rows[-1]), flush=True)
    print(*remarks(rows), sep="\n")
