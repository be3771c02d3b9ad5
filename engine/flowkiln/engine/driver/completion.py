"""Handle the outcomes of a finished unit."""

from __future__ import annotations

from flowkiln.engine.driver.events import Outcome, UnitEnded
from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.scheduling import Scheduler
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.states.state import Paused, Pending, Scheduled


class Completion:
    """Handle the outcomes of task runs."""

    def __init__(self, state: RunState, scheduler: Scheduler) -> None:
        self._state, self._scheduler = state, scheduler

    def unit_ended(self, ended: UnitEnded) -> None:
        """Handle the end of a unit. Members that it did not reach are requeued."""
        unit = self._state.in_flight.take(ended.key)
        if unit is None:
            return
        if unit.is_plain:
            self._scheduler.batching.note(len(ended.outcomes), ended.seconds, ended.size)
        for run, outcome in zip(unit.runs, ended.outcomes, strict=False):
            self.member_ended(run, outcome)
        for run in unit.runs[len(ended.outcomes) :]:
            self._scheduler.requeue(run)
        self._state.settle(ended.key, unit.needs, is_gathered=ended.gathered > 0)

    def member_ended(self, run: TaskRun, outcome: Outcome) -> None:
        """Handle the outcome of one task run."""
        state, run.unit, run.visited = outcome.state, None, True
        self._state.changes += type(state) is not Pending
        if state.is_finished():
            run.state, run.elements, run.inner, run.inline = state, outcome.elements, outcome.inner, outcome.inline
            self._state.move(run, Phase.DONE)
            self._scheduler.propagate(run)
        elif isinstance(state, Scheduled):
            run.state, run.start_from = state, run.source
            self._scheduler.delay(run, state.start_time.timestamp())
            self._scheduler.take_due()
        elif state.is_pending() and run.optimistic and not isinstance(state, Paused):
            # Its body did not run, so this does not count as a visit.
            run.visited = False
            self._scheduler.requeue(run)
        else:
            run.state, run.start_from = state, run.source
            self._state.move(run, Phase.BLOCKED)
