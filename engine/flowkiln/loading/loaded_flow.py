"""A flow that is ready to run, with the parameters of its run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from flowkiln.common.exceptions import InvalidSpecError
from flowkiln.common.json_text import DuplicateKeyError
from flowkiln.core.flow import Flow
from flowkiln.loading.parameter_values import parameter_label, parse_parameter_value

if TYPE_CHECKING:
    from flowkiln.api.validation import Problem


@dataclass(frozen=True)
class LoadedFlow:
    """A flow and the parameters of its run. Its modules are importable, here and in new processes, until `close`.

    `parameters` are complete, defaults included. `timeout` is None for no limit.
    """

    flow: Flow
    name: str
    parameters: dict[str, Any]
    context: dict[str, Any]
    timeout: timedelta | None = None
    _held: ExitStack = field(default_factory=ExitStack, repr=False)

    def close(self) -> None:
        """Make the flow's modules unimportable again and delete their temporary files."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def parameters_of(flow: Flow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Compare parameters with the Parameter tasks of a flow, and fill in defaults.

    `RawValue` values are JSON if they parse as JSON, else text: a Parameter task has no schema. Raise InvalidSpecError
    for unknown, missing or unreadable parameters.
    """
    declared = {parameter.name: parameter for parameter in flow.parameters()}
    values: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    for name, value in given.items():
        try:
            values[name] = parse_parameter_value(value, {})
        except DuplicateKeyError as error:
            unreadable[parameter_label(name, value)] = str(error)
    unknown = {name: parameter_label(name, value) for name, value in given.items() if name not in declared}
    missing = [name for name, parameter in declared.items() if parameter.required and name not in given]
    if unknown or missing or unreadable:
        problems = _problems(unknown, missing, unreadable, declared)
        raise InvalidSpecError("\n".join(f"flow {flow.name!r}: {problem}" for problem in problems))
    defaults = {name: parameter.default for name, parameter in declared.items() if not parameter.required}
    return {**defaults, **values}


def _problems(
    unknown: Mapping[str, str], missing: Iterable[str], unreadable: Mapping[str, str], declared: Iterable[str]
) -> Iterator[Problem]:
    # Validation imports pydantic, which a Python file does not need otherwise.
    from flowkiln.api.validation.problem import Problem, no_such

    for name, as_given in unknown.items():
        yield Problem(as_given, no_such("parameter", name, declared))
    for as_given, reason in unreadable.items():
        yield Problem(as_given, reason)
    for name in missing:
        yield Problem(f"parameters.{name}", "is required, and the run gives no value")
