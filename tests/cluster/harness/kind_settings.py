"""What a person says about the clusters by kind: FLOWKILN_KIND_NODE_IMAGE and FLOWKILN_KIND_CONFIG."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from .interface import HarnessError

CONFIG = "FLOWKILN_KIND_CONFIG"
NODE_IMAGE = "FLOWKILN_KIND_NODE_IMAGE"

LIST: Mapping[str, Any] = {"type": ["array", "null"]}
PATCHES: Mapping[str, Any] = {"type": ["array", "null"], "items": {"type": "string"}}
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "networking": {"type": ["object", "null"]},
        "kubeadmConfigPatches": PATCHES,
        "nodes": {
            "type": ["array", "null"],
            "items": {"type": "object", "properties": {"kubeadmConfigPatches": PATCHES, "extraMounts": LIST}},
        },
    },
}
"""What our additions look into; the rest is kind's to check."""
PATCH_SCHEMA: Mapping[str, Any] = {
    "type": ["object", "null"],
    "properties": {"apiServer": {"type": ["object", "null"]}},
}


def node_image() -> str | None:
    """Return the nodes' image that is given, if there is one."""
    return os.environ.get(NODE_IMAGE) or None


def given_config() -> Mapping[str, Any]:
    """Return the kind configuration that is given, fit for several clusters at once; HarnessError names what is wrong.

    It is empty without one.
    """
    given = os.environ.get(CONFIG)
    if not given:
        return {}
    try:
        return usable(yaml.safe_load(Path(given).expanduser().read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise HarnessError(f"{CONFIG}={given} cannot be read: {error}") from error
    except ValueError as error:
        raise HarnessError(f"{CONFIG}={given} is no kind configuration for tests: {error}") from error


def usable(config: Any) -> dict[str, Any]:
    """Return a configuration without the host's ports, of which two clusters cannot both have one.

    ValueError where it has another shape than kind's, or more than one control plane.
    """
    _check(config, SCHEMA, "$")
    for where, document in _patches(config):
        _check(document, PATCH_SCHEMA, where)
    result: dict[str, Any] = copy.deepcopy(config)
    nodes = result.get("nodes") or []
    if sum(is_control_plane(node) for node in nodes) > 1:
        raise ValueError("it has several control planes: tests read the audit log, and stop the API server, of one")
    (result.get("networking") or {}).pop("apiServerPort", None)
    for node in nodes:
        node.pop("extraPortMappings", None)
    return result


def is_control_plane(node: Mapping[str, Any]) -> bool:
    """Return whether a node of a kind configuration is a control plane, as one without a role is."""
    return (node.get("role") or "control-plane") == "control-plane"


def _patches(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the documents in all patches of kubeadm's configuration, with where they are."""
    places = {"$": config, **{f"$.nodes[{index}]": node for index, node in enumerate(config.get("nodes") or [])}}
    for place, holder in places.items():
        for index, patch in enumerate(holder.get("kubeadmConfigPatches") or []):
            where = f"{place}.kubeadmConfigPatches[{index}]"
            try:
                documents = list(yaml.safe_load_all(patch))
            except yaml.YAMLError as error:
                raise ValueError(f"{where}: {error}") from error
            yield from ((where, document) for document in documents)


def _check(value: Any, schema: Mapping[str, Any], where: str) -> None:
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if problem is not None:
        raise ValueError(f"{where}{problem.json_path.removeprefix('$')}: {problem.message}")
