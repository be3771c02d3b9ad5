"""What the agent uses beside a raw Dask client that does the same, and the operator with many runs beside none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.cluster.flowkiln.controllers import kill
from tests.cluster.flowkiln.flows import make_run
from tests.cluster.flowkiln.installation import OPERATOR, SYSTEM_NAMESPACE
from tests.cluster.flowkiln.runs import FLOW_RUN, task_status
from tests.cluster.flowkiln.watching import Recording
from tests.cluster.harness.commands import say, wait_until

from benchmarks.cluster import flows
from benchmarks.cluster.bare import CONTAINER
from benchmarks.cluster.rounds import PATIENCE, RUN, Line, first_version, run_bare, run_flow
from benchmarks.cluster.testbed import Testbed
from benchmarks.cluster.usage import TICKS, Usage, look
from benchmarks.table import Row, Unit, table

CHILDREN = 10_000
HOLD = 6
"""Seconds that both sides stay as they are when all tasks of the map are done."""
FINISHED_RUNS = 100
AT_A_TIME = 8
LOOKS = 5
BETWEEN_LOOKS = 20.0
MEBIBYTES = Unit("MiB", 2**-20)
CPU_SECONDS = Unit("s", digits=2)
CPU_SHARE = Unit("m", 1e3, digits=2)
"""Thousandths of a core, as Kubernetes writes them."""


@dataclass(frozen=True)
class Idle:
    """What the operator uses while there is nothing to do, look by look."""

    memory: list[float]  # bytes
    cpu: list[float]  # seconds in a second


def agent(testbed: Testbed, rounds: int) -> Iterator[str]:
    """Yield a table of what agent and raw client have used when all tasks of a map are done."""
    raw: list[Usage] = []
    ours: list[Usage] = []

    def look_at_client(namespace: str, pod: str, lines: list[Line]) -> None:
        wait_until("the map is done", lambda: any('"mapped"' in said.text for said in list(lines)), seconds=PATIENCE)
        raw.append(look(testbed, namespace, pod, CONTAINER))

    def look_at_agent(namespace: str, runs: Recording) -> None:
        first_version(runs, "the map is done", lambda run: task_status(run, "hold").get("state") == "Running")
        ours.append(look(testbed, namespace, _scheduler_pod(testbed, namespace), "agent"))

    expected = CHILDREN * (CHILDREN + 1) // 2
    for number in range(1, rounds + 1):
        run_bare(testbed, "map", str(CHILDREN), str(HOLD), expected=expected, meanwhile=look_at_client)
        run_flow(testbed, flows.mapped(CHILDREN, HOLD), children=CHILDREN, meanwhile=look_at_agent)
        say(f"round {number}: raw client {raw[-1]}, agent {ours[-1]}")
    memory = [[usage.peak for usage in side] for side in (raw, ours)]
    cpu = [[usage.cpu for usage in side] for side in (raw, ours)]
    yield from table(
        [
            Row("agent / raw client, memory", memory[0], memory[1], unit=MEBIBYTES),
            Row("agent / raw client, CPU", cpu[0], cpu[1], unit=CPU_SECONDS),
        ]
    )


def operator_without_runs(testbed: Testbed) -> Idle:
    """Look at a fresh operator that has no runs at all."""
    everywhere = ("get", FLOW_RUN, "--all-namespaces", "--output=name")
    wait_until(
        f"there is no FlowRun on {testbed.cluster.name}", lambda: not testbed.cluster.kubectl(*everywhere), seconds=60
    )
    kill(testbed.installation, OPERATOR)
    return _idle(testbed)


def operator_with_runs(testbed: Testbed, none: Idle) -> Iterator[str]:
    """Yield a table of what the operator uses beside `none`, having worked on many runs, and started afresh."""
    _finish_runs(testbed, FINISHED_RUNS)
    worked = _idle(testbed)
    kill(testbed.installation, OPERATOR)
    afresh = _idle(testbed)
    rows = []
    for name, some in (("operator", worked), ("restarted operator", afresh)):
        rows.append(Row(f"{name}, memory", none.memory, some.memory, unit=MEBIBYTES))
        rows.append(Row(f"{name}, CPU", none.cpu, some.cpu, unit=CPU_SHARE))
    yield from table(rows)


def _finish_runs(testbed: Testbed, wanted: int) -> None:
    """Run hello until so many runs have finished in all, several at a time."""
    while (missing := wanted - _finished(testbed, "--all-namespaces")) > 0:
        say(f"{missing} more runs are wanted")
        _run_together(testbed, min(missing, AT_A_TIME))


def _run_together(testbed: Testbed, count: int) -> None:
    namespace = testbed.namespace()
    testbed.api.apply(flows.placed(flows.hello(), namespace))
    for number in range(count):
        testbed.api.apply(flows.placed(make_run(f"{RUN}-{number}", "hello"), namespace))
    where = f"--namespace={namespace}"

    def settled() -> bool:
        pods = testbed.cluster.kubectl("get", "pods", where, "--output=name")
        return not pods and _finished(testbed, where) == count

    wait_until("these runs are finished and their pods gone", settled, seconds=PATIENCE, every=0.5)


def _finished(testbed: Testbed, where: str) -> int:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Finished')].status}"
    return testbed.cluster.kubectl("get", FLOW_RUN, where, "--output", path).split().count("True")


def _idle(testbed: Testbed) -> Idle:
    pod = testbed.installation.pod_of(OPERATOR)
    time.sleep(BETWEEN_LOOKS / 2)  # what it has begun is done then
    memory, cpu = [], []
    before, then = look(testbed, SYSTEM_NAMESPACE, pod, "operator"), time.monotonic()
    for _ in range(LOOKS):
        time.sleep(BETWEEN_LOOKS)
        after, now = look(testbed, SYSTEM_NAMESPACE, pod, "operator"), time.monotonic()
        memory.append(after.memory)
        # Less than a tick cannot be told from nothing.
        cpu.append(max(after.cpu - before.cpu, 1 / TICKS) / (now - then))
        before, then = after, now
    return Idle(memory, cpu)


def _scheduler_pod(testbed: Testbed, namespace: str) -> str:
    arguments = ("--selector=dask.org/component=scheduler", "--output=jsonpath={.items[0].metadata.name}")
    return testbed.cluster.kubectl("get", "pods", f"--namespace={namespace}", *arguments)
