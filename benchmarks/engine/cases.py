"""The cases: what raw Dask does, the same as a flow, and the value that both must give."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distributed import Client

from benchmarks.engine import work
from flowkiln import Flow, Task
from flowkiln.tasks.core.collections import List
from flowkiln.tasks.core.constants import Constant
from flowkiln.tasks.core.function import FunctionTask


@dataclass(frozen=True)
class Case:
    """`task_runs` counts mapped children, not their parents; `planted` of them fail once. `result` holds the value.

    A case that takes milliseconds is measured so many `times` in each round, in turn like all else.
    """

    name: str
    target: float
    baseline: Callable[[Client], Any]
    flow: Flow
    result: Task
    read: Callable[[Any], Any]
    expected: Any
    task_runs: int
    planted: int
    times: int = 1


def _task(
    body: Callable[..., Any], *, fails_at: int | None = None, fails: bool = False, name: str = ""
) -> FunctionTask:
    planted = fails or fails_at is not None
    return FunctionTask(
        work.FailsOnce(body, fails_at) if planted else body,
        name=name or body.__name__,
        max_retries=1 if planted else 0,
        retry_delay=dt.timedelta(0),
        state_handlers=[work.count_transition],
    )


def tiny_map(n: int) -> Case:
    """Return a map of tiny tasks."""
    with Flow("map") as flow:
        elements = _task(work.numbers)
        elements.bind(_constant(n))
        mapped = _task(work.increment, fails_at=n // 2).map(elements)
    return Case(
        f"map of {n:,} tiny tasks",
        0.10,
        lambda client: client.gather(client.map(work.increment, range(n), pure=False)),
        flow,
        mapped,
        lambda state: state.result,
        list(range(1, n + 1)),
        n + 2,
        1,
    )


def _constant(value: Any) -> Constant:
    return Constant(value, name="n", state_handlers=[work.count_transition])


def chain(n: int) -> Case:
    """Return a chain of tiny tasks."""

    def raw(client: Client) -> int:
        future = client.submit(work.one, pure=False)
        for _ in range(n - 1):
            future = client.submit(work.increment, future, pure=False)
        return int(future.result())

    flow = Flow("chain")
    last: Task = flow.add_task(_task(work.one))
    for link in range(1, n):
        following = _task(work.increment, fails=link == n // 2)
        flow.add_edge(last, following, key="x", validate=False)
        last = following
    return Case(f"chain of {n:,} tiny tasks", 0.06, raw, flow, last, lambda state: state.result, n, n, 1)


def layered(n: int, width: int = 100, seed: int = 7) -> Case:
    """Return a random layered graph, two or three parents each."""
    chance = random.Random(seed)
    parents = [
        [] if i < width else [(i // width - 1) * width + j for j in chance.sample(range(width), chance.choice((2, 3)))]
        for i in range(n)
    ]
    add = {2: work.add2, 3: work.add3}
    values: list[int] = []
    for above in parents:
        values.append(sum(values[p] for p in above) if above else 1)
    last_layer = range(n - width, n)

    def raw(client: Client) -> int:
        run = uuid.uuid4().hex
        graph: dict[Any, Any] = {
            (f"t-{run}", i): ((add[len(above)], *((f"t-{run}", p) for p in above)) if above else (work.one,))
            for i, above in enumerate(parents)
        }
        graph[f"total-{run}"] = (work.total, [(f"t-{run}", i) for i in last_layer])
        return int(client.get(graph, f"total-{run}"))

    flow = Flow("layered")
    tasks: list[Task] = []
    for i, above in enumerate(parents):
        task = _task(add[len(above)] if above else work.one, fails=i == n // 2, name=f"t{i}")
        flow.add_task(task)
        for key, parent in zip("abc", above, strict=False):
            flow.add_edge(tasks[parent], task, key=key, validate=False)
        tasks.append(task)
    with flow:
        result = _task(work.total)
        gather = _list(flow, [tasks[i] for i in last_layer])
        flow.add_edge(gather, result, key="xs", validate=False)
    return Case(
        f"layered graph of {n:,} tasks", 0.3, raw, flow, result, lambda state: state.result,
        sum(values[i] for i in last_layer), n + 2, 1,
    )  # fmt: skip


def _list(flow: Flow, tasks: list[Task]) -> Task:
    gather = List(name="gather", state_handlers=[work.count_transition])
    gather.bind(*tasks, flow=flow)
    return gather


def map_map_reduce(n: int) -> Case:
    """Return a map, a map over it, a reducer."""

    def raw(client: Client) -> int:
        doubled = client.map(work.double, client.map(work.increment, range(n), pure=False), pure=False)
        return int(client.submit(work.total, doubled, pure=False).result())

    with Flow("reduce") as flow:
        elements = _task(work.numbers)
        elements.bind(_constant(n))
        doubled = _task(work.double, fails_at=n // 2).map(_task(work.increment).map(elements))
        result = _task(work.total)
        result.bind(doubled)
    return Case(
        f"map of {n:,}, map over it, reduce", 0.10, raw, flow, result, lambda state: state.result,
        sum(2 * (x + 1) for x in range(n)), 2 * n + 3, 1,
    )  # fmt: skip


def naps(n: int) -> Case:
    """Tasks of 50 ms, of which none fails: a failed one would take 50 ms more."""
    with Flow("naps") as flow:
        elements = _task(work.numbers)
        elements.bind(_constant(n))
        mapped = _task(work.nap, fails_at=n // 2).map(elements)
    return Case(
        f"{n:,} tasks of 50 ms",
        1.03,
        lambda client: client.gather(client.map(work.nap, range(n), pure=False)),
        flow,
        mapped,
        lambda state: state.result,
        list(range(n)),
        n + 2,
        1,
    )


def arrays(elements_count: int = 25, length: int = 4) -> Case:
    """Return a chain of maps that passes arrays of 1 MB."""

    def raw(client: Client) -> float:
        futures = client.map(work.fill, range(elements_count), pure=False)
        for _ in range(length - 1):
            futures = client.map(work.raise_by_one, futures, pure=False)
        return float(client.submit(work.total_of_arrays, futures, pure=False).result())

    with Flow("arrays") as flow:
        elements = _task(work.numbers)
        elements.bind(_constant(elements_count))
        mapped: Task = _task(work.fill).map(elements)
        for link in range(length - 1):
            mapped = _task(work.raise_by_one, fails_at=elements_count // 2 if link == 1 else None).map(mapped)
        result = _task(work.total_of_arrays)
        result.bind(mapped)
    return Case(
        f"{elements_count * length} tasks that pass 1 MB arrays", 1.1, raw, flow, result, lambda state: state.result,
        float(sum(x + length - 1 for x in range(elements_count))), elements_count * length + 3, 1,
    )  # fmt: skip


def single() -> Case:
    """One task."""
    flow = Flow("single")
    task = flow.add_task(_task(work.one))
    return Case(
        "one task, warm", 1.3, lambda client: client.submit(work.one, pure=False).result(), flow, task,
        lambda state: state.result, 1, 1, 0, times=10,
    )  # fmt: skip


def all_cases() -> list[Case]:
    """Every case of the table."""
    return [
        tiny_map(10_000),
        chain(100),
        chain(1_000),
        layered(5_000),
        map_map_reduce(1_000),
        naps(200),
        arrays(),
        single(),
    ]
