"""Ownership and names of a run's objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowkiln.api import API_VERSION
from flowkiln.api.names import FLOW_RUN_KIND, MANAGED_BY_LABEL, RUN_ACCOUNT_PREFIX, RUN_LABEL

MANAGED_BY = {MANAGED_BY_LABEL: "flowkiln"}

RBAC_GROUP = "rbac.authorization.k8s.io"
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


def owned_by_role(manifest: Mapping[str, Any], run: RunIdentity, role_uid: str) -> Manifest:
    """Return a child that goes when the run's Role is deleted, and not only with the FlowRun."""
    owner = {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "name": run.service_account,
        "uid": role_uid,
        "controller": True,
    }
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [owner]}}


def is_controlled_by(child: Mapping[str, Any], run: RunIdentity) -> bool:
    """Return whether the object's controller is this FlowRun, or its Role, whose name no other run shares."""
    references = child.get("metadata", {}).get("ownerReferences") or ()
    controller: Mapping[str, Any] = next((reference for reference in references if reference.get("controller")), {})
    is_role = (controller.get("kind"), controller.get("name")) == ("Role", run.service_account)
    return is_role or controller.get("uid") == run.uid
