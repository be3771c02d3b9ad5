"""Objects as kustomize, the chart and `flowkiln install` make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from .helm import CHART, helm

Object = dict[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name

RELEASE, NAMESPACE = "flowkiln", "flowkiln-system"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SECOND: Mapping[str, Any] = {
    "settings": {"runClass": "gpu"},
    "crds": {"install": False},
    "admissionPolicies": {"install": False},
    "rbac": {"userRoles": False},
    "daskKubernetes": {"enabled": False},
}
"""What installation asks of a second release in a cluster."""


def objects(stream: str) -> dict[Key, Object]:
    """Return the objects of a YAML stream; two of one name are an error, as they would undo each other."""
    found: dict[Key, Object] = {}
    for document in yaml.load_all(stream, Loader=LOADER):
        if document is not None:
            metadata = document["metadata"]
            key = (document["kind"], metadata.get("namespace", ""), metadata["name"])
            assert key not in found, f"{key} is there twice"
            found[key] = document
    return found


def render(values: Mapping[str, Any] | None = None, *, namespace: str = NAMESPACE) -> dict[Key, Object]:
    """Return what `helm install` would create with these values."""
    return objects(helm("template", RELEASE, CHART, "--namespace", namespace, values=values or {}))


def named(found: Mapping[Key, Object], kind: str, name: str) -> Object:
    """Return the one object of this kind and name."""
    (key,) = [key for key in found if (key[0], key[2]) == (kind, name)]
    return found[key]


def names(found: Mapping[Key, Object], kind: str) -> set[str]:
    """Return the names of the objects of a kind."""
    return {key[2] for key in found if key[0] == kind}


def pod(found: Mapping[Key, Object], deployment: str) -> Object:
    """Return the spec of a Deployment's pods."""
    spec: Object = named(found, "Deployment", deployment)["spec"]["template"]["spec"]
    return spec


def container(found: Mapping[Key, Object], deployment: str) -> Object:
    """Return the one container of a Deployment's pods."""
    (one,) = pod(found, deployment)["containers"]
    made: Object = one
    return made
