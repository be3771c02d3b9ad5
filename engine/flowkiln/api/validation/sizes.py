"""Sizes: what goes into one object of Kubernetes together has to fit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from flowkiln.api.flow import FlowSpec, ParameterSpec
from flowkiln.api.validation.problem import Problem

MAX_SCHEMA_BYTES = 16 * 1024
MAX_VALUES_BYTES = 256 * 1024
MAX_SPEC_BYTES = 512 * 1024
MAX_PLAN_BYTES = 768 * 1024
"""What a plan may come to, so that it fits into a ConfigMap of 1 MiB beside the source files even uncompressed."""


def check_sizes(spec: FlowSpec) -> Iterator[Problem]:
    """Check a flow without its source files, in bytes of JSON."""
    in_parts: list[Problem] = []
    for index, parameter in enumerate(spec.parameters):
        in_parts += _check(f"parameters[{index}].schema", parameter.json_schema, MAX_SCHEMA_BYTES)
        in_parts += _check(f"parameters[{index}].default", parameter.default, MAX_SPEC_BYTES)
    yield from in_parts
    if in_parts:
        return
    # Pydantic writes the whole faster than `json`, but would write null for NaN without a word.
    unwritable = list(_check("", _free_form(spec), MAX_SPEC_BYTES))
    yield from unwritable
    if not unwritable:
        yield from _check_size("", _size_without_source(spec), MAX_SPEC_BYTES)


def check_run_sizes(parameters: Mapping[str, JsonValue], context: Mapping[str, JsonValue]) -> Iterator[Problem]:
    """Check what a run is given."""
    yield from _check("parameters", parameters, MAX_VALUES_BYTES)
    yield from _check("context", context, MAX_VALUES_BYTES)


def check_plan_size(
    flow: FlowSpec, parameters: Mapping[str, JsonValue], context: Mapping[str, JsonValue]
) -> Iterator[Problem]:
    """Check what flow, resolved parameters and the run's context come to together."""
    beside = json.dumps([parameters, {**flow.context, **context}], ensure_ascii=False, separators=(",", ":"))
    yield from _check_size("", _size_without_source(flow) + len(",") + len(beside.encode()), MAX_PLAN_BYTES)


def schema_is_too_large(parameter: ParameterSpec) -> bool:
    """Return whether a parameter's schema is larger than what is compared with values."""
    return any(True for _ in _check("schema", parameter.json_schema, MAX_SCHEMA_BYTES))


def _size_without_source(spec: FlowSpec) -> int:
    plain = spec.model_copy(update={"source": None})
    return len(plain.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True).encode())


def _free_form(spec: FlowSpec) -> list[Any]:
    """Return all of a flow that may hold any JSON, except for its parameters."""
    template = spec.cluster.pod_template
    values = [given.value for task in spec.tasks for given in task.inputs if given.value is not None]
    return [spec.context, template.affinity, template.topology_spread_constraints, values]


def _check(field: str, value: Any, most: int) -> Iterator[Problem]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    except RecursionError:
        yield Problem(field, "is nested too deeply")
        return
    except UnicodeEncodeError:
        yield Problem(field, "holds half a character (a lone surrogate), which no encoding of Unicode knows")
        return
    except ValueError:
        yield Problem(field, "holds infinity or NaN, which JSON cannot express")
        return
    yield from _check_size(field, size, most)


def _check_size(field: str, size: int, most: int) -> Iterator[Problem]:
    if size > most:
        yield Problem(field, f"{size} bytes of JSON are more than {most}; pass large data by reference, such as a URL")
