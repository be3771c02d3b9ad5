"""The plan of a run as an immutable ConfigMap, independent of later changes of the Flow."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowkiln.api.flow import Source
from flowkiln.api.plan import PLAN_KEY, Plan, PlanError

from .run import Manifest, RunIdentity

SOURCE_PATHS_KEY = "source-paths.json"


@dataclass(frozen=True, slots=True)
class PlanWithSources:
    """A plan, and the relative paths of the source files beside it in the ConfigMap, in the order of their keys."""

    plan: Plan
    source_paths: tuple[str, ...] = ()


def source_key(index: int) -> str:
    """Return the ConfigMap's key of a source file. Paths hold slashes, keys may not."""
    return f"source-{index}"


def plan_config_map(run: RunIdentity, plan: Plan, source: Source | None) -> Manifest:
    """Return the ConfigMap with the plan and the contents of the source files."""
    files = source.files if source else ()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": run.metadata(run.plan_name),
        "immutable": True,
        "binaryData": {PLAN_KEY: base64.b64encode(plan.encode()).decode()},
        "data": {
            SOURCE_PATHS_KEY: json.dumps([file.path for file in files]),
            **{source_key(index): file.content for index, file in enumerate(files)},
        },
    }


def read_plan_config_map(config_map: Mapping[str, Any]) -> PlanWithSources:
    """Read the output of `plan_config_map`. Raise PlanError if it was replaced."""
    try:
        encoded = base64.b64decode(config_map["binaryData"][PLAN_KEY], validate=True)
        paths = json.loads(config_map["data"][SOURCE_PATHS_KEY])
    except (KeyError, TypeError, binascii.Error, ValueError) as error:
        raise PlanError(f"the ConfigMap has no plan: {error!r}") from error
    if not (isinstance(paths, list) and all(isinstance(path, str) for path in paths)):
        raise PlanError(f"the ConfigMap's {SOURCE_PATHS_KEY} is no list of paths")
    return PlanWithSources(Plan.decode(encoded), tuple(paths))
