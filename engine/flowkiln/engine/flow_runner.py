"""Run a flow: one pass by `FlowRunner.run`, or as a `RunRequest` specifies by `carry_out`."""

from __future__ import annotations

import copy
import datetime as dt
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowkiln.common.configuration import configured
from flowkiln.common.context import BUILDING_KEYS
from flowkiln.common.context import context as run_context
from flowkiln.common.safe_text import safe_repr
from flowkiln.engine.bodies.interrupts import marked_interrupts
from flowkiln.engine.driver import Event
from flowkiln.engine.mapping import parts
from flowkiln.engine.prepare import Prepared, make_environment, own_timeout_handler, prepare
from flowkiln.engine.run_loop import LoopOptions, RunLoop
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
from flowkiln.states.records import Observer, record_of_flow
from flowkiln.states.signals import PAUSE
from flowkiln.states.state import Cancelled, Failed, Running, Scheduled, State, Success, utc_now

if TYPE_CHECKING:
    from flowkiln.core.flow import Flow
    from flowkiln.core.task import Task
    from flowkiln.engine.executors.base import Executor
    from flowkiln.engine.task_runner import TaskRunner

TASK_RUN_KEYS = frozenset(
    {
        "map_index",
        "resume",
        "run_id",
        "task_full_name",
        "task_id",
        "task_local_id",
        "task_loop_count",
        "task_loop_result",
        "task_name",
        "task_run_count",
        "task_slug",
    }
)
"""Context keys with the facts of the body's task run."""

__all__ = ["ENDRUN", "FlowRunner", "FlowRunnerInitializeResult", "call_state_handlers"]


