"""Where the time of a round goes."""

from __future__ import annotations

from benchmarks.cluster.audit import AGENT, CONTROLLER, Request
from benchmarks.cluster.rounds import Round
from benchmarks.cluster.split import PARTS, WORKER, lines, of_bare, of_flow


def request(who: str, resource: str, began: float, verb: str = "patch") -> Request:
    """Return a request that took a tenth of a second."""
    return Request(who, verb, resource, began, began + 0.1)


FLOW = Round("room", 10.0, 20.0, 25.0, {"agent": 13.0, "worker": 14.0})
REQUESTS = [
    request("admin", "flowruns", 10.0),
    request(CONTROLLER, "configmaps", 11.0, "create"),
    request(CONTROLLER, "daskclusters", 11.9, "create"),
    request(AGENT, "flowruns", 15.0, "get"),
    request(AGENT, "flowruns/status", 15.5),
    request(AGENT, "flowruns/status", 15.9),
    request(CONTROLLER, "flowruns/status", 16.5),
    request(AGENT, "flowruns/status", 17.0),
    request(AGENT, "flowruns/status", 19.0),
    request(CONTROLLER, "flowruns/status", 19.5),
    request(CONTROLLER, "daskclusters", 21.0, "delete"),
]
BARE = Round(
    "room", 10.0, 20.0, 25.0, {"client": 13.0, "worker": 14.0}, {"imported": 15.0, "connected": 16.0, "done": 19.0}
)


def test_the_parts_of_a_flow_run_are_all_of_its_time() -> None:
    """Each part lies between the moments that it is named after, and no time is in none of them."""
    parts = of_flow(FLOW, REQUESTS)
    assert [round(parts[part], 6) for part in PARTS] == [1.0, 1.0, 1.0, 2.0, 1.0, 3.0, 1.0]
    assert round(sum(parts[part] for part in PARTS), 6) == FLOW.seconds
    assert parts[WORKER] == 4.0


def test_the_parts_of_a_bare_cluster_are_all_of_its_time() -> None:
    """From the client's start on its own word counts."""
    parts = of_bare(BARE, [request("admin", "secrets", 9.0), request("admin", "daskclusters", 10.5)])
    assert [round(parts[part], 6) for part in PARTS] == [0.5, 0.1, 2.4, 2.0, 1.0, 3.0, 1.0]


def test_the_table_shows_medians_of_both_sides() -> None:
    """A line for each part, with the baseline's figure before ours."""
    bare, flow = ([dict.fromkeys((*PARTS, WORKER), seconds) for seconds in side] for side in ((1, 2, 9), (3, 4, 9)))
    _, *rows = lines(bare, flow)
    assert len(rows) == len(PARTS) + 1
    assert all(row.split()[-4:] == ["2000.0", "ms", "4000.0", "ms"] for row in rows)
