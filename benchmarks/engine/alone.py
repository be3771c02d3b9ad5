"""`python -m benchmarks.engine.alone`: what the engine costs without Dask, and how large a map may be.

The baseline of a limit is the limit itself, so that a ratio of at most 1 means that it is kept.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.engine import work
from benchmarks.engine.proof import Recorder
from benchmarks.table import Row, Unit, header, line, remarks
from flowkiln import Flow
from flowkiln.engine.executors import DaskExecutor, LocalExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.tasks.core.constants import Constant
from flowkiln.tasks.core.function import FunctionTask

TASKS = 10_000
LIMIT_PER_TASK = 50e-6
"""Seconds of overhead a task on the LocalExecutor."""
LIMIT_BUILDING = 1.0
"""Seconds for building and validating 10,000 tasks with 30,000 edges."""
OURS_IMPORTED = "import sys; from flowkiln import Flow, task; assert 'distributed' not in sys.modules"
LIMIT_HELP = 0.15
LIMIT_EMPTY_RUN = 0.5
"""Seconds that the command line takes for what is next to nothing."""


def mapped_flow(children: int) -> Flow:
    """Return a flow with one mapped task and a reducer."""
    with Flow("map") as flow:
        elements = FunctionTask(work.numbers)(Constant(children, name="n"))
        FunctionTask(work.total)(FunctionTask(work.increment).map(elements))
    return flow


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def overhead_of_local_executor(rounds: int) -> Row:
    """Return a map of tiny tasks in this process, less what the bodies take by themselves."""
    flow = mapped_flow(TASKS)
    bodies = statistics.median(seconds(lambda: [work.increment(x) for x in range(TASKS)]) for _ in range(rounds))
    ours = [
        seconds(lambda: Conductor(flow, LocalExecutor(), observer=Recorder()).run()) - bodies for _ in range(rounds)
    ]
    return Row(f"LocalExecutor, {TASKS:,} tasks (limit)", [LIMIT_PER_TASK * TASKS], ours, 1.0)


def seconds_of_program(*arguments: str) -> float:
    """Time a Python program from its start to its end."""
    return seconds(lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True))


def help_text(rounds: int) -> Row:
    """`flowkiln --help`, from nothing to its end."""
    ours = [seconds_of_program("-m", "flowkiln.cli", "--help") for _ in range(rounds)]
    return Row("flowkiln --help (limit)", [LIMIT_HELP], ours, 1.0)


def empty_run(rounds: int) -> Row:
    """`flowkiln run` of a flow without tasks, on the LocalExecutor, from nothing to its end."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "empty_flow.py")
        file.write_text("from flowkiln import Flow\nflow = Flow('empty')\n")
        run = ("-m", "flowkiln.cli", "run", str(file), "--executor", "local")
        ours = [seconds_of_program(*run) for _ in range(rounds)]
    return Row("flowkiln run, empty flow (limit)", [LIMIT_EMPTY_RUN], ours, 1.0)


def imports(rounds: int) -> Row:
    """Measure the imports of a flow's file and `import dask`, each in a new interpreter, without its start."""
    bare, dask, ours = [], [], []
    for _ in range(rounds):
        bare.append(seconds_of_program("-c", "pass"))
        dask.append(seconds_of_program("-c", "import dask"))
        ours.append(seconds_of_program("-c", OURS_IMPORTED))
    empty = statistics.median(bare)
    return Row("import (baseline: dask)", [x - empty for x in dask], [x - empty for x in ours], 3.0)


def building(rounds: int) -> Row:
    """10,000 tasks, three parents each, built and validated."""

    def build() -> None:
        flow = Flow("large")
        tasks = [FunctionTask(work.add3, name=f"t{number}") for number in range(TASKS)]
        for number, task in enumerate(tasks):
            flow.add_task(task)
            for key, back in zip("abc", (1, 2, 3), strict=True):
                if number >= back:
                    flow.add_edge(tasks[number - back], task, key=key, validate=True)
        flow.validate()

    return Row("build 10,000 tasks (limit)", [LIMIT_BUILDING], [seconds(build) for _ in range(rounds)], 1.0)


def peak_memory(children: int, how: str) -> float:
    """Peak memory in MB of a client process that maps over so many elements, by ours or by raw Dask."""
    code = f"from benchmarks.engine.alone import run_map; run_map({children}, {how!r})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def run_map(children: int, how: str) -> None:
    """Map on two worker processes and print this process's peak memory in MB; the scheduler is in it too."""
    executor = DaskExecutor(local_processes=True, n_workers=2, threads_per_worker=1)
    with executor.start() as client:
        if how == "ours":
            state = Conductor(mapped_flow(children), executor).run()
            if not state.is_successful():
                raise SystemExit(repr(state))
        else:
            client.submit(work.total, client.map(work.increment, range(children), pure=False)).result()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Rounds of each case.")
@click.option("--children", multiple=True, type=int, help="Measure the memory of maps of these sizes too.")
@click.option("--alone", is_flag=True, help="Leave out the memory's baseline, which raw Dask may not survive.")
def main(rounds: int, children: tuple[int, ...], alone: bool) -> None:
    """Measure what the engine costs without Dask, and the memory of large maps."""
    rows = []
    print(header(), flush=True)
    for measure in (overhead_of_local_executor, imports, help_text, empty_run, building):
        rows.append(measure(rounds))
        print(line(rows[-1]), flush=True)
    print(*remarks(rows), sep="\n")
    for count in children:
        started = time.perf_counter()
        ours = peak_memory(count, "ours")
        took = time.perf_counter() - started
        if alone:
            print(f"map of {count:,}: client and scheduler at most {ours:,.0f} MB, {took:,.0f} s", flush=True)
        else:
            raw = peak_memory(count, "raw")
            print(line(Row(f"memory of a map of {count:,}", [raw], [ours], unit=Unit("MB", digits=0))), flush=True)


if __name__ == "__main__":
    main()
