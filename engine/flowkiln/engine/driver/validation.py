"""Invariants of the driver, checked during a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from flowkiln.engine.driver.events import Event, UnitForgotten, UnitLost, WorkerLost
from flowkiln.engine.driver.instructions import Drained, Finish, Instruction, Release, SubmitUnits
from flowkiln.engine.driver.phases import InvariantViolated, Phase, RunPhase
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.task_runs import NodeRuns, TaskRun
from flowkiln.engine.driver.units import Unit, UnitKey
from flowkiln.engine.driver.upstreams import SUBMITTED_OR_DONE

TASK_RUNS_PER_EVENT = 100
"""Approximate number of task runs checked per event: in a larger run only some events trigger a full check."""


class Validator:
    """Check the instructions of each event, and the whole state as often as linear cost allows.

    Read-only. Submitted, released and lost units are tracked here for the checks.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._submitted: set[UnitKey] = set()
        self._released: set[UnitKey] = set()
        self._lost: set[UnitKey] = set()
        self._unchecked = 0

    def check(self, event: Event, instructions: Sequence[Instruction], batch: Collection[TaskRun]) -> None:
        """Check the instructions of one event. `batch` are the task runs that are about to be submitted.

        Raises:
            InvariantViolated: an invariant is violated.
        """
        match event:
            case UnitLost(key) | UnitForgotten(key):
                self._lost.add(key)
            case WorkerLost(units):
                self._lost.update(unit.key for unit in units)
        problems = [problem for one in instructions for problem in self._of_instruction(one)]
        self._raise(problems)
        self._unchecked += TASK_RUNS_PER_EVENT
        if self._unchecked >= sum(len(runs.all()) for runs in self._state.runs):
            self._unchecked = 0
            self.validate(batch)

    def validate(self, batch: Collection[TaskRun]) -> None:
        """Check the whole state.

        Raises:
            InvariantViolated: an invariant is violated.
        """
        self._raise([*self._of_task_runs(set(batch)), *self._of_units()])

    def _raise(self, problems: Sequence[str]) -> None:
        if problems:
            raise InvariantViolated("\n".join([*problems, self._state.history.text()]))

    def _of_instruction(self, instruction: Instruction) -> Iterator[str]:
        state = self._state
        match instruction:
            case SubmitUnits(units):
                for unit in units:
                    yield from self._of_submission(unit)
            case Release(keys):
                for key in keys:
                    if key in self._released:
                        yield f"{key} is released twice."
                    users = [user for user, unit in state.in_flight.items() if key in unit.needs]
                    if users and key not in self._lost:
                        yield f"{key} is released, but {users} need it."
                self._released.update(keys)
            case Drained():
                if state.in_flight:
                    yield f"Units are in flight, but the run is said to be drained: {list(state.in_flight)}."
            case Finish(waiting):
                if state.in_flight:
                    yield f"Units are in flight, but the run is said to be finished: {list(state.in_flight)}."
                left = [one for runs in state.runs for one in runs.unsettled() if state.nodes[one.node].visited]
                if len(left) != len(waiting):
                    yield f"{len(left)} task runs are left, but {len(waiting)} are said to wait."

    def _of_submission(self, unit: Unit) -> Iterator[str]:
        if unit.key in self._submitted:
            yield f"{unit.key} is submitted twice."
        self._submitted.add(unit.key)
        for need in unit.needs:
            if need in self._released:
                yield f"{unit.key} needs {need}, which was released."
            if need not in self._submitted and need not in self._state.in_flight:
                yield f"{unit.key} needs {need}, which nobody makes."

    def _of_task_runs(self, batch: set[TaskRun]) -> Iterator[str]:
        for node, runs in zip(self._state.nodes, self._state.runs, strict=True):
            counted = runs.all()
            unsubmitted = sum(run.phase not in SUBMITTED_OR_DONE for run in counted)
            unfinished = sum(run.phase is not Phase.DONE for run in counted)
            if (runs.unsubmitted, runs.unfinished) != (unsubmitted, unfinished):
                yield (
                    f"{node.local_id} has {unsubmitted} task runs that are not submitted and {unfinished} that are not "
                    f"done, but counts {runs.unsubmitted} and {runs.unfinished}."
                )
            if runs.children is not None and runs.parent.phase in (Phase.WAITING, Phase.DELAYED):
                yield f"{node.local_id} has children, but its parent is {runs.parent.phase.name}."
            for run in counted:
                yield from self._of_task_run(run, runs, batch)

    def _of_task_run(self, run: TaskRun, runs: NodeRuns, batch: set[TaskRun]) -> Iterator[str]:
        name = self._state.history.name(run)
        if run.phase is Phase.DONE and not run.state.is_finished():
            yield f"{name} is DONE, but its state is {type(run.state).__name__}."
        if run.phase is not Phase.SUBMITTED and run.unit is not None:
            yield f"{name} is {run.phase.name}, but has the unit {run.unit}."
        if run.phase is Phase.SUBMITTED and run.unit is None and run not in batch:
            yield f"{name} is SUBMITTED, but has no unit and is not about to get one."
        if run.phase is Phase.SUBMITTED and run.unit is not None and run.unit not in self._state.in_flight:
            yield f"{name} is SUBMITTED with the unit {run.unit}, which is not in flight."

    def _of_units(self) -> Iterator[str]:
        state = self._state
        users: Counter[UnitKey] = Counter()
        plain = 0
        for key, unit in state.in_flight.items():
            plain += unit.is_plain
            users.update(unit.needs)
            for run in unit.runs:
                if run.unit != key or run.phase is not Phase.SUBMITTED:
                    yield f"{key} is in flight, but its {state.history.name(run)} is {run.phase.name} with {run.unit}."
        if plain != state.in_flight.plain:
            yield f"{plain} plain units are in flight, but {state.in_flight.plain} are counted."
        if state.phase is not RunPhase.TERMINATED:
            yield from state.retained.problems(users)
            yield from state.gathering.problems(users)
