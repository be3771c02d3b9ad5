from __future__ import annotations

from typing import Any

import pytest

from flowkiln.engine.executors import DaskExecutor, LocalExecutor, SynchronousExecutor


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"n_wrokers": 3}, "unexpected keyword 'n_wrokers'. Did you mean 'n_workers'?"),
        ({"flavour": 1}, "unexpected keyword 'flavour'."),
        ({"address": "tcp://127.0.0.1:1", "n_workers": 3}, "'n_workers', which is for a cluster of its own"),
        ({"address": "tcp://127.0.0.1:1", "timout": 3}, "Did you mean 'timeout'?"),
    ],
)
def test_wrong_keywords(keywords: dict[str, Any], said: str) -> None:
    """A keyword that Dask does not know, or not at an address, raises at once and is named."""
    with pytest.raises(TypeError, match=said.replace("?", r"\?")):
        DaskExecutor(**keywords)


@pytest.mark.parametrize(
    "keywords",
    [
        {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None},
        {"memory_limit": "1GB", "resources": {"GPU": 1}, "local_directory": "x"},
        {"address": "tcp://127.0.0.1:1", "timeout": 1, "name": "me"},
    ],
)
def test_right_keywords(keywords: dict[str, Any]) -> None:
    """Keywords of client, cluster, nannies and workers are taken."""
    assert DaskExecutor(**keywords).kwargs == {name: value for name, value in keywords.items() if name != "address"}


@pytest.mark.parametrize("executor", [LocalExecutor, SynchronousExecutor])
def test_executors_without_keywords(executor: type[Any]) -> None:
    """The others take none."""
    with pytest.raises(TypeError, match="n_workers"):
        executor(n_workers=1)
