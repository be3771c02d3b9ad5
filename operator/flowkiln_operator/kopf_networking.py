"""Error backoffs of kopf when the API server does not answer, in our controller and in dask-kubernetes' controller.

The latter is started as `kopf run -m dask_kubernetes.operator.controller -m flowkiln_operator.kopf_networking`.
"""

from __future__ import annotations

from typing import Any

import kopf

ERROR_BACKOFFS = (1, 1, 2, 3, *[5] * 20)
"""Seconds between retries. With its defaults kopf notices up to 21 s late that the API server is back."""


@kopf.on.startup()
def configure_networking(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Make kopf retry more often and for longer than by default."""
    settings.networking.error_backoffs = ERROR_BACKOFFS
