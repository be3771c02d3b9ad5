"""One observed flow run from start to end, for the agent and the command line."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowkiln.engine.bodies.registry import interrupt
from flowkiln.engine.driver import Event, TerminateRequested
from flowkiln.engine.flow_runner import FlowRunner, RunRequest
from flowkiln.engine.run_loop import LoopOptions
from flowkiln.states.records import Observer, record_of_flow
from flowkiln.states.state import State

if TYPE_CHECKING:
    from flowkiln.core.flow import Flow
    from flowkiln.core.task import Task
    from flowkiln.engine.executors.base import Executor


class Conductor:
    """Runs a flow on an executor and sends all records to an observer.

    `return_tasks` names the tasks whose states the run's result holds; other results are released as soon as no
    downstream task needs them. A result that cannot be fetched is a Failed State there, which does not affect the run:
    the outcome of a run does not depend on the requested results. `until_resumed` keeps a run open whose only
    unfinished tasks are Paused.
    """

    def __init__(
        self,
        flow: Flow,
        executor: Executor,
        *,
        parameters: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        observer: Observer | None = None,
        run_id: str | None = None,
        return_tasks: tuple[Task, ...] = (),
        until_resumed: bool = False,
    ) -> None:
        self._run_id = run_id or uuid.uuid4().hex
        self._observer = observer
        self._runner = FlowRunner(flow)
        self._request = RunRequest(
            task_states={},
            return_tasks=return_tasks,
            parameters=dict(parameters or {}),
            task_runner_state_handlers=None,
            executor=executor,
            context=dict(context or {}),
            task_contexts={},
            start_tasks=None,
            options=LoopOptions(until_resumed=until_resumed, results_decide=False),
            observer=observer,
            run_id=self._run_id,
        )

    def run(self) -> State:
        """Block until the flow run is finished and return its State."""
        state = self._runner.carry_out(None, self._request)
        if self._observer is not None:
            self._observer.on_flow_run(record_of_flow(state))
        return state

    def post(self, event: Event) -> None:
        """Hand an event to the run's driver, from any thread."""
        self._runner.post(event)

    def terminate(self) -> None:
        """Terminate the run from any thread or signal handler: unfinished task runs become Cancelled.

        Its bodies that run in this process are interrupted; the executor interrupts those elsewhere.
        """
        self.post(TerminateRequested())
        interrupt(self._run_id)
