"""Fields of which exactly one, or at most one, may be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flowkiln.api.flow import FlowSpec, TaskInput, TaskSpec
from flowkiln.api.flow_run import FlowRunSpec
from flowkiln.api.model import listed
from flowkiln.api.pod_template import PodTemplate
from flowkiln.api.validation.problem import Problem


def check_choices(spec: FlowSpec) -> Iterator[Problem]:
    """Check tasks or entrypoint, what goes with either, and the choices inside of tasks and podTemplate."""
    yield from _exactly_one("", {"tasks": spec.tasks or None, "entrypoint": spec.entrypoint})
    if spec.entrypoint is not None:
        for field, given in {"referenceTasks": spec.reference_tasks, "stateHandlers": spec.state_handlers}.items():
            if given:
                yield Problem(field, "goes with tasks only; with an entrypoint the code sets it")
    for index, task in enumerate(spec.tasks):
        yield from _task_choices(f"tasks[{index}]", task)
    yield from _pod_template_choices("cluster.podTemplate", spec.cluster.pod_template)


def check_run_choices(spec: FlowRunSpec) -> Iterator[Problem]:
    """Check flowRef or flowSpec."""
    yield from _exactly_one("", {"flowRef": spec.flow_ref, "flowSpec": spec.flow_spec})


def _task_choices(field: str, task: TaskSpec) -> Iterator[Problem]:
    yield from _exactly_one(field, {"function": task.function, "command": task.command})
    if task.trigger.rule is not None and task.trigger.function is not None:
        yield Problem(f"{field}.trigger", "rule and function exclude each other")
    for index, given in enumerate(task.inputs):
        yield from _input_choices(f"{field}.inputs[{index}]", given)


def _input_choices(field: str, given: TaskInput) -> Iterator[Problem]:
    kinds = {
        "value": given.value,
        "parameter": given.parameter,
        "task": given.task,
        "valueFrom": given.value_from,
    }
    yield from _exactly_one(field, kinds)
    if given.map and given.task is None:
        yield Problem(f"{field}.map", "goes with task only")


def _pod_template_choices(field: str, template: PodTemplate) -> Iterator[Problem]:
    for index, volume in enumerate(template.volumes):
        kinds = {
            "persistentVolumeClaim": volume.persistent_volume_claim,
            "configMap": volume.config_map,
            "secret": volume.secret,
            "emptyDir": volume.empty_dir,
            "csi": volume.csi,
        }
        yield from _exactly_one(f"{field}.volumes[{index}]", kinds)
    for index, variable in enumerate(template.env):
        where = f"{field}.env[{index}]"
        yield from _exactly_one(where, {"value": variable.value, "valueFrom": variable.value_from})
        if (source := variable.value_from) is not None:
            sources = {
                "secretKeyRef": source.secret_key_ref,
                "configMapKeyRef": source.config_map_key_ref,
                "fieldRef": source.field_ref,
            }
            yield from _exactly_one(f"{where}.valueFrom", sources)
    for index, all_of in enumerate(template.env_from):
        references = {"configMapRef": all_of.config_map_ref, "secretRef": all_of.secret_ref}
        yield from _exactly_one(f"{field}.envFrom[{index}]", references)


def _exactly_one(field: str, choices: Mapping[str, Any]) -> Iterator[Problem]:
    given = [name for name, value in choices.items() if value is not None]
    if not given:
        yield Problem(field, f"exactly one of {listed(choices)} must be given, and none is")
    elif len(given) > 1:
        yield Problem(field, f"{listed(given)} exclude each other; give exactly one of {listed(choices)}")
