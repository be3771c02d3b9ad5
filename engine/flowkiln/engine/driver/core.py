"""Decides what a run does next. Events in, instructions out; no clock, no I/O, no values.

What runs a unit waits for its inputs, so a task run may be submitted while its upstream is under way: mapped children
always are, plain ones as far as it takes to keep every thread busy. When the upstream then ends unfinished (to be
retried, paused), the task run comes back unchanged, and is submitted again when the upstream has ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flowkiln.engine.driver.assembly import Assembler
from flowkiln.engine.driver.batching import Batching
from flowkiln.engine.driver.events import (
    Event,
    GateChanged,
    HandlersCalled,
    LostUnit,
    MemberStuck,
    Outcome,
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
from flowkiln.engine.driver.fusion import UnitPolicy
from flowkiln.engine.driver.gathering import Gathering
from flowkiln.engine.driver.graph import Node, RunGraph
from flowkiln.engine.driver.in_flight import SubmittedUnit, UnitsInFlight, Verdict, judge_lost_worker
from flowkiln.engine.driver.instructions import (
    Announce,
    CallHandlers,
    CancelUnits,
    Drained,
    Finish,
    Instruction,
    Release,
    SetGate,
    SubmitUnits,
    WaitUntil,
)
from flowkiln.engine.driver.ready_queue import ReadyQueue
from flowkiln.engine.driver.retained_results import RetainedResults
from flowkiln.engine.driver.task_runs import NodeRuns, Phase, TaskRun
from flowkiln.engine.driver.timers import Timers
from flowkiln.engine.driver.units import InlineState, ResumedState, StateRef, StateSource, Unit, UnitKey
from flowkiln.engine.driver.upstreams import SUBMITTED_OR_DONE, UNKNOWN, UNMAPPABLE, UpstreamView, keys_in
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord
from flowkiln.states.state import (
    Cached,
    Cancelled,
    Crashed,
    Mapped,
    Paused,
    Pending,
    Scheduled,
    State,
    kind_of,
    message_text,
    own_class_of,
)

TERMINATED = "The run was terminated."
"""The message of what had not finished when the run was ended."""


RESULT_LOST = "Its result was lost with a worker, so it runs again."


@dataclass(frozen=True, slots=True)
class InitialState:
    """A state that the caller starts a task from, and how many elements its result has.

    `settled`: it was reached earlier in the same run, so that even a Cached one is final.
    """

    state: State
    elements: int | None = None
    inner: tuple[int, ...] | None = None
    settled: bool = False


class Driver:
    """One run of a graph.

    `repeats` False means one pass: every task run is visited at most once. `kept` are the nodes whose results are
    wanted in the end, None for all; other results are released as soon as nobody downstream needs them.
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
    ) -> None:
        self._graph, self._nodes = graph, graph.nodes
        self._given = dict(given or {})
        self._repeats = repeats
        self._policy = policy or UnitPolicy()
        kept = frozenset(range(len(graph.nodes)) if kept is None else kept)
        self._numbers = {node.local_id: number for number, node in enumerate(graph.nodes)}
        self._runs = [NodeRuns(TaskRun(number)) for number in range(len(graph.nodes))]
        self._upstreams = UpstreamView(self._nodes, self._runs)
        self._gathering = Gathering(run_id, self._nodes, self._runs, self._upstreams, self._policy.gather)
        self._assembler = Assembler(run_id, self._nodes, self._upstreams, self._gathering, self._policy, kept, repeats)
        self._retained = RetainedResults(graph, self._runs, kept)
        self._batching = Batching(self._policy)
        self._ready_queue = ReadyQueue()
        self._in_flight = UnitsInFlight()
        self._timers = Timers()
        self._now = 0.0
        self._changes = 0
        self._batch: list[TaskRun] = []
        self._moved: deque[TaskRun | NodeRuns] = deque()
        self._out: list[Instruction] = []
        self._handlers_in_flight = 0
        self._finished = self._terminated = False
        self._open = True

    # -- what may be asked -------------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """The number of units that are under way."""
        return len(self._in_flight)

    def expects(self, key: UnitKey) -> bool:
        """Whether a unit is under way, so that news of it count."""
        return key in self._in_flight

    def node_runs(self, node: int) -> NodeRuns:
        """The task runs of a node."""
        return self._runs[node]

    def source_of(self, run: TaskRun) -> StateSource:
        """Where the State of a task run is to be found."""
        return InlineState(run.state) if run.inline else self._upstreams.source_of(run)

    def states(self) -> list[State]:
        """The states that decide about the run, one for each node; a Mapped one has its children's in it."""
        return [self._whole_state(runs) for runs in self._runs]

    def _whole_state(self, runs: NodeRuns) -> State:
        if runs.children is None or not isinstance(runs.parent.state, Mapped):
            return runs.parent.state
        return Mapped(runs.parent.state.message, map_states=[child.state for child in runs.children])

    # -- events ------------------------------------------------------------------------------------------------------

    def handle(self, event: Event) -> list[Instruction]:
        """Take one event and say what is to be done."""
        if self._finished and not isinstance(event, UnitForgotten):
            return []
        # Requests from outside come without a time.
        self._now = max(self._now, event.now)
        match event:
            case Started():
                self._start()
            case UnitEnded(key):
                self._unit_ended(key, event)
            case UnitLost(key, message):
                self._unit_lost(key, message)
            case UnitForgotten(key):
                self._unit_forgotten(key)
            case WorkerLost(lost, message, charged):
                self._worker_lost(lost, message, charged)
            case MemberStuck(key, outcomes):
                self._member_stuck(key, outcomes)
            case UnitShortened(key, length):
                for run in self._in_flight.shorten(key, length):
                    self._requeue(run)
            case HandlersCalled(node, state):
                self._handlers_called(node, state)
            case TimerDue():
                self._timers.fired()
                self._timers_due()
            case GateChanged(is_open):
                self._set_gate(is_open)
            case StartRequested(local_id, map_index):
                self._start_paused(local_id, map_index)
            case TerminateRequested():
                self._terminate()
        self._follow_moves()
        # What is downstream of a map waits for its handlers, and is to travel with the children.
        if not self._handlers_in_flight:
            self._submit()
            self._wait_or_finish()
        out, self._out = self._out, []
        return out

    def _start(self) -> None:
        for number, node in enumerate(self._nodes):
            given = self._given.get(number)
            run = self._runs[number].parent
            if given is not None:
                self._start_from(run, given)
            elif not node.visited:
                run.state = Pending("Task not run.")
                run.source = InlineState(run.state)
        for number, node in enumerate(self._nodes):
            if node.visited:
                self._consider(number)

    def _start_from(self, run: TaskRun, given: InitialState) -> None:
        node, state = self._nodes[run.node], given.state
        run.state, run.source, run.start_from = state, InlineState(state), InlineState(state)
        run.elements, run.inner = given.elements, given.inner
        if isinstance(state, Mapped) and node.is_mapped and not node.visited:
            self._set_children(run.node, state, len(state.map_states))
        elif not node.visited:
            if state.is_finished():
                self._move(run, Phase.DONE)
        elif isinstance(state, Mapped):
            self._move(run, Phase.WAITING if node.is_mapped else Phase.DONE)
        elif state.is_finished() and (given.settled or not isinstance(state, Cached)):
            self._move(run, Phase.DONE)
        elif isinstance(state, Scheduled) and state.start_time.timestamp() > self._now:
            self._wait_for_time(run, state.start_time.timestamp())
        elif isinstance(state, Paused) or not (state.is_pending() or state.is_finished()):
            self._move(run, Phase.BLOCKED)

    def _unit_ended(self, key: UnitKey, ended: UnitEnded) -> None:
        unit = self._in_flight.take(key)
        if unit is None:
            return
        if unit.is_plain:
            self._batching.note(len(ended.outcomes), ended.seconds, ended.size)
        for run, outcome in zip(unit.runs, ended.outcomes, strict=False):
            self._member_ended(run, outcome)
        for run in unit.runs[len(ended.outcomes) :]:
            self._requeue(run)
        self._settle(key, unit.needs, is_gathered=ended.gathered > 0)

    def _member_ended(self, run: TaskRun, outcome: Outcome) -> None:
        state, run.unit, run.visited = outcome.state, None, True
        self._changes += type(state) is not Pending
        if state.is_finished():
            run.state, run.elements, run.inner, run.inline = state, outcome.elements, outcome.inner, outcome.inline
            self._move(run, Phase.DONE)
            self._propagate(run)
        elif isinstance(state, Scheduled):
            run.state, run.start_from = state, run.source
            self._wait_for_time(run, state.start_time.timestamp())
            self._timers_due()
        elif state.is_pending() and run.optimistic and not isinstance(state, Paused):
            # Its body did not run, so this was no visit.
            run.visited = False
            self._requeue(run)
        else:
            run.state, run.start_from = state, run.source
            self._move(run, Phase.BLOCKED)

    def _unit_lost(self, key: UnitKey, message: str) -> None:
        unit = self._in_flight.lose(key)
        if unit is None:
            self._results_lost(key)
            return
        verdict = self._in_flight.judge_lost_unit(unit)
        for run in unit.runs:
            self._apply_verdict(verdict, run, message)
        self._release(self._gathering.lost(key, charged=verdict is Verdict.CRASH))
        self._settle(key, unit.needs)

    def _unit_forgotten(self, key: UnitKey) -> None:
        unit = self._in_flight.take(key)
        if unit is None:
            if not self._terminated:
                self._results_lost(key)
            return
        for run in unit.runs:
            self._requeue(run)
        self._settle(key, unit.needs)

    def _results_lost(self, key: UnitKey) -> None:
        """Run again what had ended but whose results are gone, and say so."""
        again = []
        self._release(self._gathering.lost(key, charged=False))
        left = self._retained.forget(key)
        if left:
            self._finished = False
            self._release([key])
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
            for one in self._upstreams.all_upstream_runs(run):
                self._retained.revive(one)
                if self._retained.is_released(one):
                    again.append(one)
            if run.start_from is not None and not all(map(self._retained.has, keys_in(run.start_from))):
                run.start_from = _start_without(run)
            run.state = Pending(RESULT_LOST)
            run.visited, run.alone = False, True
            self._requeue(run)
            self._announce(run, run.state)

    def _worker_lost(self, lost: tuple[LostUnit, ...], message: str, charged: bool) -> None:
        units = [(one, unit) for one in lost if one.key in self._in_flight and (unit := self._in_flight.lose(one.key))]
        if not units:
            return
        self._out.append(CancelUnits(tuple(one.key for one, _ in units)))
        for judged in judge_lost_worker(units, charged=charged):
            self._apply_verdict(judged.verdict, judged.run, message)
            if judged.ran and judged.verdict is not Verdict.CRASH:
                self._announce(judged.run, Pending("Its worker died, so it runs again."))
        for one, unit in units:
            self._release(self._gathering.lost(one.key, charged=charged))
            self._settle(one.key, unit.needs)

    def _apply_verdict(self, verdict: Verdict, run: TaskRun, message: str) -> None:
        if verdict is Verdict.CRASH:
            self._set_state(run, Crashed(message))
            self._propagate(run)
            return
        run.alone = run.alone or verdict is Verdict.RERUN_ALONE
        self._requeue(run)

    def _member_stuck(self, key: UnitKey, outcomes: tuple[Outcome, ...]) -> None:
        """Take the end of a member whose worker was ended. Other results of its unit are lost unless they are small."""
        unit = self._in_flight.lose(key) if key in self._in_flight else None
        if unit is None:
            return
        self._out.append(CancelUnits((key,)))
        for run, outcome in zip(unit.runs, outcomes, strict=False):
            if outcome is outcomes[-1] or outcome.inline:
                run.source = InlineState(outcome.state)
                self._member_ended(run, outcome)
            else:
                self._requeue(run)
                if outcome.state.is_finished():
                    self._announce(run, Pending(RESULT_LOST))
        for run in unit.runs[len(outcomes) :]:
            self._requeue(run)
        self._settle(key, unit.needs)

    def _handlers_called(self, node: int, state: State) -> None:
        self._handlers_in_flight -= 1
        run = self._runs[node].parent
        if state is not run.state:
            run.state, run.source = state, InlineState(state)
            run.elements, run.inner = _counts(state)
            self._announce(run, run.state)
        self._move(run, Phase.DONE if state.is_finished() else Phase.BLOCKED)
        # Downstream counts children, or waits for them, from now on; with none of them it can go on at once.
        self._propagate(run)

    def _timers_due(self) -> None:
        if not self._repeats:
            return
        while (run := self._timers.pop_due(self._now)) is not None:
            self._move(run, Phase.WAITING)
            self._consider_run(run)

    def _set_gate(self, is_open: bool) -> None:
        if is_open is not self._open:
            self._open = is_open
            self._out.append(SetGate(is_open))

    def _start_paused(self, local_id: str, map_index: int) -> None:
        number = self._numbers.get(local_id)
        if number is None:
            return
        runs = self._runs[number]
        if map_index == NOT_MAPPED:
            run: TaskRun | None = runs.parent
        else:
            run = runs.children[map_index] if runs.children and 0 <= map_index < len(runs.children) else None
        if run is not None and run.phase is Phase.BLOCKED and isinstance(run.state, Paused):
            self._resume(run)

    def _resume(self, run: TaskRun) -> None:
        runs = self._runs[run.node]
        if run is runs.parent and runs.children is not None:
            # A handler had paused it when its children were on their way: now what is downstream may go on.
            run.state, run.source = Mapped("Resumed."), None
            self._move(run, Phase.DONE)
            self._announce(run, run.state, map_size=len(runs.children))
            self._propagate(run)
            return
        run.start_from = ResumedState(_plain(self._upstreams.source_of(run)))
        self._requeue(run)

    def _terminate(self) -> None:
        self._terminated = True
        if self._in_flight:
            self._out.append(CancelUnits(tuple(self._in_flight)))
            self._in_flight.clear()
        self._batch.clear()
        self._ready_queue.clear()
        self._moved.clear()
        self._release(self._gathering.clear())
        self._handlers_in_flight = 0
        for runs in self._runs:
            if not self._nodes[runs.parent.node].visited:
                continue
            for run in runs.unsettled():
                self._set_state(run, Cancelled(TERMINATED))

    # -- moving task runs --------------------------------------------------------------------------------------------

    def _move(self, run: TaskRun, phase: Phase) -> None:
        before, run.phase = run.phase, phase
        runs = self._runs[run.node]
        runs.element_ends = None
        if runs.children is not None and run is runs.parent:
            return
        unsubmitted = (phase not in SUBMITTED_OR_DONE) - (before not in SUBMITTED_OR_DONE)
        unfinished = (phase is not Phase.DONE) - (before is not Phase.DONE)
        runs.unsubmitted += unsubmitted
        runs.unfinished += unfinished
        if run.index != NOT_MAPPED:
            if (unsubmitted < 0 and not runs.unsubmitted) or (unfinished < 0 and not runs.unfinished):
                self._moved.append(runs)
            if phase is not Phase.DONE:
                self._release(self._gathering.drop(run.node))
        if phase is Phase.DONE:
            self._release(self._retained.after(run))
            if not runs.unfinished:
                self._drop_gathered_upstream(run.node)

    def _drop_gathered_upstream(self, number: int) -> None:
        """A node is finished: what was gathered for it can go unless others downstream are not."""
        for edge in self._nodes[number].upstream:
            if not edge.mapped and all(self._retained.is_over(one) for one in self._graph.whole[edge.upstream]):
                self._release(self._gathering.drop(edge.upstream))

    def _settle(self, key: UnitKey, needs: tuple[UnitKey, ...], *, is_gathered: bool = False) -> None:
        """A unit is no longer in flight: release what only that kept."""
        self._release(self._retained.settle(key, needs))
        self._release(self._gathering.settle(key, needs, is_gathered=is_gathered))

    def _release(self, keys: list[UnitKey]) -> None:
        if keys:
            self._out.append(Release(tuple(keys)))

    def _requeue(self, run: TaskRun) -> None:
        run.unit, run.source, run.inline = None, run.start_from, False
        self._move(run, Phase.WAITING)
        self._consider_run(run)

    def _wait_for_time(self, run: TaskRun, due: float) -> None:
        self._move(run, Phase.DELAYED)
        self._timers.set(run, due)

    def _set_state(self, run: TaskRun, state: State) -> None:
        run.state, run.source, run.unit = state, InlineState(state), None
        run.elements, run.inner, run.inline = None, None, False
        self._move(run, Phase.DONE)
        self._announce(run, run.state)

    def _announce(self, run: TaskRun, state: State, map_size: int | None = None) -> None:
        record = TaskRunRecord(
            self._nodes[run.node].local_id,
            run.index,
            kind_of(state),
            message=message_text(state),
            end_time=self._now if state.is_finished() else None,
            visit=run.visit,
            map_size=map_size,
            state_class=own_class_of(state),
        )
        self._out.append(Announce((record,)))

    # -- who can go next ---------------------------------------------------------------------------------------------

    def _propagate(self, run: TaskRun) -> None:
        """Note that what is downstream of a task run may be able to go on."""
        self._moved.append(run)

    def _consider_downstream(self, run: TaskRun) -> None:
        if run.index == NOT_MAPPED:
            for number in self._nodes[run.node].downstream:
                if self._nodes[number].visited:
                    self._consider(number)
            return
        for number in self._graph.one_to_one[run.node]:
            children = self._runs[number].children
            if children is not None and run.index < len(children) and self._nodes[number].visited:
                self._consider_run(children[run.index])

    def _consider_users_of_all(self, number: int) -> None:
        """Consider what needs all children of a node, now that the last one was submitted or is done."""
        for one in self._graph.whole[number]:
            if self._nodes[one].visited:
                self._consider(one)
        for one in self._graph.one_to_one[number]:
            # A map over nothing has no children that wait for it.
            if self._nodes[one].visited and self._runs[one].children is None:
                self._consider(one)

    def _consider(self, number: int) -> None:
        """Expand a mapped node, or submit what is ready of a node."""
        runs = self._runs[number]
        if self._nodes[number].is_mapped and runs.children is None:
            if runs.parent.phase is Phase.WAITING:
                self._try_to_expand(runs.parent)
            return
        for run in runs.all():
            self._consider_run(run)

    def _consider_run(self, run: TaskRun) -> None:
        if run.phase is not Phase.WAITING or (run.visited and not self._repeats):
            return
        runs, node = self._runs[run.node], self._nodes[run.node]
        if run is runs.parent and node.is_mapped:
            if runs.children is None:
                self._try_to_expand(run)
            return
        if self._stays_queued(run):
            return
        if not self._can_build_on_upstream(run):
            return
        if run.index != NOT_MAPPED or not self._policy.fuse or self._belongs_to_batch(run):
            self._add_to_batch(run)
        else:
            self._ready_queue.put(run, ready=node.is_start or self._upstreams.are_all_finished(run))

    def _stays_queued(self, run: TaskRun) -> bool:
        """Whether nothing changes for a task run that is in line, quicker to tell than whether it may stand there.

        When it is taken, what is upstream is looked at again.
        """
        return (
            self._ready_queue.is_early(run)
            and not self._upstreams.are_all_finished(run)
            and not self._belongs_to_batch(run)
        )

    def _can_build_on_upstream(self, run: TaskRun) -> bool:
        return self._nodes[run.node].is_start or self._upstreams.are_all_submitted(run)

    def _belongs_to_batch(self, run: TaskRun) -> bool:
        """Whether the one task run that this one waits for is about to be submitted: then they are a chain."""
        before = self._upstreams.sole_unfinished(run) if self._batch else None
        return before is not None and before.phase is Phase.SUBMITTED and before.unit is None

    def _add_to_batch(self, run: TaskRun) -> None:
        self._move(run, Phase.SUBMITTED)
        self._batch.append(run)
        if not self._nodes[run.node].is_mapped or run.index != NOT_MAPPED:
            self._propagate(run)

    def _follow_moves(self) -> None:
        while self._moved:
            moved = self._moved.popleft()
            if isinstance(moved, TaskRun):
                self._consider_downstream(moved)
            else:
                self._consider_users_of_all(moved.parent.node)

    # -- maps --------------------------------------------------------------------------------------------------------

    def _try_to_expand(self, parent: TaskRun) -> None:
        node = self._nodes[parent.node]
        before = parent.state if isinstance(parent.state, Mapped) else None
        counts = [self._upstreams.element_count(edge) for edge in node.upstream if edge.mapped]
        if UNKNOWN in counts:
            return
        known = [count for count in counts if count != UNMAPPABLE]
        if len(known) < len(counts):
            if before is None:
                # Nothing to map over: the TaskRunner says what becomes of the parent.
                if self._can_build_on_upstream(parent):
                    self._add_to_batch(parent)
                    self._propagate(parent)
                return
            known = known or [len(before.map_states)]
        if min(known) == 0 and not self._is_upstream_done(node):
            # There will be no children that wait for what else is upstream.
            return
        self._set_children(parent.node, before, min(known))

    def _is_upstream_done(self, node: Node) -> bool:
        return node.is_start or all(self._runs[edge.upstream].is_done for edge in node.upstream)

    def _set_children(self, number: int, before: Mapped | None, count: int) -> None:
        runs, visited = self._runs[number], self._nodes[number].visited
        old, parent = runs.parent.state, runs.parent
        settled = number in self._given and self._given[number].settled
        parent.state = Mapped("Mapped tasks submitted for execution.")
        parent.source = None
        runs.children = [TaskRun(number, index) for index in range(count)]
        runs.unsubmitted = runs.unfinished = count
        parent.phase = Phase.SUBMITTED if visited else Phase.DONE
        parent.visit += 1
        for child, state in zip(runs.children, before.map_states if before else (), strict=False):
            if state is not None:
                self._start_from(child, InitialState(state, *_counts(state), settled=settled))
        if not visited:
            return
        self._release(self._retained.after_all(number))
        self._announce(parent, parent.state, map_size=count)
        self._out.append(CallHandlers(number, old, parent.state))
        self._handlers_in_flight += 1
        for child in runs.children:
            self._consider_run(child)

    # -- submitting --------------------------------------------------------------------------------------------------

    def _submit(self) -> None:
        """Submit what may go: all mapped children, the plain task runs that are ready, then some early ones."""
        if not self._open or not (self._batch or self._ready_queue):
            return
        self._add_all_to_batch(
            self._ready_queue.take_ready(self._batching.submittable(self._ready_queue.ready, self._in_flight.plain))
        )
        units = self._assemble()
        while (
            self._in_flight.plain < self._batching.target_in_flight
            and (run := self._ready_queue.take_early()) is not None
        ):
            self._add_all_to_batch([run])
            units.extend(self._assemble())
        if units:
            self._out.append(SubmitUnits(tuple(units)))

    def _add_all_to_batch(self, runs: list[TaskRun]) -> None:
        for run in runs:
            if run.phase is Phase.WAITING and self._can_build_on_upstream(run):
                self._add_to_batch(run)
        self._follow_moves()

    def _assemble(self) -> list[Unit]:
        batch, self._batch = self._batch, []
        assembled = self._assembler.assemble(batch, self._batching)
        for unit, members in assembled:
            is_plain = bool(members) and members[0].index == NOT_MAPPED
            self._in_flight.add(unit.key, SubmittedUnit(members, unit.needs, is_plain))
            self._retained.note(unit.key, members, unit.needs)
            self._gathering.note(unit.needs)
        return [unit for unit, _ in assembled]

    # -- the end -----------------------------------------------------------------------------------------------------

    def _wait_or_finish(self) -> None:
        until = self._timers.next_wakeup() if self._repeats else None
        if until is not None:
            self._out.append(WaitUntil(until))
        if self._in_flight:
            return
        if not self._open and not self._is_over():
            self._out.append(Drained())
        elif not (self._repeats and self._timers.has_pending):
            self._retry_blocked()
            if not self._in_flight:
                self._finish()

    def _retry_blocked(self) -> None:
        """Visit what came back Pending, as if vetoed by a handler, once more if anything has changed since."""
        if not self._repeats:
            return
        for runs in self._runs:
            for run in runs.all():
                is_vetoed = run.phase is Phase.BLOCKED and run.visited and type(run.state) is Pending
                if is_vetoed and run.blocked_at != self._changes:
                    run.blocked_at = self._changes
                    self._requeue(run)
        self._submit()

    def _is_over(self) -> bool:
        return not any(runs.unfinished for runs in self._runs if self._nodes[runs.parent.node].visited)

    def _finish(self) -> None:
        waiting = tuple(
            self._name(run) for runs in self._runs if self._nodes[runs.parent.node].visited for run in runs.unsettled()
        )
        self._finished = not waiting or not self._repeats
        self._out.append(Finish(waiting))

    def _name(self, run: TaskRun) -> str:
        local_id = self._nodes[run.node].local_id
        return local_id if run.index == NOT_MAPPED else f"{local_id}[{run.index}]"


def _plain(source: StateSource) -> InlineState | StateRef:
    return source.source if isinstance(source, ResumedState) else source


def _start_without(run: TaskRun) -> StateSource | None:
    """Give where a task run starts from when the state that it was to start from is lost.

    What it is known to have come to is enough to go on from; one that was finished starts afresh.
    """
    known = None if run.phase is Phase.DONE else InlineState(run.state)
    if isinstance(run.start_from, ResumedState):
        return ResumedState(known or InlineState(Pending("Its result was lost after it was resumed.")))
    return known


def _counts(state: State) -> tuple[int | None, tuple[int, ...] | None]:
    from flowkiln.engine.mapping import parts

    return parts.elements_in(state), parts.inner_elements_in(state)
