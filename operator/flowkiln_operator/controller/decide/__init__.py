"""What to do about a run: a pure function of what is so.

`decide` asks each policy in turn; the first that has an answer gives it. A policy that has nothing to say returns None.
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
    """Return what to do about this run now; nothing, when all is as it should be."""
    for policy in POLICIES:
        actions = policy(snapshot)
        if actions is not None:
            return actions
    return ()
