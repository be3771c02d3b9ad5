"""How dask-kubernetes' controller waits for an API server."""

from __future__ import annotations

import kopf

from flowkiln_operator.kopf_networking import configure_networking


def test_kopf_looks_often_for_an_api_server_that_is_away() -> None:
    """By its defaults it would wait for up to 21 s."""
    settings = kopf.OperatorSettings()
    configure_networking(settings)
    waits = settings.networking.error_backoffs
    assert isinstance(waits, tuple)
    assert max(waits) <= 5
    assert sum(waits) > sum(kopf.OperatorSettings().networking.error_backoffs)  # type: ignore[arg-type]
