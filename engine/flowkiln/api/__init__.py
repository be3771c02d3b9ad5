"""The custom resources Flow and FlowRun as values: the one definition that schemas, operator, agent and CLI share.

`GROUP`, `VERSION` and `API_VERSION` name the Kubernetes API. The models are in `flow`, `flow_run`, `status` and `plan`;
`validation` says what is wrong with them; `effective` turns them into plain numbers; `crds` generates the CRDs.
"""

from __future__ import annotations

GROUP = "flowkiln.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

__all__ = ["API_VERSION", "GROUP", "VERSION"]
