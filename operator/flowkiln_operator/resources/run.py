"""Ownership and names of a run's objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowkiln.api import API_VERSION
from flowkiln.api.names import FLOW_RUN_KIND, MANAGED_BY_LABEL, RUN_ACCOUNT_PREFIX, RUN_LABEL

MANAGED_BY = {MANAGED_BY_LABEL: "flowkiln"}

NAME_LENGTH = 36
UID_LENGTH = 6

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """The identity of a FlowRun for its children."""

    namespace: str
    name: str
    uid: str

    @property
    def base(self) -> str:
        """Return the base of every child's name: a unique DNS label of at most 43 characters.

        Dots become dashes, and a name that begins with a digit gets a letter prefix: Services allow neither.
        """
        stem = re.sub(r"[^a-z0-9-]", "-", self.name.lower())
        if not stem[:1].isalpha():
            stem = f"r-{stem}"
        return f"{stem[:NAME_LENGTH].rstrip('-')}-{self.uid[:UID_LENGTH]}"

    @property
    def plan_name(self) -> str:
        """Return the name of the ConfigMap with the plan."""
        return f"{self.base}-plan"

    @property
    def service_account(self) -> str:
        """Return the name of the run's own ServiceAccount, which the admission policy matches by prefix."""
        return f"{RUN_ACCOUNT_PREFIX}{self.base}"

    def cluster_name(self, number: int) -> str:
        """Return the name of the run's DaskCluster of this number (from 1). Names are never reused."""
        return f"{self.base}-c{number}"

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of every child."""
        return {**MANAGED_BY, RUN_LABEL: self.base}

    def owner_reference(self) -> Manifest:
        """Return the ownerReference that makes Kubernetes delete a child with its FlowRun."""
        return {
            "apiVersion": API_VERSION,
            "kind": FLOW_RUN_KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def metadata(
        self, name: str, *, annotations: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
    ) -> Manifest:
        """Return the metadata of a child; the run's labels override `labels`."""
        made: Manifest = {
            "name": name,
            "namespace": self.namespace,
            "labels": {**(labels or {}), **self.labels},
            "ownerReferences": [self.owner_reference()],
        }
        if annotations:
            made["annotations"] = dict(annotations)
        return made


def is_controlled_by(child: Mapping[str, Any], uid: str) -> bool:
    """Return whether the object's controller is the FlowRun with this uid."""
    references = child.get("metadata", {}).get("ownerReferences") or ()
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)
