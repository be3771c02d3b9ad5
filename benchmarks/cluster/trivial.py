"""Runs of trivial tasks: what Flowkiln adds to a bare DaskCluster, and what more tasks add to one."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.cluster.harness.commands import say

from benchmarks.cluster import audit, flows, split
from benchmarks.cluster.rounds import GREETING, Round, run_bare, run_flow
from benchmarks.cluster.testbed import Testbed
from benchmarks.table import COUNT, Row, table

BARE = "bare"
HELLO = "hello"
CHAIN = "chain"
FAN_OUT = "fan-out"
TITLES = {
    HELLO: "hello / bare DaskCluster",
    CHAIN: f"chain of {flows.CHAIN} / hello",
    FAN_OUT: f"fan-out of {flows.FAN_OUT} / hello",
}
KINDS: Mapping[str, Callable[[Testbed], Round]] = {
    BARE: lambda testbed: run_bare(testbed, "hello", expected=GREETING),
    HELLO: lambda testbed: run_flow(testbed, flows.hello()),
    CHAIN: lambda testbed: run_flow(testbed, flows.chain()),
    FAN_OUT: lambda testbed: run_flow(testbed, flows.fan_out()),
}
MAX_TO_HELLO = 1.1
MAX_RATIO_TO_HELLO = 1.06
MAX_WRITES = 15
MAX_EXTRA_WRITES = 3
MAX_READS = 6

Rounds = dict[str, list[Round]]


def measure(testbed: Testbed, rounds: int, kinds: Sequence[str]) -> Rounds:
    """Run each of these kinds once a round, one after the other, after one round that does not count."""
    measured: Rounds = defaultdict(list)
    for number in range(rounds + 1):
        for kind in kinds:
            round = KINDS[kind](testbed)
            say(f"round {number or 'to warm up'}: {kind} {round.seconds:.2f} s")
            if number:
                measured[kind].append(round)
    return measured


def times(measured: Rounds) -> Iterator[str]:
    """Yield a table: hello beside the bare DaskCluster, and the others beside the hello of their round."""
    rows = []
    for kind, title in TITLES.items():
        beside = BARE if kind == HELLO else HELLO
        if kind in measured and beside in measured:
            baseline, ours = ([round.seconds for round in measured[one]] for one in (beside, kind))
            target = MAX_TO_HELLO if kind == HELLO else MAX_RATIO_TO_HELLO
            rows.append(Row(title, baseline, ours, target, paired=kind != HELLO))
    yield from table(rows)


def parts(measured: Rounds, requests: Mapping[str, Sequence[audit.Request]]) -> Iterator[str]:
    """Yield a table of where the time of hello and of the bare DaskCluster goes."""
    yield from split.lines(
        [split.of_bare(round, requests[round.namespace]) for round in measured[BARE]],
        [split.of_flow(round, requests[round.namespace]) for round in measured[HELLO]],
    )


def all_writes(measured: Rounds, requests: Mapping[str, Sequence[audit.Request]]) -> Iterator[str]:
    """Yield a table of the writes of a run by all users, beside those of the bare DaskCluster's."""
    counted = {kind: [len(_writes(round, requests)) for round in measured[kind]] for kind in measured}
    kinds = (kind for kind in TITLES if kind in counted)
    yield from table([Row(f"{kind} / bare DaskCluster", counted[BARE], counted[kind], unit=COUNT) for kind in kinds])


def our_writes(measured: Rounds, requests: Mapping[str, Sequence[audit.Request]]) -> Iterator[str]:
    """Yield a table of the writes of a run by operator and agent alone, beside the most that there may be."""
    rows, shares = [], []
    of_hello = 0.0
    for kind in (kind for kind in TITLES if kind in measured):
        ours = [[write for write in _writes(round, requests) if write.is_ours] for round in measured[kind]]
        together = [len(writes) for writes in ours]
        if kind == HELLO:
            of_hello = statistics.median(together)
        at_most = MAX_WRITES if kind == HELLO else of_hello + MAX_EXTRA_WRITES
        rows.append(Row(f"{kind} / at most {at_most:g}", [at_most], together, 1, COUNT))
        operator, agent = (
            statistics.median(sum(write.who == who for write in writes) for writes in ours)
            for who in (audit.CONTROLLER, audit.AGENT)
        )
        shares.append(f"  {kind}: operator {operator:g}, agent {agent:g}; most in a round {max(together)}")
    yield from (*table(rows), *shares)


def our_reads(measured: Rounds, requests: Mapping[str, Sequence[audit.Request]]) -> Iterator[str]:
    """Yield a table of what the operator reads for a run, beside the most that it may; it may list nothing."""
    rows, shares = [], []
    for kind in (kind for kind in TITLES if kind in measured):
        ours = [audit.reads(requests[round.namespace], round.began, round.settled) for round in measured[kind]]
        rows.append(Row(f"{kind} / at most {MAX_READS}", [MAX_READS], [len(reads) for reads in ours], 1, COUNT))
        lists = max(sum(read.verb == audit.LIST for read in reads) for reads in ours)
        most = max(len(reads) for reads in ours)
        verdict = "missed" if lists else "reached"
        shares.append(f"  {kind}: no list to reach, {verdict}; most in a round {most}, of which lists {lists}")
    yield from (*table(rows), *shares)


def _writes(round: Round, requests: Mapping[str, Sequence[audit.Request]]) -> list[audit.Request]:
    return audit.writes(requests[round.namespace], round.began, round.settled)
