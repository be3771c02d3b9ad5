"""Decide on the actions for a run: a pure function of its snapshot.

`decide` calls the policies in order; the first one that returns actions decides. A policy that does not apply returns
None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from flowkiln_operator.controller.actions import Actions
from flowkiln_operator.controller.snapshot import Snapshot

from . import admission, cluster, deletion, ended, ownership, progress, report, schedule, start, termination

Policy: TypeAlias = Callable[[Snapshot], Actions | None]

POLICIES: tuple[Policy, ...] = (
    ownership.skip_foreign_class,
    deletion.skip_deleting,
    ended.clean_up,
    report.take_final_report,
    termination.terminate,
    admission.refuse_unreadable,
    schedule.wait_for_start_time,
    admission.wait_for_flow,
    admission.refuse_invalid,
    start.give_up,
    start.create_what_is_missing,
    cluster.end_when_lost,
    cluster.wait_for_claim,
    progress.time_out,
    progress.follow,
)


def decide(snapshot: Snapshot) -> Actions:
    """Return the actions for this run; none if it is as it should be."""
    for policy in POLICIES:
        actions = policy(snapshot)
        if actions is not None:
            return actions
    return ()
