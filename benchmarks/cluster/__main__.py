"""`python -m benchmarks.cluster`: what runs cost on a real Kubernetes, beside a bare DaskCluster that does the same."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from types import FrameType

import click
from tests.cluster.harness.interface import HarnessError, NotOfferedError

from benchmarks.cluster import audit, large, trivial, usages
from benchmarks.cluster.testbed import Testbed, open_testbed

AGENT = "agent"
OPERATOR = "operator"
LARGE = "large-map"
TRIVIAL = (trivial.HELLO, trivial.CHAIN, trivial.FAN_OUT)
CASES = (*TRIVIAL, AGENT, OPERATOR, LARGE)
ROUNDS_OF_AGENT = 5


def measure(testbed: Testbed, rounds: int, cases: Sequence[str]) -> None:
    """Measure these cases and print their tables. What finishes on the way counts for the operator's many runs."""
    without_runs = usages.operator_without_runs(testbed) if OPERATOR in cases else None
    if set(TRIVIAL) & set(cases):
        measure_trivial(testbed, rounds, cases)
    if AGENT in cases:
        lines = usages.agent(testbed, min(rounds, ROUNDS_OF_AGENT))
        show(f"Highest memory, and CPU, of the agent in a map of {usages.CHILDREN:,}, beside a raw Dask client", lines)
    if LARGE in cases:
        show(f"One FlowRun with a map of {large.CHILDREN:,}, beside the most that is allowed", large.measure(testbed))
    if without_runs is not None:
        lines = usages.operator_with_runs(testbed, without_runs)
        show(
            f"The operator with {usages.FINISHED_RUNS} finished runs while nothing happens, beside itself without any",
            lines,
        )


def measure_trivial(testbed: Testbed, rounds: int, cases: Sequence[str]) -> None:
    """Measure runs of trivial tasks and print their tables."""
    more = [case for case in (trivial.CHAIN, trivial.FAN_OUT) if case in cases]
    kinds = [trivial.BARE, trivial.HELLO, *more]
    measured = trivial.measure(testbed, rounds, kinds)
    show("From the apply to the end, as a watch tells it", trivial.times(measured))
    try:
        events = testbed.cluster.audit_events()
        namespaces = [round.namespace for rounds_of_kind in measured.values() for round in rounds_of_kind]
        requests = audit.by_namespace(events, namespaces)
    except NotOfferedError as error:
        print(f"\nNo parts, no writes and no reads: {error}")
        return
    show("Where that time goes, for the bare DaskCluster and for hello", trivial.parts(measured, requests))
    show("Writes to the API server by all users", trivial.all_writes(measured, requests))
    show("Writes to the API server by operator and agent alone", trivial.our_writes(measured, requests))
    show("Reads of the API server by the operator, its watches aside", trivial.our_reads(measured, requests))


def show(title: str, lines: Iterable[str]) -> None:
    """Print a table."""
    print(f"\n{title}", *lines, sep="\n", flush=True)


@click.command()
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(min=2), help="Rounds that count.")
@click.option("--only", "cases", multiple=True, type=click.Choice(CASES), help="Measure this alone; may be repeated.")
@click.option("--reuse", default="", metavar="NAME", help="Use the cluster that `python -m tests.cluster up` left up.")
def main(rounds: int, cases: tuple[str, ...], reuse: str) -> None:
    """Measure runs on a test cluster of their own, beside a bare DaskCluster: rounds in turn, each proving itself."""
    signal.signal(signal.SIGTERM, _interrupt)
    wanted = cases or CASES
    try:
        with open_testbed(reuse) as where:
            measure(where, rounds, wanted)
    except HarnessError as error:
        raise click.ClickException(str(error)) from error


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
