"""What tools make of a FlowRun: Argo CD by our health check, others by the rules of kstatus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lupa.lua51 import LuaRuntime  # the version of Argo CD's interpreter

ARGOCD = Path(__file__).parents[2] / "manifests" / "argocd" / "argocd-cm.yaml"
HEALTH_CHECK = "resource.customizations.health.flowkiln.dev_FlowRun"


def health(document: Mapping[str, Any]) -> tuple[str, str]:
    """Return status and message as Argo CD computes them: the object is `obj`, and Lua has no libraries for I/O."""
    script = yaml.safe_load(ARGOCD.read_text(encoding="utf-8"))["data"][HEALTH_CHECK]
    lua = LuaRuntime(register_eval=False, unpack_returned_tuples=True)
    for library in ("io", "os", "package", "require", "debug"):
        lua.globals()[library] = None
    lua.globals()["obj"] = lua.table_from(document, recursive=True)
    result = lua.execute(script)
    assert set(result) <= {"status", "message"}
    return result["status"], result["message"]


def kstatus(document: Mapping[str, Any]) -> str:
    """Return the status of an object of a kind that kstatus does not know, by the rules that kstatus publishes.

    Deletion first; then a generation that was not observed yet; then the two conditions that are abnormal when True;
    then Ready, where there is one; anything else is Current.
    """
    metadata, status = document["metadata"], document.get("status", {})
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if conditions.get("Ready", "True") != "True" else "Current"
