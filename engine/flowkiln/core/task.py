"""Tasks: the steps of a flow."""

from __future__ import annotations

import copy
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypedDict

from flowkiln import triggers
from flowkiln.common.configuration import config
from flowkiln.common.context import context
from flowkiln.common.exceptions import FlowkilnWarning
from flowkiln.common.logging import get_logger
from flowkiln.core import arguments
from flowkiln.core.active import Building, active_flow
from flowkiln.core.operators import TaskOperators
from flowkiln.core.retries import RetryDelay, RetryOn, check_retries, configured_delay
from flowkiln.core.signature import check_run_signature, described_inputs, described_output, run_signature
from flowkiln.states import signals
from flowkiln.states.cache_validators import duration_only, never_use
from flowkiln.states.state import State


class TaskOptions(TypedDict, total=False):
    """The keywords of a Task without its name, for the signatures of functions that make tasks."""

    slug: str | None
    tags: Iterable[str] | None
    max_retries: int | None
    retry_delay: RetryDelay | None
    timeout: int | None
    trigger: Callable[[set[State]], Any] | None
    skip_on_upstream_skip: bool
    cache_for: timedelta | None
    cache_validator: Callable[..., bool] | None
    checkpoint: bool | None
    result_handler: Any
    state_handlers: Sequence[Callable[..., Any]] | None
    on_failure: Callable[[Any, State], Any] | None
    retry_backoff: float | None
    retry_max_delay: timedelta | None
    retry_jitter: float | None
    retry_on: RetryOn | None


