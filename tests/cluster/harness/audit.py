"""The policy of the test clusters' audit logs: who asked for what, without bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
