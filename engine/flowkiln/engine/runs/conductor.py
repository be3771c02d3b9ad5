"""One flow run from start to end, for those that watch it: the agent and the command line."""

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
    """Runs a flow on an executor and tells an observer all that happens.

    `return_tasks` names the tasks whose states the run's result holds; results of all others are given up as soon as
    nobody downstream needs them. One that cannot be fetched has a Failed State there, which does not count for the
    run: how a run ends does not depend on who asks for its results. `until_resumed` keeps a run open whose only
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
        """Block until the flow run is finished and give its State."""
        state = self._runner.carry_out(None, self._request)
        if self._observer is not None:
            self._observer.on_flow_run(record_of_flow(state))
        return state

    def post(self, event: Event) -> None:
        """Hand an event to the run's driver, from any thread."""
        self._runner.post(event)

    def terminate(self) -> None:
        """End the run from another thread, or a signal handler: what has not finished becomes Cancelled.

        Its bodies that run in this process are interrupted; the executor interrupts those elsewhere.
        """
        self.post(TerminateRequested())
        interrupt(self._run_id)
