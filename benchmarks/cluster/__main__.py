"""`python -m benchmarks.cluster`: what runs cost on a real Kubernetes, beside a bare DaskCluster that does the same."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from types import FrameType

import click
from tests.cluster.harness.interface import HarnessError, NotOfferedError

from benchmarks.cluster import audit, trivial
from benchmarks.cluster.place import Place, place

CASES = (trivial.HELLO, trivial.CHAIN, trivial.FAN_OUT)


def measure_trivial(place: Place, rounds: int, cases: Sequence[str]) -> None:
    """Measure runs of trivial tasks and print their tables."""
    more = [case for case in (trivial.CHAIN, trivial.FAN_OUT) if case in cases]
    kinds = [trivial.BARE, trivial.HELLO, *more]
    measured = trivial.measure(place, rounds, kinds)
    show("From the apply to the end, as a watch tells it", trivial.times(measured))
    try:
        events = place.cluster.audit_events()
        namespaces = [round.namespace for rounds_of_kind in measured.values() for round in rounds_of_kind]
        requests = audit.by_namespace(events, namespaces)
    except NotOfferedError as error:
        print(f"\nNo parts and no writes: {error}")
        return
    show("Where that time goes, for the bare DaskCluster and for hello", trivial.parts(measured, requests))
    show("Writes to the API server by all users", trivial.all_writes(measured, requests))
    show("Writes to the API server by operator and agent alone", trivial.our_writes(measured, requests))


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
        with place(reuse) as where:
            if {trivial.HELLO, trivial.CHAIN, trivial.FAN_OUT} & set(wanted):
                measure_trivial(where, rounds, wanted)
    except HarnessError as error:
        raise click.ClickException(str(error)) from error


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
