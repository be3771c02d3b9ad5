"""Handle lost units, workers and results."""

from __future__ import annotations

from flowkiln.engine.driver.completion import Completion
from flowkiln.engine.driver.events import MemberStuck, UnitLost, WorkerLost
from flowkiln.engine.driver.in_flight import Verdict, judge_lost_worker
from flowkiln.engine.driver.instructions import CancelUnits
from flowkiln.engine.driver.phases import Phase, RunPhase
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.scheduling import Scheduler
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import InlineState, ResumedState, StateRef, StateSource, UnitKey
from flowkiln.engine.driver.upstreams import keys_in
from flowkiln.states.state import Crashed, Pending

RESULT_LOST = "Its result was lost with a worker, so it runs again."
WORKER_DIED = "Its worker died, so it runs again."


class Losses:
    """Rerun task runs, alone if they are suspected, or end them as Crashed."""

    def __init__(self, state: RunState, scheduler: Scheduler, completion: Completion) -> None:
        self._state, self._scheduler, self._completion = state, scheduler, completion
        self._in_flight, self._retained, self._gathering = state.in_flight, state.retained, state.gathering

    def unit_lost(self, event: UnitLost) -> None:
        """Handle a unit that will never end, or whose results are gone."""
        unit = self._in_flight.lose(event.key)
        if unit is None:
            self._results_lost(event.key)
            return
        verdict = self._in_flight.judge_lost_unit(unit)
        for run in unit.runs:
            self._apply(verdict, run, event.message)
        self._state.release(self._gathering.lost(event.key, charged=verdict is Verdict.CRASH))
        self._state.settle(event.key, unit.needs)

    def unit_forgotten(self, key: UnitKey) -> None:
        """Handle a unit that a worker refused to run again, or whose results are gone."""
        unit = self._in_flight.take(key)
        if unit is None:
            self._results_lost(key)
            return
        for run in unit.runs:
            self._scheduler.requeue(run)
        self._state.settle(key, unit.needs)

    def worker_lost(self, event: WorkerLost) -> None:
        """Judge all units of a lost worker."""
        lost = [one for one in event.units if one.key in self._in_flight]
        units = [(one, unit) for one in lost if (unit := self._in_flight.lose(one.key)) is not None]
        if not units:
            return
        self._state.instructions.append(CancelUnits(tuple(one.key for one, _ in units)))
        for judged in judge_lost_worker(units, charged=event.charged):
            self._apply(judged.verdict, judged.run, event.message)
            if judged.ran and judged.verdict is not Verdict.CRASH:
                self._state.announce(judged.run, Pending(WORKER_DIED))
        for one, unit in units:
            self._state.release(self._gathering.lost(one.key, charged=event.charged))
            self._state.settle(one.key, unit.needs)

    def member_stuck(self, event: MemberStuck) -> None:
        """Handle the end of a member whose worker was ended. Its unit loses all results that are not inline."""
        unit = self._in_flight.lose(event.key) if event.key in self._in_flight else None
        if unit is None:
            return
        self._state.instructions.append(CancelUnits((event.key,)))
        last = len(event.outcomes) - 1
        for place, (run, outcome) in enumerate(zip(unit.runs, event.outcomes, strict=False)):
            if place == last or outcome.inline:
                run.source = InlineState(outcome.state)
                self._completion.member_ended(run, outcome)
            else:
                self._scheduler.requeue(run)
                if outcome.state.is_finished():
                    self._state.announce(run, Pending(RESULT_LOST))
        for run in unit.runs[len(event.outcomes) :]:
            self._scheduler.requeue(run)
        self._state.settle(event.key, unit.needs)

    def _apply(self, verdict: Verdict, run: TaskRun, message: str) -> None:
        if verdict is Verdict.CRASH:
            self._state.end(run, Crashed(message))
            self._scheduler.propagate(run)
            return
        run.alone = run.alone or verdict is Verdict.RERUN_ALONE
        self._scheduler.requeue(run)

    def _results_lost(self, key: UnitKey) -> None:
        """Rerun finished task runs whose results are lost, and announce it."""
        again = []
        self._state.release(self._gathering.lost(key, charged=False))
        left = self._retained.forget(key)
        if left:
            if self._state.phase is RunPhase.FINISHED:
                self._state.move_run(RunPhase.RUNNING)
            self._state.release([key])
        for run in left:
            if run.start_from is not None and key in keys_in(run.start_from):
                known = _start_without(run)
                if run.source == run.start_from:
                    run.source = known
                run.start_from = known
            elif isinstance(run.source, StateRef) and run.source.key == key and not run.consumed:
                again.append(run)
        while again:
            run = again.pop()
            if run.phase is not Phase.DONE:
                continue
            if run.inline:
                run.source = InlineState(run.state)
                continue
            self._retained.revive(run)
            for one in self._state.upstreams.all_upstream_runs(run):
                self._retained.revive(one)
                if self._retained.is_released(one):
                    again.append(one)
            if run.start_from is not None and not all(map(self._retained.has, keys_in(run.start_from))):
                run.start_from = _start_without(run)
            run.state = Pending(RESULT_LOST)
            run.visited, run.alone = False, True
            self._scheduler.requeue(run)
            self._state.announce(run, run.state)


def _start_without(run: TaskRun) -> StateSource | None:
    """Return where a task run starts when the state it should start from is lost.

    An unfinished task run continues from its known state; a finished one starts from the beginning.
    """
    known = None if run.phase is Phase.DONE else InlineState(run.state)
    if isinstance(run.start_from, ResumedState):
        return ResumedState(known or InlineState(Pending("Its result was lost after it was resumed.")))
    return known
