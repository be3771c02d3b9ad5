"""`python -m benchmarks.engine`: one row a case, the engine beside raw Dask on the same two workers.

A last table has the cost per task run of common shapes at two sizes (shapes.py).
"""

from __future__ import annotations

import time
from collections import Counter

import click
from distributed import Client, LocalCluster

from benchmarks.engine import shapes, work
from benchmarks.engine.cases import Case, all_cases
from benchmarks.engine.proof import Recorder, RoundNotProven, prove
from benchmarks.table import Row, header, line, remarks
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.executors.dask.tuning import tune
from flowkiln.engine.runs.conductor import Conductor


def measure(case: Case, client: Client, executor: DaskExecutor, rounds: int) -> Row:
    """Time baseline and ours in turn, after one round of each that does not count."""
    baseline, ours = [], []
    for number in range(rounds * case.times + 1):
        started = time.perf_counter()
        raw = case.baseline(client)
        between = time.perf_counter()
        recorder = Recorder()
        again = time.perf_counter()
        state = Conductor(case.flow, executor, observer=recorder, return_tasks=(case.result,)).run()
        ended = time.perf_counter()
        if raw != case.expected or not state.is_successful():
            raise RoundNotProven(f"{case.name}: {raw!r} by the baseline, {state!r} by ours")
        calls: Counter[tuple[str, str]] = Counter()
        for counts in client.run(work.take_counts).values():
            calls.update(counts)
        prove(recorder, calls, case.task_runs, case.planted, case.read(state.result[case.result]), case.expected)
        if number:
            baseline.append(between - started)
            ours.append(ended - again)
    return Row(case.name, baseline, ours, case.target)


def run_table(title: str, tuned: bool, rounds: int, only: str) -> None:
    """Measure all cases on a cluster of their own and print their rows."""
    print(f"\n{title}\n{header()}", flush=True)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        executor = DaskExecutor(address=cluster.scheduler_address)
        executor.tuned = tuned
        if tuned:
            tune(client)
        with executor.start():
            rows = []
            for case in all_cases():
                if only in case.name:
                    rows.append(measure(case, client, executor, rounds))
                    print(line(rows[-1]), flush=True)
            print(*remarks(rows), sep="\n")


@click.command()
@click.option("--rounds", default=5, show_default=True, help="Alternating rounds that count.")
@click.option("--only", default="", help="Measure the cases whose name contains this.")
@click.option("--tables", type=click.Choice(["tuned", "defaults", "shapes", "all"]), default="all", show_default=True)
def main(rounds: int, only: str, tables: str) -> None:
    """Measure the engine beside raw Dask: medians of alternating rounds, each of which proves itself."""
    if tables in ("tuned", "all"):
        run_table(
            "Both on 2 workers with waits between messages of 1 ms (what our own clusters have)", True, rounds, only
        )
    if tables in ("defaults", "all"):
        run_table("Both on 2 workers with Dask's default settings", False, rounds, only)
    if tables in ("shapes", "all"):
        shapes.run_table(rounds, only)


if __name__ == "__main__":
    main()