class Task(TaskOperators["Task"]):
    """One step of a flow. Subclasses define `run`; functions become tasks by the decorator `flowkiln.task`.

    Args:
        name: the name for people, by default that of the class; it need not be unique.
        slug: a name that is unique in the flow.
        tags: words for queries; those of the context are added.
        max_retries: how many attempts may follow a failed first attempt; requires `retry_delay`.
        retry_delay: time between attempts: one, a list (the last one repeats), or a function of the number of attempts
            made so far.
        timeout: the whole seconds, 1 or more, that an attempt may take.
        trigger: decides from the set of upstream states whether the task runs; see `flowkiln.triggers`.
        skip_on_upstream_skip: whether the task is skipped when an upstream task was.
        cache_for: how long later runs may use the result.
        cache_validator: `fn(state, inputs, parameters) -> bool`, decides whether a run may use it.
        checkpoint: whether the result is written before success is reported.
        result_handler: stored but not used by the engine.
        state_handlers: callables `fn(task, old_state, new_state) -> State | None`.
        on_failure: a callable `fn(task, state)`, called when the task fails.
        retry_backoff: the factor, 1 or more, between a delay and the previous one.
        retry_max_delay: the maximum delay.
        retry_jitter: the fraction, 0 to 1, by which a delay varies at random up or down.
        retry_on: exception classes, or a predicate of the exception, that decide which failures are retried.

    Raises:
        TypeError, ValueError: an argument is invalid; the message names it.
    """

    takes_skipped_results = True
    """Whether the payload of a skipped upstream task is passed as an argument; if not, the argument is NoResult."""

    is_implicit = False
    """Whether tasks of the class represent values, collections or indexes in a flow's code; displays omit them."""

    description: str | None = None
    """The purpose of the task, for people. Tasks of a Flow document get it from there."""

    if TYPE_CHECKING:
        # Declared without arguments, so subclasses may declare their own.
        run: Callable[..., Any]
    else:

        def run(self):
            """Do the task's work; subclasses override this."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "run" in cls.__dict__:
            is_method = not isinstance(cls.__dict__["run"], staticmethod | classmethod)
            check_run_signature(cls.run, is_method=is_method)

    def __init__(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        timeout: int | None = None,
        trigger: Callable[[set[State]], Any] | None = None,
        skip_on_upstream_skip: bool = True,
        cache_for: timedelta | None = None,
        cache_validator: Callable[..., bool] | None = None,
        checkpoint: bool | None = None,
        result_handler: Any = None,
        state_handlers: Sequence[Callable[..., Any]] | None = None,
        on_failure: Callable[[Any, State], Any] | None = None,
        *,
        retry_backoff: float | None = None,
        retry_max_delay: timedelta | None = None,
        retry_jitter: float | None = None,
        retry_on: RetryOn | None = None,
    ) -> None:
        self._id = str(uuid.uuid4())
        self.name = name or type(self).__name__
        self.slug = slug
        self.logger = get_logger("Task")
        self.tags = arguments.tags(tags) | set(context.get("tags") or ())

        defaults = config.tasks.defaults
        self.max_retries: int = defaults.max_retries if max_retries is None else max_retries
        self.retry_delay: RetryDelay | None = (
            configured_delay(defaults.retry_delay) if retry_delay is None else retry_delay
        )
        self.retry_backoff = retry_backoff
        self.retry_max_delay = retry_max_delay
        self.retry_jitter = retry_jitter
        self.retry_on = retry_on
        check_retries(self)
        self.timeout: int | None = arguments.timeout(defaults.timeout if timeout is None else timeout)

        self.trigger: Callable[[set[State]], Any] = arguments.function("trigger", trigger or triggers.all_successful)
        self.skip_on_upstream_skip = skip_on_upstream_skip
        self.cache_for = arguments.cache_for(cache_for)
        self.cache_validator: Callable[..., bool] = arguments.function(
            "cache_validator", cache_validator or (duration_only if cache_for else never_use)
        )
        if cache_for is None and self.cache_validator is not never_use:
            warnings.warn(
                f"Task will not be cached: {self.name!r} has a cache_validator but no cache_for.",
                FlowkilnWarning,
                stacklevel=2,
            )
        self.checkpoint: bool = defaults.checkpoint if checkpoint is None else checkpoint
        self.result_handler = result_handler
        self.state_handlers = arguments.state_handlers(state_handlers, on_failure)

    @property
    def id(self) -> str:
        """Return a random UUID4 as text."""
        return self._id

    @id.setter
    def id(self, value: str) -> None:
        self._id = arguments.uuid_text(value)

    def __repr__(self) -> str:
        return f"<Task: {self.name}>"

    # ---- copies and calls

    def copy(self, **task_args: Any) -> Self:
        """Return a shallow copy with a new id that is in no flow, with attributes changed by `task_args`.

        The copy has the tags of the original, of `task_args` and of the context.

        Raises:
            AttributeError: `task_args` names something that is not an attribute of the task.
        """
        flow: Building | None = context.get("flow")
        if flow is not None and flow.has_edges(self):
            warnings.warn(
                f"{self} is copied, but its edges in {flow} are not; bind the copy to its own upstream tasks.",
                FlowkilnWarning,
                stacklevel=2,
            )
        new = copy.copy(self)
        for name, value in task_args.items():
            if not hasattr(new, name):
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r} that task_args could set.")
            setattr(new, name, value)
        new._id = str(uuid.uuid4())
        new.tags = self.tags | arguments.tags(task_args.get("tags")) | set(context.get("tags") or ())
        return new

    def __call__(
        self,
        /,
        *args: Any,
        mapped: bool = False,
        task_args: Mapping[str, Any] | None = None,
        upstream_tasks: Iterable[Any] | None = None,
        flow: Building | None = None,
        **kwargs: Any,
    ) -> Self:
        """Bind a copy of this task to its arguments, and return the copy."""
        new = self.copy(**(task_args or {}))
        return new.bind(*args, mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **kwargs)

    def map(
        self,
        /,
        *args: Any,
        upstream_tasks: Iterable[Any] | None = None,
        flow: Building | None = None,
        task_args: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Bind a copy that runs once per element of its arguments (except `unmapped` ones), and return the copy."""
        new = self.copy(**(task_args or {}))
        return new.bind(*args, mapped=True, upstream_tasks=upstream_tasks, flow=flow, **kwargs)

    # ---- edges

    def bind(
        self,
        /,
        *args: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        flow: Building | None = None,
        **kwargs: Any,
    ) -> Self:
        """Add this task to the flow, with an edge for each argument and each of `upstream_tasks`.

        Raises:
            TypeError: the arguments do not match the signature of `run`.
            ValueError: there is no flow, or an edge is invalid (see `Flow.add_edge`).
        """
        try:
            keyword_tasks = run_signature(self.run).bind(args, kwargs)
        except TypeError as error:
            raise TypeError(f"The arguments do not fit the run of {self}: {error}.") from None
        flow = active_flow(flow, f"Could not infer an active Flow context for {self}; use `with Flow(...)` or `flow=`.")
        self.tags |= set(context.get("tags") or ())
        self.set_dependencies(flow, upstream_tasks=upstream_tasks, keyword_tasks=keyword_tasks, mapped=mapped)
        return self

    def set_dependencies(
        self,
        flow: Building | None = None,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Any] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
        validate: bool = True,
    ) -> None:
        """Add edges of this task to the flow; see `Flow.set_dependencies`.

        Raises:
            ValueError: there is no flow.
        """
        active_flow(
            flow, f"No Flow was passed to {self}, and none is active; use `with Flow(...)` or `flow=`."
        ).set_dependencies(
            self,
            upstream_tasks=upstream_tasks,
            downstream_tasks=downstream_tasks,
            keyword_tasks=keyword_tasks,
            mapped=mapped,
            validate=validate,
        )

    def set_upstream(self, task: Any, flow: Building | None = None) -> None:
        """Make this task depend on another."""
        self.set_dependencies(flow, upstream_tasks=[task])

    def set_downstream(self, task: Any, flow: Building | None = None) -> None:
        """Make another task depend on this one."""
        self.set_dependencies(flow, downstream_tasks=[task])

    # ---- inputs and outputs of `run`

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Describe the arguments of `run`: `{name: {"type": ..., "required": ..., "default": ...}}`."""
        return described_inputs(self.run)

    def outputs(self) -> Any:
        """Return the type that `run` is annotated to return, else `typing.Any`."""
        return described_output(self.run)


class Parameter(Task):
    """A value that each flow run sets.

    Args:
        name: its name among the parameters, and its slug; cannot be changed later.
        default: the value if a run sets none; any default except None makes the parameter optional.
        required: whether a run must set a value.
        tags: words for queries.

    Raises:
        TypeError, ValueError: the name is not a str, or empty.
    """

    def __init__(
        self, name: str, default: Any = None, required: bool = True, tags: Iterable[str] | None = None
    ) -> None:
        arguments.parameter_name(name)
        self.default = default
        self.required = required if default is None else False
        super().__init__(name=name, slug=name, tags=tags, checkpoint=True)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"name", "slug"} and name in self.__dict__:
            raise AttributeError(f"The {name} of {self} cannot be changed; make another Parameter.")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<Parameter: {self.name}>"

    def run(self) -> Any:
        """Return the run's value of this parameter, else its default.

        Raises:
            signals.FAIL: the parameter is required, and the run has no value for it.
        """
        given = context.get("parameters") or {}
        if self.name in given:
            return given[self.name]
        if self.required:
            raise signals.FAIL(f"Parameter {self.name!r} was required but not provided.")
        return self.default
