"""Names by which Flowkiln's parts, and tools beside it, know what is Flowkiln's in Kubernetes."""

from __future__ import annotations

from typing import Final

from flowkiln.api import GROUP

FLOW_KIND: Final = "Flow"
FLOWS: Final = "flows"
FLOW_RUN_KIND: Final = "FlowRun"
FLOW_RUNS: Final = "flowruns"
"""The plural is the name in URLs, in roles and in `kubectl`."""

OPERATOR_FIELD_MANAGER: Final = "flowkiln-operator"
AGENT_FIELD_MANAGER: Final = "flowkiln-agent"
"""Who owns which field of a FlowRun, as server-side apply records it."""

RUN_LABEL: Final = f"{GROUP}/run"
"""On every object of a run; its value is the run's base name."""
RUN_NAME_ANNOTATION: Final = f"{GROUP}/run-name"
"""On the DaskCluster, from where dask-kubernetes copies it to the pods: the FlowRun's whole name."""
CLASS_LABEL: Final = f"{GROUP}/class"
"""On a FlowRun, by whoever creates it: which of several operators runs it. Without it, the one that has no class."""
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
RUN_ACCOUNT_PREFIX: Final = "flowrun-"
"""How the names of the runs' own ServiceAccounts begin; the admission policy knows them by it."""

_RESERVED_DOMAINS = (GROUP, "dask.org")


def is_reserved_key(key: str) -> bool:
    """Return whether a label or annotation of a run's pods belongs to Flowkiln or to Dask."""
    domain = key.rpartition("/")[0]
    return key == MANAGED_BY_LABEL or any(f".{domain}".endswith(f".{reserved}") for reserved in _RESERVED_DOMAINS)
