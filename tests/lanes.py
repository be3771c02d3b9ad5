"""Which tests may run beside which when a session has several processes (`pytest -n 4`), and which begin first.

Tests without a cluster run in any process. Tests that share the session's cluster run beside each other, but not beside
those that take its API server or a controller away. Those come first, one after the other, in a single process.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import IntEnum


class Lane(IntEnum):
    """What tests need of a cluster, in the order in which they begin."""

    DISTURBING = 0  # the session's cluster, alone
    OWN = 1  # a cluster of their own
    SHARED = 2  # the session's cluster
    NONE = 3


DISTURBING = (
    "tests/cluster/test_crds.py",
    "tests/cluster/test_harness.py",
    "tests/cluster/flowkiln/test_deletion.py",
    "tests/cluster/flowkiln/test_outage.py",
    "tests/cluster/flowkiln/test_restart.py",
)
OWN = ("tests/cluster/flowkiln/test_helm.py",)
LONG = (
    "tests/cluster/flowkiln/test_start_deadline.py",
    "tests/cluster/flowkiln/test_large_map.py",
    "tests/cluster/flowkiln/test_failures_of_clusters.py",
    "tests/operator/agent/test_agent.py",
    "tests/charts/test_values.py",
    "tests/engine/cli/test_ending.py",
    "tests/engine/engine/executors/test_resubmissions.py",
    "tests/engine/engine/test_differences.py",
    "tests/engine/cli/output/test_bodies.py",
    "tests/engine/engine/test_timeouts.py",
    "tests/engine/examples/test_weather.py",
)
"""Files that take long begin early: at the end no process waits for one of them."""
ALL_DISTURBING = "tests that disturb the cluster"


def scope(nodeid: str) -> str:
    """Return the name of the tests that run in one process, one after the other: a file, or all that disturb."""
    path = nodeid.partition("::")[0]
    return ALL_DISTURBING if path in DISTURBING else path


def lane(scope: str) -> Lane:
    """Return the lane of a scope."""
    if scope == ALL_DISTURBING:
        return Lane.DISTURBING
    if scope in OWN:
        return Lane.OWN
    if scope.startswith("tests/cluster/") and not scope.startswith("tests/cluster/harness/"):
        return Lane.SHARED
    return Lane.NONE


def choose(waiting: Sequence[str], others: Sequence[Collection[str]]) -> str | None:
    """Return the scope that a process begins next; None while it has to wait.

    `others` are the scopes that each other process has not finished. Half of the processes, rounded down, prefer tests
    on a cluster, which mostly wait; the others prefer tests without one, which mostly compute.
    """
    disturbed = any(ALL_DISTURBING in scopes for scopes in [waiting, *others])
    on_clusters = sum(any(lane(one) is not Lane.NONE for one in scopes) for scopes in others)
    prefers_cluster = on_clusters < max(1, (1 + len(others)) // 2)

    def rank(scope: str) -> tuple[bool, int, int]:
        needs_cluster = lane(scope) is not Lane.NONE
        return needs_cluster != prefers_cluster, lane(scope), LONG.index(scope) if scope in LONG else len(LONG)

    allowed = [one for one in waiting if not (disturbed and lane(one) is Lane.SHARED)]
    return min(allowed, key=rank, default=None)
