"""The end of a test cluster, with its logs kept after a failure."""

from __future__ import annotations

from pathlib import Path

from .commands import say
from .interface import Cluster, HarnessError


def end(cluster: Cluster, *, keep_logs: bool, stop: bool = True) -> Path | None:
    """Keep its logs if wanted, then stop it, whatever became of the logs. Returns the folder with the logs."""
    try:
        return cluster.keep_logs() if keep_logs else None
    except (HarnessError, OSError) as error:
        say(f"the logs of {cluster.name} could not be kept: {error}")
        return None
    finally:
        if stop:
            cluster.stop()
