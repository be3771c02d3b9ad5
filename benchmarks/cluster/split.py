"""Where the time of a run goes: seven parts between moments that others recorded, for both sides."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from benchmarks.cluster.audit import AGENT, CONTROLLER, Request
from benchmarks.cluster.rounds import Round
from benchmarks.table import MILLISECONDS

PARTS = (
    "admission: until the first write",
    "API: until the DaskCluster is made",
    "pods: until agent or client starts",
    "imports",
    "claim, flow loaded; or connection",
    "engine: worker comes, task runs",
    "report",
)
WORKER = "(the worker's container starts at)"


def of_flow(round: Round, requests: Sequence[Request]) -> dict[str, float]:
    """Return the seconds of each part of a FlowRun, and when its worker's container started."""
    operator = [request for request in requests if request.who == CONTROLLER and request.is_write]
    reports = [request for request in requests if request.who == AGENT and request.is_write]
    moments = (
        round.began,
        operator[0].began,
        next(request.ended for request in operator if request.resource == "daskclusters"),
        round.started["agent"],
        next(request.began for request in requests if request.who == AGENT),
        reports[1].ended,  # the first is the claim
        reports[-1].began,
        round.ended,
    )
    return _parts(moments, round)


def of_bare(round: Round, requests: Sequence[Request]) -> dict[str, float]:
    """Return the seconds of each part of a bare DaskCluster, and when its worker's container started."""
    made = next(request for request in requests if request.resource == "daskclusters" and request.is_write)
    said: Mapping[str, float] = round.said
    moments = (
        round.began,
        made.began,
        made.ended,
        round.started["client"],
        said["imported"],
        said["connected"],
        said["done"],
        round.ended,
    )
    return _parts(moments, round)


def lines(bare: Sequence[Mapping[str, float]], flow: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """Yield a table of the medians of each part."""
    yield f"{'part':<36}  {'baseline':>12}  {'ours':>12}"
    for part in (*PARTS, WORKER):
        figures = (MILLISECONDS.show(statistics.median(round[part] for round in side)) for side in (bare, flow))
        yield f"{part:<36}  {'  '.join(f'{figure:>12}' for figure in figures)}"


def _parts(moments: Sequence[float], round: Round) -> dict[str, float]:
    seconds = (later - earlier for earlier, later in pairwise(moments))
    return {**dict(zip(PARTS, seconds, strict=True)), WORKER: round.started["worker"] - round.began}