@dataclass(frozen=True, slots=True)
class FlowRunnerInitializeResult:
    """The initial values of a flow run."""

    state: State
    task_states: Mapping[Task, State]
    context: Mapping[str, Any]
    task_contexts: Mapping[Task, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The request of the caller."""

    task_states: Mapping[Task, State]
    return_tasks: Collection[Task]
    parameters: Mapping[str, Any] | None
    task_runner_state_handlers: Sequence[StateHandler] | None
    executor: Executor
    context: Mapping[str, Any]
    task_contexts: Mapping[Task, Mapping[str, Any]]
    start_tasks: Collection[Task] | None
    options: LoopOptions
    settled: Collection[Task] = ()
    observer: Observer | None = None
    run_id: str = ""


class FlowRunner(Runner):
    """Runs a flow. Handlers get `(flow, old, new)` from the flow and `(runner, old, new)` from the runner."""

    def __init__(
        self,
        flow: Flow,
        task_runner_cls: type[TaskRunner] | None = None,
        state_handlers: Sequence[StateHandler] | None = None,
    ) -> None:
        super().__init__(state_handlers)
        self.flow = flow
        self.task_runner_cls: type[TaskRunner] = task_runner_cls or configured(
            "engine.task_runner.default_class", "flowkiln.engine.task_runner.TaskRunner"
        )
        self.settled_tasks: Collection[Task] = ()
        """Tasks whose given states this same run reached in an earlier pass: their Cached states are final."""
        self.observer: Observer | None = None
        """Gets the records of a pass."""
        self._loop: RunLoop | None = None
        self._posted: deque[Event] = deque()
        self._stopped_by: State | None = None

    def described(self) -> str:
        """Return the flow's name, for messages."""
        return f"flow {self.flow.name!r}"

    def call_runner_target_handlers(self, old_state: State, new_state: State) -> State:
        """Call the flow's own state handlers."""
        for handler in self.flow.state_handlers:
            new_state = handler(self.flow, old_state, new_state) or new_state
        return new_state

    def handle_state_change(self, old_state: State, new_state: State) -> State:
        """Call all handlers. PAUSE means nothing for a flow as a whole: it fails the run."""
        try:
            return super().handle_state_change(old_state, new_state)
        except PAUSE as signal:
            if raising():
                raise
            raise ENDRUN(Failed("A state handler of a flow cannot pause it.", result=signal)) from signal

    def run(
        self,
        state: State | None = None,
        task_states: Mapping[Task, State] | None = None,
        return_tasks: Iterable[Task] | None = None,
        parameters: Mapping[str, Any] | None = None,
        task_runner_state_handlers: Sequence[StateHandler] | None = None,
        executor: Executor | None = None,
        context: Mapping[str, Any] | None = None,
        task_contexts: Mapping[Task, Mapping[str, Any]] | None = None,
        *,
        start_tasks: Iterable[Task] | None = None,
    ) -> State:
        """Make one pass: visit each task at most once, and return the flow's state.

        Its result is `{task: State}` for `return_tasks`. Errors of the run itself, also of the executor, make it
        Failed with the exception as result. A finished state is returned unchanged.
        """
        request = RunRequest(
            dict(task_states or {}),
            tuple(return_tasks or ()),
            parameters,
            task_runner_state_handlers,
            default_executor() if executor is None else executor,
            dict(context or {}),
            dict(task_contexts or {}),
            None if start_tasks is None else tuple(start_tasks),
            LoopOptions(repeats=False),
            settled=self.settled_tasks,
            observer=self.observer,
        )
        return self.carry_out(state, request)

    def carry_out(self, state: State | None, request: RunRequest) -> State:
        """Run as requested, from `state`. In the main thread a Ctrl-C ends it and goes to the caller."""
        with marked_interrupts(), run_context():
            # A run inside a `with Flow` block is not part of the building of that flow; and one inside the body of a
            # task is not resumed, in a loop or a mapped child because that one is.
            inherited = BUILDING_KEYS | (TASK_RUN_KEYS if "task_full_name" in run_context else frozenset())
            for key in inherited & run_context.keys():
                del run_context[key]
            run_context.update(request.context)
            try:
                before = unwrap(state)
                self._fill_context(request)
                return self._pass_checks(before, request)
            except BaseException as error:
                if is_for_caller(error):
                    raise
                self.logger.exception("Unexpected error while running %s", self.described())
                reason = f"Unexpected error while running {self.described()}: {safe_repr(error)}"
                failed = Failed(reason, result=error)
                return state_of(self.take(lambda _running: failed, Running("Running flow.")))

    def post(self, event: Event) -> None:
        """Hand an event to the driver of the run, from any thread or signal handler.

        An event during the preparation of the run waits for the driver.
        """
        self._posted.append(event)
        self._pass_on_events()

    def _pass_on_events(self) -> None:
        # No lock: a signal handler may interrupt the thread that holds it.
        while self._posted and (loop := self._loop) is not None:
            with suppress(IndexError):
                loop.post(self._posted.popleft())

    def _pass_checks(self, state: State, request: RunRequest) -> State:
        checks = (self._check_pending_or_running, self._check_start_time, self._set_running, self._run_tasks)
        return state_of(self.take_all(checks, state, request))

    def _fill_context(self, request: RunRequest) -> None:
        now = utc_now()
        run_context.setdefault("scheduled_start_time", now)
        given = run_context.setdefault("date", now)
        date = given if isinstance(given, dt.date) else now
        for name, days in (("yesterday", -1), ("today", 0), ("tomorrow", 1)):
            day = date + dt.timedelta(days=days)
            run_context.setdefault(name, day.strftime("%Y-%m-%d"))
            run_context.setdefault(f"{name}_nodash", day.strftime("%Y%m%d"))
        run_context.update(flow_name=self.flow.name)
        if request.parameters:
            run_context.update(parameters={**(run_context.get("parameters") or {}), **request.parameters})

    def _check_pending_or_running(self, state: State, request: RunRequest) -> State | End:
        return state if state.is_pending() or state.is_running() else End(state)

    def _check_start_time(self, state: State, request: RunRequest) -> State | End:
        if isinstance(state, Scheduled) and state.start_time > utc_now():
            return End(state)
        return state

    def _set_running(self, state: State, request: RunRequest) -> State | End:
        if state.is_pending():
            return Running("Running flow.")
        return state if state.is_running() else End(state)

    def _run_tasks(self, state: State, request: RunRequest) -> State | End:
        if not state.is_running():
            return End(state)
        self._notify(request, state)
        flow_tasks = self.flow.tasks
        for argument, tasks in (("return_tasks", request.return_tasks), ("start_tasks", request.start_tasks or ())):
            for task in tasks:
                if task not in flow_tasks:
                    raise ValueError(f"{argument}: {task!r} is not part of {self.described()}.")
        prepared = prepare(self.flow, request.start_tasks)
        loop = RunLoop(
            prepared.graph,
            make_environment(
                prepared,
                request.run_id or uuid.uuid4().hex,
                run_context.snapshot(),
                self._task_contexts(request.task_contexts),
                self.task_runner_cls,
                request.task_runner_state_handlers,
                self.flow.result_handler,
                own_timeout_handler(request.executor),
            ),
            request.executor,
            given={prepared.numbers[t]: s for t, s in request.task_states.items() if t in prepared.numbers},
            settled={prepared.numbers[t] for t in request.settled if t in prepared.numbers},
            options=request.options,
            observer=request.observer,
            on_waiting=lambda: self._wait(state),
        )
        self._loop, self._stopped_by = loop, None
        self._pass_on_events()
        try:
            with request.executor.start():
                found = loop.run([prepared.numbers[task] for task in self._tasks_to_fetch(request)])
        finally:
            self._loop = None
        return self._conclude(prepared, loop.states(), found, request)

    def _wait(self, running: State) -> bool:
        """Call the handlers because the flow is waiting; return False if they settle on another state."""
        settled = state_of(self.take(lambda _running: Running("Flow run in progress."), running))
        self._stopped_by = None if settled.is_running() else settled
        return self._stopped_by is None

    def _tasks_to_fetch(self, request: RunRequest) -> list[Task]:
        tasks = dict.fromkeys(request.return_tasks)
        if type(self).determine_final_state is not FlowRunner.determine_final_state:
            # A decision of the user's may look at results; ours does not.
            tasks.update(dict.fromkeys([*self.flow.reference_tasks(), *self.flow.terminal_tasks()]))
        return list(tasks)

    def _conclude(
        self, prepared: Prepared, states: list[State], found: Mapping[int, State], request: RunRequest
    ) -> State:
        visited = [node.visited for node in prepared.graph.nodes]
        if request.options.results_decide:
            states = [found.get(number, state) for number, state in enumerate(states)]
        return_states = {task: found[prepared.numbers[task]] for task in request.return_tasks}
        if self._stopped_by is not None:
            stopped = copy.copy(self._stopped_by)
            stopped.result = return_states
            return stopped

        def of(tasks: Iterable[Task]) -> list[State]:
            numbers = (prepared.numbers[task] for task in tasks)
            return parts.expanded([states[number] for number in numbers if visited[number]])

        return self.determine_final_state(
            key_states=set(of(self.flow.reference_tasks())),
            return_states=return_states,
            terminal_states=set(of(self.flow.terminal_tasks())),
        )

    def determine_final_state(
        self, key_states: set[State], return_states: dict[Task, State], terminal_states: set[State]
    ) -> State:
        """Decide the flow's state from those of its reference tasks and terminal tasks."""
        if not all(state.is_finished() for state in terminal_states):
            return Running("Flow run in progress.", result=return_states)
        if any(state.is_failed() for state in key_states):
            return Failed("Some reference tasks failed.", result=return_states)
        if any(isinstance(state, Cancelled) for state in key_states):
            return Cancelled("Some reference tasks were cancelled.", result=return_states)
        if all(state.is_successful() for state in key_states):
            return Success("All reference tasks succeeded.", result=return_states)
        return Success("No reference tasks failed.", result=return_states)

    def _task_contexts(self, given: Mapping[Task, Mapping[str, Any]]) -> dict[Task, Mapping[str, Any]]:
        return {
            task: {**given.get(task, {}), "task_id": task.id, "task_name": task.name, "task_slug": task.slug}
            for task in self.flow.tasks
        }

    def _notify(self, request: RunRequest, state: State) -> None:
        if request.observer is not None:
            request.observer.on_flow_run(record_of_flow(state))


def default_executor() -> Executor:
    """Make the executor that the configuration names; a LocalExecutor by default."""
    made: Executor = configured("engine.executor.default_class", "flowkiln.engine.executors.local.LocalExecutor")()
    return made
