"""What a worker needs, imported once for all processes that are forked from the one that imports this.

Python's own random numbers are seeded afresh in a forked process, numpy's are not: two workers would draw the same.
"""

from __future__ import annotations

import os
import sys

import distributed  # noqa: F401

import flowkiln.engine.executors.dask.shutdown
import flowkiln.engine.executors.dask.worker  # noqa: F401


def seed_numpy() -> None:
    """Seed numpy's global generator, if it is there."""
    if (random := sys.modules.get("numpy.random")) is not None:
        random.seed()


os.register_at_fork(after_in_child=seed_numpy)
