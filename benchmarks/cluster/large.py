"""A map of a hundred thousand in one FlowRun: how large the object gets, and how often it is written."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from tests.cluster.flowkiln.watching import Recording
from tests.cluster.harness.commands import say
from tests.cluster.harness.interface import NotOfferedError

from benchmarks.cluster import audit, flows
from benchmarks.cluster.rounds import Round, run_flow
from benchmarks.cluster.testbed import Testbed
from benchmarks.table import COUNT, Row, Unit, table

CHILDREN = 100_000
MAX_BYTES = 512 * 1024
SPAN = 1.0
"""Seconds within which there is to be one report."""
KIBIBYTES = Unit("KiB", 2**-10)


def measure(testbed: Testbed) -> Iterator[str]:
    """Run it, and yield a table of its figures beside the most that they may be."""
    seen: list[Recording] = []
    round = run_flow(
        testbed, flows.mapped(CHILDREN, 0), children=CHILDREN, meanwhile=lambda namespace, runs: seen.append(runs)
    )
    sizes = [size(version.object) for version in seen[0].versions]
    say(f"map of {CHILDREN:,}: {round.seconds:.1f} s, {len(sizes)} versions of the FlowRun")
    rows = [Row("largest object / 512 KiB", [MAX_BYTES], [max(sizes)], 1, KIBIBYTES)]
    try:
        requests = audit.by_namespace(testbed.cluster.audit_events(), [round.namespace])[round.namespace]
    except NotOfferedError as error:
        yield from (*table(rows), f"No writes: {error}")
        return
    writes = reports(requests, round)
    rows.append(Row("reports / seconds", [writes[-1] - writes[0]], [len(writes) - 1], 1, COUNT))
    # Neither the claim nor the last report: they are made when it is time for them.
    rows.append(Row(f"most reports within {SPAN:g} s / 1", [1], [max_within(SPAN, writes[1:-1])], 1, COUNT))
    yield from table(rows)


def size(flow_run: object) -> int:
    """Return the bytes of an object as it is stored."""
    return len(json.dumps(flow_run, separators=(",", ":"), ensure_ascii=False).encode())


def reports(requests: Iterable[audit.Request], round: Round) -> list[float]:
    """Return when the agent's writes began."""
    return [
        request.began for request in audit.writes(requests, round.began, round.settled) if request.who == audit.AGENT
    ]


def max_within(seconds: float, moments: Sequence[float]) -> int:
    """Return how many of these moments, in order, lie within any span of so many seconds."""
    return max((bisect_right(moments, begin + seconds) - at for at, begin in enumerate(moments)), default=0)
