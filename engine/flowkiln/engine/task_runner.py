"""Run one task once: a pipeline of named checks, each of which continues or ends with a state."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from flowkiln.common.context import context as run_context
from flowkiln.common.exceptions import SerializationError
from flowkiln.common.safe_text import safe_repr
from flowkiln.core.retries import retry_delay
from flowkiln.engine.bodies.interrupts import marked_interrupts
from flowkiln.engine.bodies.registry import BodyInterrupted, call_body, is_over
from flowkiln.engine.bodies.timeouts import DeadlineExceeded, call_in_time, call_with_deadline
from flowkiln.engine.bodies.unstarted import unstarted
from flowkiln.engine.mapping import parts
from flowkiln.engine.mapping.elements import NoElements
from flowkiln.engine.runner import (
    ENDRUN,
    End,
    Runner,
    StateHandler,
    call_state_handlers,
    is_for_caller,
    raising,
    state_of,
    unwrap,
)
from flowkiln.states import cache_validators
from flowkiln.states.cache_record import CacheRecord
from flowkiln.states.result import NoResult, Result, not_arrived
from flowkiln.states.signals import StateSignal
from flowkiln.states.state import (
    Cached,
    Cancelled,
    Failed,
    Finished,
    Looped,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
    message_text,
    utc_now,
)
from flowkiln.triggers import is_decided_by_kinds, manual_only

if TYPE_CHECKING:
    from flowkiln.core.edge import Edge
    from flowkiln.core.task import Task
    from flowkiln.engine.bodies.threads import ThreadSlot
    from flowkiln.engine.mapping.children import Submits

__all__ = ["ENDRUN", "TaskRunner", "TaskRunnerInitializeResult", "call_state_handlers"]


@dataclass(frozen=True, slots=True)
class TaskRunnerInitializeResult:
    """The state and context that a task run starts with."""

    state: State
    context: Mapping[str, Any]


@dataclass(slots=True)
class _Visit:
    """The data of one call of `TaskRunner.run`."""

    upstream_states: Mapping[Edge, State]
    executor: Submits | None
    inputs: dict[str, Result] | None = None
    cache_record: CacheRecord | None = None


class TaskRunner(Runner):
    """Runs one task once.

    Handlers get `(task, old, new)` from the task and `(runner, old, new)` from the runner.
    """

    is_start_task = False
    """Whether the checks of upstream tasks and trigger are skipped, as for tasks in `start_tasks`."""

    in_flow_run = False
    """Whether a FlowRunner looks after Ctrl-C: to do so for each task run would take longer."""

    on_stuck: Callable[[State], None] | None = None
    """Told the state of a run whose body cannot be stopped in time, to end the process; without it, such a body is left
    behind in its thread."""

    slot: Callable[[], ThreadSlot] | None = None
    """Makes what belongs to the current thread, for a thread that runs the body for it."""

    on_state: Callable[[State], None] | None = None
    """Called with each state that the handlers settled on; for records, not for decisions."""

    timeout_handler: Callable[..., Any] | None = None
    """An executor's own way to call a body with a deadline: `fn(run, timeout=seconds, **inputs)`."""

    def __init__(
        self, task: Task, state_handlers: Sequence[StateHandler] | None = None, result_handler: Any = None
    ) -> None:
        super().__init__(state_handlers)
        self.task = task
        self.result_handler = getattr(task, "result_handler", None) or result_handler

    def described(self) -> str:
        """Return the task's name, for messages."""
        return f"task {self.task.name!r}"

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the task's own state handlers."""
        for handler in self.task.state_handlers:
            new_state = handler(self.task, old_state, new_state) or new_state
        return new_state

    def handle_state_change(self, old_state: State, new_state: State) -> State:
        """Call all handlers and tell `on_state` what they settled on."""
        new_state = super().handle_state_change(old_state, new_state)
        if self.on_state is not None:
            self.on_state(new_state)
        return new_state

    def run(
        self,
        state: State | None = None,
        upstream_states: Mapping[Edge, State] | None = None,
        context: Mapping[str, Any] | None = None,
        executor: Submits | None = None,
    ) -> State:
        """Run the task from `state` as far as possible now, and return the final state.

        A task that is Running or finished (Mapped and Cached aside) comes back as the identical object.
        """
        if self.in_flow_run:
            return self._visit(state, context or {}, _Visit(upstream_states or {}, executor))
        with marked_interrupts():
            return self._visit(state, context or {}, _Visit(upstream_states or {}, executor))

    def _visit(self, state: State | None, context: Mapping[str, Any], visit: _Visit) -> State:
        with run_context(context):
            try:
                before = unwrap(state)
                self._fill_context(before)
                after = self._pass_checks(before, visit)
            except StateSignal as signal:
                if raising():
                    raise
                after = signal.state
            except BaseException as error:
                if is_for_caller(error):
                    raise
                self.logger.exception("Unexpected error while running %s", self.described())
                reason = f"Unexpected error while running {self.described()}: {safe_repr(error)}"
                after = Failed(reason, result=error)
            return self._carry_on(after, visit)

    def refuse(self, failure: State, state: State | None, context: Mapping[str, Any]) -> State:
        """End a run that cannot start with `failure`, unless a handler replaces it."""
        with run_context(context):
            before = unwrap(state)
            self._fill_context(before)
            return state_of(self.take(lambda _before: End(failure), before))

    def _pass_checks(self, state: State, visit: _Visit) -> State:
        checks = (
            self._check_task_is_ready,
            self._check_start_time,
            self._check_upstream_finished,
            self._run_mapped_task,
            self._check_upstream_skipped,
            self._take_inputs,
            self._check_cached,
            self._check_trigger,
        )
        running = (self._set_running, self._run_body, self._cache_result, self._check_retry)

        outcome = self.take_all(checks, state, visit)
        while isinstance(outcome, State):
            outcome = self.take_all(running, outcome, visit)
            if not isinstance(outcome, Looped):
                break
            run_context.update(
                task_loop_count=outcome.loop_count + 1, task_loop_result=outcome.result, task_run_count=1
            )
            outcome = Pending("Next iteration of the loop.", cached_inputs=visit.inputs)
        return state_of(outcome)

    def _fill_context(self, state: State) -> None:
        """Put the facts of the task run into the context, for the body."""
        map_index = run_context.get("map_index")
        name = self.task.name
        values: dict[str, Any] = {
            "map_index": map_index,
            "task_name": name,
            "task_full_name": name if map_index is None else f"{name}[{map_index}]",
            "task_run_count": state.run_count + 1 if isinstance(state, Retrying) else 1,
        }
        if isinstance(state, Resume):
            values["resume"] = True
        loop = getattr(state, "_loop", None)
        if loop is not None:
            values["task_loop_count"], values["task_loop_result"] = loop
        run_context.update(values)

    def _carry_on(self, after: State, visit: _Visit) -> State:
        """Return a state that waits what its next visit needs: the inputs, and the place in a loop."""
        if not isinstance(after, Pending) or visit.inputs is None:
            return after
        # A copy: the state may be a handler's or the caller's own object.
        carrying = copy.copy(after)
        carrying.cached_inputs = visit.inputs
        if "task_loop_result" in run_context:
            carrying._loop = (run_context["task_loop_count"], run_context["task_loop_result"])  # type: ignore[attr-defined]
        return carrying

    def _check_task_is_ready(self, state: State, visit: _Visit) -> State | End:
        if isinstance(state, Pending):
            return End(state) if isinstance(state, Paused) else state
        return state if isinstance(state, Mapped | Cached) else End(state)

    def _check_start_time(self, state: State, visit: _Visit) -> State | End:
        if isinstance(state, Scheduled) and state.start_time > utc_now():
            return End(state)
        return state

    def _check_upstream_finished(self, state: State, visit: _Visit) -> State | End:
        if self.is_start_task:
            return state
        for edge, upstream in visit.upstream_states.items():
            if isinstance(upstream, Mapped) and not (_is_mapped(edge) and self._is_mapped_parent(visit)):
                is_finished = parts.are_children_finished(upstream)
            else:
                is_finished = isinstance(upstream, Finished)
            if not is_finished:
                return End(state)
        return state

    def _is_mapped_parent(self, visit: _Visit) -> bool:
        return run_context["map_index"] is None and any(map(_is_mapped, visit.upstream_states))

    def _run_mapped_task(self, state: State, visit: _Visit) -> State | End:
        """Run the children of a mapped parent, or say why there is nothing to map."""
        if not (self._is_mapped_parent(visit) or isinstance(state, Mapped)):
            return state
        # In a flow run the driver expands maps.
        from flowkiln.engine.mapping.children import children_of, run_children

        children = children_of(state, visit.upstream_states)
        if isinstance(children, list):
            return End(run_children(self, children, visit.executor))
        if not (self.is_start_task or _all_finished(parts.expanded(list(visit.upstream_states.values())))):
            return End(state)
        refusal = self._check_upstream_skipped(state, visit)
        if not isinstance(refusal, End):
            refusal = self._check_trigger(state, visit)
        return refusal if isinstance(refusal, End) else End(Failed(children))

    def _check_upstream_skipped(self, state: State, visit: _Visit) -> State | End:
        if self.is_start_task or not self.task.skip_on_upstream_skip:
            return state
        if parts.is_any_skipped(visit.upstream_states.values()):
            return End(
                Skipped(
                    "An upstream task was skipped; to run nevertheless, set `skip_on_upstream_skip=False` on this task."
                )
            )
        return state

    def _take_inputs(self, state: State, visit: _Visit) -> State | End:
        try:
            visit.inputs = self._gather_inputs(state, visit)
        except SerializationError as error:
            if is_for_caller(error):
                raise
            return End(Failed(str(error), result=error))
        except BaseException as error:
            if is_for_caller(error):
                raise
            self.logger.exception("The inputs of %s could not be taken", self.described())
            reason = f"The inputs of {self.described()} could not be taken: {safe_repr(error)}"
            return End(Failed(reason, result=error))
        return state

    def _gather_inputs(self, state: State, visit: _Visit) -> dict[str, Result]:
        inputs: dict[str, Result] = {}
        for edge, upstream in visit.upstream_states.items():
            key = getattr(edge, "key", None)
            if key is None or (self.is_start_task and not upstream.is_finished() and upstream._result == NoResult):
                # A start task does not wait for what is upstream: where there is nothing it has its own default.
                continue
            if upstream.is_skipped() and not self.task.takes_skipped_results:
                inputs[key] = NoResult
                continue
            try:
                if getattr(edge, "flattened", False) and not _is_mapped(edge):
                    inputs[key] = _flattened(key, upstream)
                else:
                    inputs[key] = parts.reduced(upstream)._result.to_result()
            except SerializationError as error:
                raise not_arrived(edge.upstream_task, error) from error
        if isinstance(state, Pending) and state.cached_inputs:
            for key, cached in state.cached_inputs.items():
                if key not in inputs or inputs[key] == NoResult:
                    inputs[key] = cached.to_result()
        return inputs

    def _check_cached(self, state: State, visit: _Visit) -> State | End:
        if not isinstance(state, Cached):
            return state
        if self.task.cache_validator(state, visit.inputs, run_context.get("parameters")):
            return state
        return Pending("The cache is invalid: the task runs.")

    def _check_trigger(self, state: State, visit: _Visit) -> State | End:
        if self.is_start_task or (not visit.upstream_states and self.task.trigger is not manual_only):
            return state
        try:
            asked = parts.kinds if is_decided_by_kinds(self.task.trigger) else parts.expanded
            passed = bool(self.task.trigger(set(asked(visit.upstream_states.values()))))
        except StateSignal as signal:
            if raising():
                raise
            return End(signal.state)
        except ENDRUN:
            raise
        except BaseException as error:
            if is_for_caller(error):
                raise
            reason = f"Unexpected error while checking the trigger: {safe_repr(error)}"
            return End(TriggerFailed(reason, result=error))
        return state if passed else End(TriggerFailed("Trigger failed"))

    def _set_running(self, state: State, visit: _Visit) -> State | End:
        return Running("Starting task run.") if state.is_pending() else End(state)

    def _run_body(self, state: State, visit: _Visit) -> State | End:
        if not state.is_running():
            return End(state)
        inputs = visit.inputs or {}
        if self.task.cache_for:
            self._record_for_cache(visit)
        try:
            values = {key: given.value for key, given in inputs.items()}
            value = self._call(values, visit)
        except BodyInterrupted:
            # A run that a body had started does not end by itself when that body is told to end.
            if raising() or not is_over(run_context.get("run_id")):
                raise
            return Cancelled("The run ended while the task ran.")
        except TimeoutError as error:
            if is_for_caller(error) or not self._is_deadline(error, visit):
                raise
            return TimedOut(f"The task timed out: {error}", result=error, cached_inputs=inputs)
        except SystemExit as error:
            # `sys.exit()` of a script ends the body, not the worker.
            if is_for_caller(error):
                raise
            return Failed(f"The task called sys.exit({safe_repr(error.code)}).", result=error)
        missing = unstarted(self.task.run, value)
        if missing is not None:
            raise TypeError(missing)
        return Success("Task run succeeded.", Result(value, self.result_handler))

    def _call(self, values: dict[str, Any], visit: _Visit) -> Any:
        handler = self._handler(visit)
        if handler is not call_in_time:
            return handler(partial(call_body, self.task.run), timeout=self.task.timeout, **values)
        if self.task.timeout is None:
            return call_body(self.task.run, **values)
        tell = self.on_stuck
        return call_with_deadline(
            partial(call_body, self.task.run),
            self.task.timeout,
            values,
            name=run_context["task_full_name"],
            on_stuck=None if tell is None else lambda: tell(self._settle_stuck(visit)),
            slot=self.slot,
        )

    def _handler(self, visit: _Visit) -> Callable[..., Any]:
        own: Callable[..., Any] = getattr(visit.executor, "timeout_handler", call_in_time)
        return self.timeout_handler or own

    def _is_deadline(self, error: TimeoutError, visit: _Visit) -> bool:
        """Return whether the task's time is over. A handler of the user's says so by any TimeoutError."""
        if isinstance(error, DeadlineExceeded):
            return True
        return self.task.timeout is not None and self._handler(visit) is not call_in_time

    def _settle_stuck(self, visit: _Visit) -> State:
        """Settle a body that cannot be stopped, as if it had been: it will be ended with its process."""
        error = DeadlineExceeded(f"took longer than {self.task.timeout} s and could not be stopped")
        timed_out = TimedOut(f"The task timed out: {error}", result=error, cached_inputs=visit.inputs)
        steps = (lambda _running, _visit: timed_out, self._check_retry)
        return state_of(self.take_all(steps, Running("Starting task run."), visit))

    def _cache_result(self, state: State, visit: _Visit) -> State | End:
        if not self.task.cache_for or not state.is_successful() or state.is_skipped() or state.is_cached():
            return state
        cached = Cached(
            state.message,
            state._result,
            cached_inputs=visit.inputs,
            cached_parameters=run_context.get("parameters"),
            cached_result_expiration=utc_now() + self.task.cache_for,
        )
        if visit.cache_record is not None:
            cached._record = visit.cache_record
        return cached

    def _record_for_cache(self, visit: _Visit) -> None:
        """Record what the cache validator will compare, and log once what it cannot compare."""
        record = cache_validators.record(self.task.cache_validator, visit.inputs or {}, run_context.get("parameters"))
        visit.cache_record = record
        incomparable = record.without_digest()
        mark = object()
        # Asked and marked in one step: children run at the same time.
        if incomparable and _told_never_cached.setdefault(self.task.id, mark) is mark:
            names = ", ".join(f"{name!r} ({reason})" for name, reason in incomparable.items())
            self.logger.warning("The result of %s is never used again: it cannot compare %s", self.described(), names)

    def _check_retry(self, state: State, visit: _Visit) -> State | End:
        if not state.is_failed():
            return state
        run_count = run_context.get("task_run_count", 1)
        if run_count > self.task.max_retries or not _retried(self.task, state):
            return state
        delay = retry_delay(self.task, run_count, random.random)
        text = message_text(state)
        return Retrying(
            f"Attempt {run_count} of {self.task.max_retries + 1} failed" + (f" ({text})." if text else "."),
            start_time=utc_now() + delay,
            cached_inputs=visit.inputs,
            run_count=run_count,
        )


_told_never_cached: dict[str, object] = {}
"""Ids of the tasks of which this process said that their results are never used again: once, however many children."""


def _flattened(key: str, upstream: State) -> Result:
    try:
        return parts.flattened(upstream).to_result()
    except NoElements as error:
        raise TypeError(f"argument {key!r} {error}") from None


def _all_finished(states: Sequence[State]) -> bool:
    return all(isinstance(state, Finished) for state in states)


def _is_mapped(edge: Any) -> bool:
    return bool(getattr(edge, "mapped", False))


def _retried(task: Task, failure: State) -> bool:
    """Return whether this kind of failure is retried (`retry_on`)."""
    retry_on = task.retry_on
    if retry_on is None:
        return True
    cause = failure.result
    if isinstance(retry_on, type):
        return isinstance(cause, retry_on)
    if callable(retry_on):
        return bool(retry_on(cause))
    return isinstance(cause, tuple(retry_on))
