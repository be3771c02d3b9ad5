"""`Flow.spec`: what a flow is made of, and what its runs need."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeAlias

from pydantic import Field, JsonValue, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from flowkiln.api.cluster import ClusterSpec
from flowkiln.api.model import (
    LIST_ATOMIC,
    LIST_MAP_BY_NAME,
    LIST_SET,
    CallablePath,
    CountOrPercent,
    DataKey,
    DnsLabel,
    Duration,
    Flag,
    Identifier,
    Label,
    Model,
    ObjectName,
    ShortText,
    WholeSeconds,
    any_of,
    list_map_by,
    listed,
)
from flowkiln.triggers import DEFAULT_RULE, RULES

MAX_SOURCE_BYTES = 128 * 1024
"""The most that all source files of a flow may hold together, in bytes of UTF-8."""

ContextKey = Annotated[str, Field(min_length=1, max_length=63)]


class ParameterSpec(Model):
    """A parameter of a flow. It is required unless it has a default or is optional."""

    name: Identifier = Field(description="Name of the parameter, a Python identifier.")
    json_schema: dict[str, JsonValue] = Field(
        default={},
        alias="schema",
        max_length=64,
        description="JSON Schema (draft 2020-12) that values must satisfy. Default: any value.",
    )
    default: JsonValue = Field(default=None, description="Value for runs that give none. It must satisfy the schema.")
    optional: Flag = Field(
        default=False, description="Whether runs may leave it out although it has no default; tasks then get None."
    )
    description: ShortText | None = Field(default=None, description="What the parameter is for.")

    @property
    def is_required(self) -> bool:
        """Return whether each run must give a value."""
        return self.default is None and not self.optional


class SourceFile(Model):
    """A file of source code."""

    path: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        description="Relative path of the file, such as weather.py or lib/units.py. Modules are imported from it."
    )
    content: Annotated[str, Field(max_length=MAX_SOURCE_BYTES)] = Field(description="The text of the file.")


class Source(Model):
    """Source code that is part of the flow."""

    files: tuple[SourceFile, ...] = Field(
        min_length=1,
        max_length=64,
        json_schema_extra=list_map_by("path"),
        description=f"The files; {MAX_SOURCE_BYTES // 1024} KiB in all. Larger code belongs in the image.",
    )


class SecretKeyRef(Model):
    """One key of a Secret."""

    name: ObjectName = Field(description="Name of the Secret, in the namespace of the run.")
    key: DataKey = Field(description="Key in the Secret.")


class ValueFrom(Model):
    """A value that is kept outside of the flow."""

    secret_key_ref: SecretKeyRef = Field(
        description="A key of a Secret. Workers read it just before the task's body, as text; "
        "it enters no state, log or plan."
    )


class TaskInput(Model):
    """An argument of a task: exactly one of value, parameter, task and valueFrom."""

    exactly_one = ("value", "parameter", "task", "valueFrom")

    @classmethod
    def rules(cls) -> Iterable[tuple[str, str]]:
        """Refuse a map over anything but the result of a task."""
        return (("!has(self.map) || !self.map || has(self.task)", "map goes with task only"),)

    name: Identifier = Field(description="Name of the function's argument.")
    value: JsonValue = Field(default=None, description="The value itself.")
    parameter: Identifier | None = Field(default=None, description="Name of the parameter that gives the value.")
    task: DnsLabel | None = Field(default=None, description="Name of the task whose result is the value.")
    map: Flag = Field(
        default=False,
        description="With task: whether this task runs once for each element of the other task's result.",
    )
    value_from: ValueFrom | None = Field(default=None, description="A value that is kept outside of the flow.")


class Retries(Model):
    """What happens after a task run has Failed."""

    max: int = Field(strict=True, ge=0, le=1000, description="Maximum number of retries.")
    delay: Duration = Field(default="0s", description="Time to wait before the first retry.")
    backoff_factor: int = Field(
        default=1, strict=True, ge=1, le=10, description="Factor between a wait and the previous one."
    )
    max_delay: Duration | None = Field(default=None, description="Maximum wait. Default: no limit.")
    jitter_percent: int = Field(
        default=0, strict=True, ge=0, le=100, description="How far each wait varies at random, up or down, in percent."
    )


def _rule_name(given: object) -> str:
    if isinstance(given, str) and given in RULES:
        return given
    raise PydanticCustomError("enum", "Input should be {expected}", {"expected": any_of(map(repr, RULES))})


RuleName: TypeAlias = Annotated[str, PlainValidator(_rule_name), WithJsonSchema({"type": "string", "enum": [*RULES]})]
"""A trigger of `flowkiln.triggers.RULES`."""


def rules_with(parameter: str) -> list[str]:
    """Return the names of the trigger rules that take a parameter."""
    return [name for name, rule in RULES.items() if parameter in rule.parameters]


class Trigger(Model):
    """What decides whether a task runs once all its upstream tasks are finished: a rule, or a function."""

    @classmethod
    def parameters(cls) -> tuple[str, ...]:
        """Return the names of the fields that are parameters of rules."""
        return tuple(name for name in cls.model_fields if name not in ("rule", "function"))

    @classmethod
    def rules(cls) -> Iterable[tuple[str, str]]:
        """Refuse a parameter beside a rule that does not take it, or beside a function."""
        yield "!has(self.rule) || !has(self.function)", "rule and function exclude each other"
        for parameter in cls.parameters():
            field, names = to_camel(parameter), rules_with(parameter)
            yield (
                f"!has(self.{field}) || has(self.rule) && self.rule in {names}",
                f"{field} goes with the rules {listed(names)} only",
            )

    rule: RuleName | None = Field(
        default=None, description=f"The rule. Default: {DEFAULT_RULE}, unless there is a function."
    )
    at_least: CountOrPercent | None = Field(
        default=None,
        description=f"For {listed(rules_with('at_least'))}: the fewest upstream tasks, "
        "as a number or a share like 50%.",
    )
    at_most: CountOrPercent | None = Field(
        default=None,
        description=f"For {listed(rules_with('at_most'))}: the most upstream tasks, as a number or a share like 50%.",
    )
    function: CallablePath | None = Field(
        default=None, description="module:callable, called with the set of upstream states, instead of a rule."
    )


class TaskSpec(Model):
    """A task: a function or a program that runs on the workers."""

    exactly_one = ("function", "command")

    name: DnsLabel = Field(description="Name of the task, unique among tasks and parameters.")
    description: ShortText | None = Field(default=None, description="What the task is for.")
    function: CallablePath | None = Field(
        default=None, description="module:callable that is called with the inputs, from source or from the image."
    )
    command: tuple[Annotated[str, Field(max_length=32_768)], ...] | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        json_schema_extra=LIST_ATOMIC,
        description="Instead of function: a program and its arguments. "
        "Inputs are JSON in environment variables FLOWKILN_INPUT_<NAME>; "
        "the result is the last line of standard output.",
    )
    inputs: tuple[TaskInput, ...] = Field(
        default=(), max_length=64, json_schema_extra=LIST_MAP_BY_NAME, description="The arguments of the task."
    )
    after: tuple[DnsLabel, ...] = Field(
        default=(),
        max_length=256,
        json_schema_extra=LIST_SET,
        description="Tasks that must be finished before this one, without giving it data.",
    )
    retries: Retries | None = Field(default=None, description="Whether and when the task is retried. Default: never.")
    timeout: WholeSeconds | None = Field(
        default=None, description="How long one attempt may take, in whole seconds. Default: no limit."
    )
    trigger: Trigger = Field(
        default=Trigger(), description="What decides whether the task runs once its upstream tasks are finished."
    )
    tags: tuple[Label, ...] = Field(default=(), max_length=32, json_schema_extra=LIST_SET, description="Free tags.")
    state_handlers: tuple[CallablePath, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra=LIST_ATOMIC,
        description="module:callable of functions that are called on each change of the task's state.",
    )
    skip_on_upstream_skip: Flag = Field(
        default=True, description="Whether the task is skipped when one of its upstream tasks was."
    )


class FlowSpec(Model):
    """A flow: tasks that depend on each other, or code that makes them, and the cluster that they run on."""

    exactly_one = ("tasks", "entrypoint")

    @classmethod
    def rules(cls) -> Iterable[tuple[str, str]]:
        """Refuse settings that the code of an entrypoint makes itself."""
        return (
            (
                "has(self.tasks) || !has(self.referenceTasks) && !has(self.stateHandlers)",
                "referenceTasks and stateHandlers go with tasks only; with an entrypoint the code sets them",
            ),
        )

    description: ShortText | None = Field(default=None, description="What the flow is for.")
    parameters: tuple[ParameterSpec, ...] = Field(
        default=(),
        max_length=64,
        json_schema_extra=LIST_MAP_BY_NAME,
        description="What runs of the flow may or must be given.",
    )
    source: Source | None = Field(default=None, description="Source code that is part of the flow.")
    tasks: tuple[TaskSpec, ...] = Field(
        default=(),
        min_length=1,
        max_length=1000,
        json_schema_extra=LIST_MAP_BY_NAME,
        description="The tasks. Exactly one of tasks and entrypoint is given.",
    )
    entrypoint: CallablePath | None = Field(
        default=None,
        description="module:attribute of a flowkiln.Flow, from source or from the image, instead of tasks.",
    )
    reference_tasks: tuple[DnsLabel, ...] = Field(
        default=(),
        max_length=256,
        json_schema_extra=LIST_SET,
        description="The tasks that alone decide the run's state. Default: those that nothing depends on.",
    )
    state_handlers: tuple[CallablePath, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra=LIST_ATOMIC,
        description="module:callable of functions that are called on each change of the flow run's state.",
    )
    context: dict[ContextKey, JsonValue] = Field(
        default={}, max_length=64, description="Values that tasks find in flowkiln.context."
    )
    timeout: WholeSeconds | None = Field(
        default=None, description="How long a run may take, in whole seconds. Default: no limit."
    )
    cluster: ClusterSpec = Field(
        default=ClusterSpec(), description="The Dask cluster that each run of the flow gets for itself."
    )

    def parameter(self, name: str) -> ParameterSpec | None:
        """Find a parameter by its name."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
