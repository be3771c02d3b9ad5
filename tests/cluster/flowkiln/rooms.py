"""Namespaces that several tests share: what takes its time is started in them at once, and looked at test by test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.cluster.conftest import new_namespace
from tests.cluster.harness.commands import wait_until

from .installation import Installation
from .runs import Runs
from .watching import logs_of_runs


@contextmanager
def room(installation: Installation, *objects: Mapping[str, Any]) -> Iterator[Runs]:
    """Make a namespace in which only pods of the restricted profile may run, with these objects in it."""
    with (
        new_namespace(installation.cluster, "room") as name,
        logs_of_runs(installation.cluster, name, {"agent"}) as agents,
    ):
        runs = Runs(installation, name, agents)
        if objects:
            runs.apply(*objects)
        yield runs


def limit(runs: Runs, quota: str, resource: str, most: int) -> None:
    """Have a quota, which forbids more of these objects than that in a namespace, and is in force."""
    limit_all(runs, quota, {resource: str(most)})


def limit_all(runs: Runs, quota: str, hard: Mapping[str, str]) -> None:
    """Have a quota of several resources, and wait until it is in force."""
    runs.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": quota}, "spec": {"hard": hard}})

    def is_counted() -> bool:
        return runs.get("resourcequota", quota).get("status", {}).get("hard") == hard

    wait_until("the quota is counted", is_counted, seconds=60)
