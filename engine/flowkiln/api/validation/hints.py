"""What people write who know another tool, and what to write here instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

from flowkiln.api.flow import FlowSpec, ParameterSpec, TaskInput, TaskSpec, Trigger
from flowkiln.api.flow_run import FlowRef, FlowRunSpec
from flowkiln.api.validation.shapes import field_at, model_at
from flowkiln.triggers import RULES

_AFTER = "write after: [names of tasks]; a task that takes another one's result has it among its inputs"
_FUNCTION = "write function: module:callable, with the module in source.files or in the image"
_INPUTS = "write inputs: a list with one {name: …, value: …}, or parameter or task in place of value, for each argument"
_HANDLERS = "write stateHandlers: [module:callable]; they are called on each change of state"
_CLUSTER = "it belongs under cluster"
_CLUSTER_OF_FLOW = "it belongs to the flow: cluster.image, cluster.workers.resources"
_TRIGGER = "write trigger: {rule: AnyFailed}, or another rule"
_MAPPED = "write map: true at the input over whose elements the task runs"
_ENV = "write cluster.podTemplate.env for all tasks, or an input of this task"

_INSTEAD: Mapping[type[BaseModel], Mapping[str, str]] = MappingProxyType(
    {
        TaskSpec: {
            **dict.fromkeys(
                ["upstream", "upstreamtasks", "dependson", "depends", "dependencies", "needs", "requires", "runafter"],
                _AFTER,
            ),
            **dict.fromkeys(["maxretries", "retry", "retrystrategy"], "write retries: {max: 3, delay: 10s}"),
            **dict.fromkeys(["retrydelay", "retrydelayseconds"], "write retries: {max: 3, delay: 10s}"),
            **dict.fromkeys(["map", "mapped", "foreach", "withitems", "withparam"], _MAPPED),
            **dict.fromkeys(["run", "fn", "callable", "call", "entrypoint", "script", "python"], _FUNCTION),
            **dict.fromkeys(["args", "arguments", "params", "parameters", "kwargs", "with"], _INPUTS),
            **dict.fromkeys(["onfailure", "onsuccess", "handlers", "callbacks"], _HANDLERS),
            **dict.fromkeys(["timeoutseconds", "activedeadlineseconds"], "write timeout: 60s"),
            **dict.fromkeys(["when", "condition", "if", "triggerrule"], _TRIGGER),
            **dict.fromkeys(["env", "environment"], _ENV),
            **dict.fromkeys(["image", "resources"], _CLUSTER_OF_FLOW),
            **dict.fromkeys(["slug", "id"], "write name"),
        },
        TaskInput: {
            **dict.fromkeys(["mapped", "foreach"], _MAPPED),
            **dict.fromkeys(["upstream", "from", "result", "output"], "write task: the name of the task"),
            **dict.fromkeys(["default", "constant"], "write value"),
            **dict.fromkeys(["secret", "secretkeyref"], "write valueFrom: {secretKeyRef: {name: …, key: …}}"),
        },
        Trigger: {"name": "write rule", "callable": "write function"},
        ParameterSpec: {
            "required": "a parameter is required unless it has a default, or says optional: true",
            "value": "write default",
            **dict.fromkeys(
                ["type", "enum", "minimum", "maximum", "pattern", "items", "properties"],
                "it belongs into the schema: schema: {type: integer}",
            ),
        },
        FlowSpec: {
            **dict.fromkeys(["image", "workers", "scheduler", "podtemplate"], _CLUSTER),
            **dict.fromkeys(["serviceaccountname", "env", "resources"], _CLUSTER),
            **dict.fromkeys(["params", "inputs", "arguments"], "write parameters"),
            **dict.fromkeys(["files", "code", "sources"], "write source: {files: [{path: …, content: …}]}"),
            **dict.fromkeys(["onfailure", "handlers", "onexit"], _HANDLERS),
            **dict.fromkeys(["steps", "jobs", "nodes"], "write tasks"),
        },
        FlowRunSpec: {
            **dict.fromkeys(["flow", "flowname", "workflow"], "write flowRef: {name: …}"),
            **dict.fromkeys(["params", "inputs", "arguments"], "write parameters: {name: value}"),
            **dict.fromkeys(["suspend", "cancel", "stop"], "write terminate: Immediate to end the run"),
        },
    }
)
"""By model, names in lower case and without underscores, and what stands for them."""

_RULES_ELSEWHERE = MappingProxyType(
    {
        "allsuccess": "AllSuccessful",
        "allsucceeded": "AllSuccessful",
        "onesuccess": "AnySuccessful",
        "anysuccess": "AnySuccessful",
        "onefailed": "AnyFailed",
        "alldone": "AllFinished",
        "always": "AllFinished",
        "manual": "ManualOnly",
    }
)
_CALLABLE = re.compile(r"^[\w.]+:[\w.]+$")


def hint_for_unknown_field(model: type[BaseModel] | None, name: str) -> str | None:
    """Return what to write instead of a field that a model does not have."""
    return None if model is None else _INSTEAD.get(model, {}).get(_plain(name))


def hint_for_rule(text: str) -> str | None:
    """Name the rule of triggers that is meant by a text, such as `any_failed` or `all_done`."""
    known = {**_RULES_ELSEWHERE, **{_plain(rule): rule for rule in RULES}}
    close = difflib.get_close_matches(_plain(text), known, n=1, cutoff=0.8)
    return known[close[0]] if close else None


def hint_for_shape(root: type[BaseModel], path: tuple[int | str, ...], given: object) -> str | None:
    """Return how to write a value of the wrong shape: a name for a mapping, a mapping for a list."""
    owner = model_at(root, [*path[:-1]])
    field = field_at(root, path)
    target = model_at(root, path) if field is not None else None
    match target, given:
        case _, str() if target is Trigger:
            if _CALLABLE.match(given):
                return f"write {{function: {given}}}"
            return f"write {{rule: {hint_for_rule(given) or 'AnyFailed'}}}"
        case _, int() if path[-1:] == ("retries",) and owner is TaskSpec and not isinstance(given, bool):
            return f"write {{max: {given}}}"
        case _, str() if target is FlowRef:
            return f"write {{name: {given}}}"
        case _, dict() if "name" in given and path[-1:] in (("inputs",), ("parameters",), ("tasks",)):
            return "put a dash (-) before it"
        case _, dict() if path[-1:] == ("inputs",) and owner is TaskSpec and given:
            return f"write - {{name: {next(iter(given))}, value: …}}, or parameter or task in place of value"
        case _, dict() if path[-1:] == ("parameters",) and owner is FlowSpec and given:
            return f"write - {{name: {next(iter(given))}, default: …}}"
        case _, dict() if path[-1:] == ("tasks",) and owner is FlowSpec and given:
            return f"write - {{name: {next(iter(given))}, function: …}}"
        case _, str() if path[-1:] == ("command",) and owner is TaskSpec:
            return "write [program, argument, …], or [sh, -c, the text] for a shell"
        case _, str() if path[-1:] in (("after",), ("referenceTasks",), ("stateHandlers",), ("tags",)):
            return f"write [{given}]"
        case _:
            return None


def hint_for_map(given: object) -> str | None:
    """Return how to map over a task that is named instead of a boolean."""
    return f"write task: {given}, map: true" if isinstance(given, str) else None


def _plain(name: str) -> str:
    return re.sub("[-_]", "", name).lower()
