"""What the operator asks the API server to tell it."""

from __future__ import annotations

import kopf
import pytest

from flowkiln_operator.controller.handlers import make_settings
from flowkiln_operator.kopf_networking import configure_networking


@pytest.mark.parametrize(("run_class", "selector"), [(None, "!flowkiln.dev/class"), ("gpu", "flowkiln.dev/class=gpu")])
def test_only_runs_of_its_class_are_watched(run_class: str | None, selector: str) -> None:
    """Two operators of different classes share no run; Flows have no class, and children none of their own."""
    selectors = make_settings(run_class).watching.label_selectors
    assert selectors["flowkiln.dev", "v1alpha1", "flowruns"] == selector
    assert ("flowkiln.dev", "v1alpha1", "flows") not in selectors
    assert selectors["", "v1", "pods"] == selectors["kubernetes.dask.org", "v1", "daskclusters"] == "flowkiln.dev/run"


def test_kopf_looks_often_for_an_api_server_that_is_away() -> None:
    """In this controller and in that of dask-kubernetes: by its defaults it would wait for up to 21 s."""
    dask_kubernetes = kopf.OperatorSettings()
    configure_networking(dask_kubernetes)
    for settings in (make_settings(None), dask_kubernetes):
        waits = settings.networking.error_backoffs
        assert isinstance(waits, tuple)
        assert max(waits) <= 5
        assert sum(waits) > sum(kopf.OperatorSettings().networking.error_backoffs)  # type: ignore[arg-type]
