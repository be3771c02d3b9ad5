"""The state of a run in the driver, and the only place that changes the phase of a task run."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from flowkiln.engine.driver.events import InitialState
from flowkiln.engine.driver.fusion import UnitPolicy
from flowkiln.engine.driver.gathering import Gathering
from flowkiln.engine.driver.graph import RunGraph
from flowkiln.engine.driver.history import History
from flowkiln.engine.driver.in_flight import UnitsInFlight
from flowkiln.engine.driver.instructions import Announce, Instruction, Release
from flowkiln.engine.driver.phases import MOVES, RUN_MOVES, InvalidTransition, Phase, RunPhase
from flowkiln.engine.driver.retained_results import RetainedResults
from flowkiln.engine.driver.task_runs import NodeRuns, TaskRun
from flowkiln.engine.driver.timers import Timers
from flowkiln.engine.driver.units import InlineState, UnitKey
from flowkiln.engine.driver.upstreams import SUBMITTED_OR_DONE, UpstreamView
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord
from flowkiln.states.state import State, kind_of, message_text, own_class_of


class RunState:
    """The task runs, the units in flight, the retained results, and the instructions of the current event.

    `kept` are the nodes whose results the caller wants. `changes` counts the state changes of the run.
    """

    def __init__(
        self,
        graph: RunGraph,
        run_id: str,
        given: Mapping[int, InitialState],
        policy: UnitPolicy,
        kept: Collection[int],
        *,
        repeats: bool,
    ) -> None:
        self.graph, self.nodes, self.run_id = graph, graph.nodes, run_id
        self.given, self.policy, self.repeats = given, policy, repeats
        self.kept = frozenset(kept)
        self.runs = [NodeRuns(TaskRun(number)) for number in range(len(graph.nodes))]
        self.upstreams = UpstreamView(self.nodes, self.runs)
        self.retained = RetainedResults(graph, self.runs, self.kept)
        self.gathering = Gathering(run_id, self.nodes, self.runs, self.upstreams, policy.gather)
        self.in_flight = UnitsInFlight()
        self.timers = Timers()
        self.history = History(self.nodes)
        self.phase = RunPhase.CREATED
        self.now = 0.0
        self.changes = 0
        self.instructions: list[Instruction] = []
        self.moved: deque[TaskRun | NodeRuns] = deque()
        """Task runs, and nodes with all their children, for which downstream tasks may have waited."""

    def move(self, run: TaskRun, phase: Phase) -> None:
        """Change the phase of a task run, and everything derived from it.

        Raises:
            InvalidTransition: the move is not allowed.
        """
        before = run.phase
        if phase not in MOVES[before]:
            raise InvalidTransition(
                f"Task run {self.history.name(run)} cannot move from {before.name} to {phase.name}.\n"
                f"{self.history.text(run)}"
            )
        run.phase = phase
        self.history.moves.append((self.history.events, run, before, phase))
        runs = self.runs[run.node]
        runs.element_ends = None
        if runs.children is not None and run is runs.parent:
            return
        unsubmitted = (phase not in SUBMITTED_OR_DONE) - (before not in SUBMITTED_OR_DONE)
        unfinished = (phase is not Phase.DONE) - (before is not Phase.DONE)
        runs.unsubmitted += unsubmitted
        runs.unfinished += unfinished
        if unfinished > 0:
            self.retained.reopened(run.node)
        if run.index != NOT_MAPPED:
            if (unsubmitted < 0 and not runs.unsubmitted) or (unfinished < 0 and not runs.unfinished):
                self.moved.append(runs)
            if phase is not Phase.DONE:
                self.release(self.gathering.drop(run.node))
        if phase is Phase.DONE:
            self.release(self.retained.after(run))
            self._drop_gathered_upstream(run.node)

    def move_run(self, phase: RunPhase) -> None:
        """Change the phase of the run.

        Raises:
            InvalidTransition: the move is not allowed.
        """
        if phase not in RUN_MOVES[self.phase]:
            raise InvalidTransition(
                f"The run cannot move from {self.phase.name} to {phase.name}.\n{self.history.text()}"
            )
        self.phase = phase

    def end(self, run: TaskRun, state: State) -> None:
        """End a task run with a state that it did not reach itself, and announce it."""
        run.state, run.source, run.unit = state, InlineState(state), None
        run.elements, run.inner, run.inline = None, None, False
        self.move(run, Phase.DONE)
        self.announce(run, state)

    def settle(self, key: UnitKey, needs: tuple[UnitKey, ...], *, is_gathered: bool = False) -> None:
        """Handle a unit that is no longer in flight: release results that only it needed."""
        self.release(self.retained.settle(key, needs))
        self.release(self.gathering.settle(key, needs, is_gathered=is_gathered))

    def expanded(self, number: int) -> None:
        """Release results that only a node needed, if it expanded to no children or to finished ones."""
        self.release(self.retained.after_all(number))
        self._drop_gathered_upstream(number)

    def release(self, keys: list[UnitKey]) -> None:
        """Release the results of these units."""
        if keys:
            self.instructions.append(Release(tuple(keys)))

    def announce(self, run: TaskRun, state: State, map_size: int | None = None) -> None:
        """Announce a state that no executor reports."""
        record = TaskRunRecord(
            self.nodes[run.node].local_id,
            run.index,
            kind_of(state),
            message=message_text(state),
            end_time=self.now if state.is_finished() else None,
            visit=run.visit,
            map_size=map_size,
            state_class=own_class_of(state),
        )
        self.instructions.append(Announce((record,)))

    def _drop_gathered_upstream(self, number: int) -> None:
        """Release results gathered for a node, if it is finished, unless other downstream nodes need them."""
        if not self.gathering.is_any_current or self.runs[number].unfinished:
            return
        for edge in self.nodes[number].upstream:
            if edge.mapped or not self.gathering.is_current(edge.upstream):
                continue
            if not self.retained.is_any_user_not_over(edge.upstream):
                self.release(self.gathering.drop(edge.upstream))
