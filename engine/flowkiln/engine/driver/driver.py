"""Decide what a run does next. Events in, instructions out; no clock, no I/O, no values.

The driver is a state machine: phases.py has its phases and moves, and only `RunState.move` changes a task run's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from flowkiln.engine.driver.completion import Completion
from flowkiln.engine.driver.events import (
    Event,
    GateChanged,
    HandlersCalled,
    InitialState,
    MemberStuck,
    Started,
    StartRequested,
    TerminateRequested,
    TimerDue,
    UnitEnded,
    UnitForgotten,
    UnitLost,
    UnitShortened,
    WorkerLost,
)
from flowkiln.engine.driver.expansion import Expansion
from flowkiln.engine.driver.fusion import UnitPolicy
from flowkiln.engine.driver.graph import RunGraph
from flowkiln.engine.driver.instructions import CancelUnits, Drained, Finish, Instruction, WaitUntil
from flowkiln.engine.driver.losses import Losses
from flowkiln.engine.driver.phases import Phase, RunPhase
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.task_runs import NodeRuns, TaskRun
from flowkiln.engine.driver.units import InlineState, ResumedState, StateRef, StateSource, UnitKey
from flowkiln.engine.driver.validation import Validator
from flowkiln.states.records import NOT_MAPPED
from flowkiln.states.state import Cancelled, Mapped, Paused, Pending, State

TERMINATED = "The run was terminated."
"""The message of task runs that were unfinished when the run was terminated."""


class Driver:
    """One run of a graph.

    `repeats` False means one pass: every task run is visited at most once. `kept` are the nodes whose results the
    caller wants, None for all; other results are released as soon as no downstream task needs them. With `validates`
    the driver checks its invariants after events.
    """

    def __init__(
        self,
        graph: RunGraph,
        run_id: str,
        *,
        given: Mapping[int, InitialState] | None = None,
        policy: UnitPolicy | None = None,
        repeats: bool = True,
        kept: Collection[int] | None = None,
        validates: bool = False,
    ) -> None:
        kept = range(len(graph.nodes)) if kept is None else kept
        self._state = RunState(graph, run_id, dict(given or {}), policy or UnitPolicy(), kept, repeats=repeats)
        self._numbers = {node.local_id: number for number, node in enumerate(graph.nodes)}
        self._expansion = Expansion(self._state)
        self._scheduler = self._expansion.scheduler
        self._completion = Completion(self._state, self._scheduler)
        self._losses = Losses(self._state, self._scheduler, self._completion)
        self._validator = Validator(self._state) if validates else None

    # -- what may be asked -------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Return the number of units in flight."""
        return len(self._state.in_flight)

    def expects(self, key: UnitKey) -> bool:
        """Return whether a unit is in flight, so its events are relevant."""
        return key in self._state.in_flight

    def is_early(self, key: UnitKey) -> bool:
        """Whether a unit in flight uses another one that the driver does not know to have ended."""
        return self._state.in_flight.is_early(key)

    def unit_of(self, local_id: str, map_index: int) -> UnitKey | None:
        """Return the unit in flight that a task run is a member of; None if there is none."""
        runs = self._state.runs[self._numbers[local_id]]
        return runs.parent.unit if map_index == NOT_MAPPED or not runs.children else runs.children[map_index].unit

    def node_runs(self, node: int) -> NodeRuns:
        """Return the task runs of a node."""
        return self._state.runs[node]

    def source_of(self, run: TaskRun) -> StateSource:
        """Return the source of a task run's State."""
        return InlineState(run.state) if run.inline else self._state.upstreams.source_of(run)

    def states(self) -> list[State]:
        """Return the states that decide the run, one for each node; a Mapped state contains those of its children."""
        return [_whole_state(runs) for runs in self._state.runs]

    def validate(self) -> None:
        """Check all invariants.

        Raises:
            InvariantViolated: one is violated. The message has the recent events.
        """
        (self._validator or Validator(self._state)).validate(self._scheduler.batch)

    def replay(self, events: Iterable[Event]) -> Iterator[list[Instruction]]:
        """Yield the instructions of a new driver of the same run after each of these events."""
        state = self._state
        driver = Driver(
            state.graph,
            state.run_id,
            given=state.given,
            policy=state.policy,
            repeats=state.repeats,
            kept=state.kept,
            validates=self._validator is not None,
        )
        return map(driver.handle, events)

    # -- events ------------------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Instruction]:
        """Handle one event and return the instructions.

        Raises:
            InvalidTransition: a defect of the driver. The message has the recent events.
            InvariantViolated: the same, found because the driver validates.
        """
        state = self._state
        if state.phase is RunPhase.TERMINATED:
            return []
        if state.phase is RunPhase.FINISHED and not isinstance(event, UnitForgotten):
            return []
        # Requests from outside have no time.
        state.now = max(state.now, event.now)
        state.history.note(event)
        self._dispatch(event)
        self._scheduler.follow_moves()
        # Tasks downstream of a map wait for its handlers, and may share units with the children.
        if not self._expansion.handlers_in_flight:
            self._scheduler.submit()
            self._wait_or_finish()
        instructions, state.instructions = state.instructions, []
        if self._validator is not None:
            self._validator.check(event, instructions, self._scheduler.batch)
        return instructions

    def _dispatch(self, event: Event) -> None:
        match event:
            case UnitEnded():
                self._completion.unit_ended(event)
            case Started():
                self._start()
            case UnitLost():
                self._losses.unit_lost(event)
            case UnitForgotten(key):
                self._losses.unit_forgotten(key)
            case WorkerLost():
                self._losses.worker_lost(event)
            case MemberStuck():
                self._losses.member_stuck(event)
            case UnitShortened(key, length):
                for run in self._state.in_flight.shorten(key, length):
                    self._scheduler.requeue(run)
            case HandlersCalled():
                self._expansion.handlers_called(event)
            case TimerDue():
                self._state.timers.fired()
                self._scheduler.take_due()
            case GateChanged(is_open):
                self._scheduler.set_gate(is_open)
            case StartRequested(local_id, map_index):
                self._start_paused(local_id, map_index)
            case TerminateRequested():
                self._terminate()

    def _start(self) -> None:
        state = self._state
        state.move_run(RunPhase.RUNNING)
        for number, node in enumerate(state.nodes):
            given = state.given.get(number)
            run = state.runs[number].parent
            if given is not None:
                self._expansion.start_from(run, given)
            elif not node.visited:
                run.state = Pending("Task not run.")
                run.source = InlineState(run.state)
        for number, node in enumerate(state.nodes):
            if node.visited:
                self._scheduler.consider(number)

    def _start_paused(self, local_id: str, map_index: int) -> None:
        number = self._numbers.get(local_id)
        if number is None:
            return
        runs = self._state.runs[number]
        run: TaskRun | None = runs.parent
        if map_index != NOT_MAPPED:
            run = runs.children[map_index] if runs.children and 0 <= map_index < len(runs.children) else None
        if run is None or run.phase is not Phase.BLOCKED or not isinstance(run.state, Paused):
            return
        if run is runs.parent and runs.children is not None:
            self._expansion.resume(run)
        else:
            run.start_from = ResumedState(_plain(self._state.upstreams.source_of(run)))
            self._scheduler.requeue(run)

    def _terminate(self) -> None:
        state = self._state
        state.move_run(RunPhase.TERMINATED)
        if state.in_flight:
            state.instructions.append(CancelUnits(tuple(state.in_flight)))
            state.in_flight.clear()
        self._scheduler.clear()
        state.release(state.gathering.clear())
        self._expansion.handlers_in_flight = 0
        for runs in state.runs:
            if not state.nodes[runs.parent.node].visited:
                continue
            for run in runs.unsettled():
                state.end(run, Cancelled(TERMINATED))

    # -- the end -----------------------------------------------------------------------------------------------------

    def _wait_or_finish(self) -> None:
        state = self._state
        until = state.timers.next_wakeup() if state.repeats else None
        if until is not None:
            state.instructions.append(WaitUntil(until))
        if state.in_flight:
            return
        if not self._scheduler.is_open and not self._is_over():
            state.instructions.append(Drained())
        elif not (state.repeats and state.timers.has_pending):
            self._retry_blocked()
            if not state.in_flight:
                self._finish()

    def _retry_blocked(self) -> None:
        """Requeue task runs that came back Pending, for example vetoed by a handler, if anything has changed since."""
        state = self._state
        if not state.repeats:
            return
        for runs in state.runs:
            for run in runs.all():
                is_vetoed = run.phase is Phase.BLOCKED and run.visited and type(run.state) is Pending
                if is_vetoed and run.blocked_at != state.changes:
                    run.blocked_at = state.changes
                    self._scheduler.requeue(run)
        self._scheduler.submit()

    def _is_over(self) -> bool:
        return not any(runs.unfinished for runs in self._state.runs if self._state.nodes[runs.parent.node].visited)

    def _finish(self) -> None:
        state = self._state
        visited = (runs for runs in state.runs if state.nodes[runs.parent.node].visited)
        waiting = tuple(state.history.name(run) for runs in visited for run in runs.unsettled())
        if state.phase is RunPhase.RUNNING and (not waiting or not state.repeats):
            state.move_run(RunPhase.FINISHED)
        state.instructions.append(Finish(waiting))


def _whole_state(runs: NodeRuns) -> State:
    if runs.children is None or not isinstance(runs.parent.state, Mapped):
        return runs.parent.state
    return Mapped(runs.parent.state.message, map_states=[child.state for child in runs.children])


def _plain(source: StateSource) -> InlineState | StateRef:
    return source.source if isinstance(source, ResumedState) else source
