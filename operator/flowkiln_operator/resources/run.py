"""Who a run's objects belong to, and what they are called."""

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
    """A FlowRun as its children know it."""

    namespace: str
    name: str
    uid: str

    @property
    def base(self) -> str:
        """The stem of every child's name: a DNS label of at most 43 characters, that no other run shares.

        Dots become dashes, and a name that begins with a digit gets a letter in front: Services allow neither.
        """
        stem = re.sub(r"[^a-z0-9-]", "-", self.name.lower())
        if not stem[:1].isalpha():
            stem = f"r-{stem}"
        return f"{stem[:NAME_LENGTH].rstrip('-')}-{self.uid[:UID_LENGTH]}"

    @property
    def plan_name(self) -> str:
        """The name of the ConfigMap with the plan."""
        return f"{self.base}-plan"

    @property
    def service_account(self) -> str:
        """The name of the run's own ServiceAccount, which the admission policy knows by its prefix."""
        return f"{RUN_ACCOUNT_PREFIX}{self.base}"

    def cluster_name(self, number: int) -> str:
        """Return the name of the run's DaskCluster of this number (from 1). No name is used twice."""
        return f"{self.base}-c{number}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every child."""
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
        """Return the metadata of a child; our own labels win over `labels`."""
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
    """Tell whether the object's controller is the FlowRun of this uid."""
    references = child.get("metadata", {}).get("ownerReferences") or ()
    return any(reference.get("controller") and reference.get("uid") == uid for reference in references)
