"""Expand mapped tasks into children, and handle the state handlers of their parents."""

from __future__ import annotations

from flowkiln.engine.driver.events import HandlersCalled, InitialState
from flowkiln.engine.driver.graph import Node
from flowkiln.engine.driver.instructions import CallHandlers
from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.scheduling import Scheduler
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import InlineState
from flowkiln.engine.driver.upstreams import UNKNOWN, UNMAPPABLE
from flowkiln.states.state import Cached, Mapped, Paused, Scheduled


class Expansion:
    """Create the children of mapped nodes. `handlers_in_flight` counts parents whose handlers are being called."""

    def __init__(self, state: RunState) -> None:
        self._state, self._nodes, self._runs = state, state.nodes, state.runs
        self.scheduler = Scheduler(state, self.expand)
        self.handlers_in_flight = 0

    def start_from(self, run: TaskRun, given: InitialState) -> None:
        """Start a task run from a state of the caller."""
        node, state = self._nodes[run.node], given.state
        run.state, run.source, run.start_from = state, InlineState(state), InlineState(state)
        run.elements, run.inner = given.elements, given.inner
        if isinstance(state, Mapped) and node.is_mapped:
            if not node.visited:
                self._set_children(run.node, given, len(state.map_states))
        elif not node.visited:
            if state.is_finished():
                self._state.move(run, Phase.DONE)
        elif isinstance(state, Mapped) or (state.is_finished() and (given.settled or not isinstance(state, Cached))):
            self._state.move(run, Phase.DONE)
        elif isinstance(state, Scheduled) and state.start_time.timestamp() > self._state.now:
            self.scheduler.delay(run, state.start_time.timestamp())
        elif isinstance(state, Paused) or not (state.is_pending() or state.is_finished()):
            self._state.move(run, Phase.BLOCKED)

    def expand(self, parent: TaskRun) -> None:
        """Create the children of a mapped parent if their number is known."""
        node = self._nodes[parent.node]
        counts = [self._state.upstreams.element_count(edge) for edge in node.upstream if edge.mapped]
        if UNKNOWN in counts:
            return
        given = self._state.given.get(parent.node) if isinstance(parent.state, Mapped) else None
        known = [count for count in counts if count != UNMAPPABLE]
        if len(known) < len(counts):
            if given is None:
                # Nothing to map over: the TaskRunner decides the parent's state.
                if self.scheduler.can_build_on_upstream(parent):
                    self.scheduler.add_to_batch(parent)
                    self.scheduler.propagate(parent)
                return
            known = known or [len(given.children)]
        if min(known) == 0 and not self._is_upstream_done(node):
            # Without children the parent itself must wait for the other upstream tasks.
            return
        self._set_children(parent.node, given, min(known))

    def _is_upstream_done(self, node: Node) -> bool:
        return node.is_start or all(self._runs[edge.upstream].is_done for edge in node.upstream)

    def _set_children(self, number: int, given: InitialState | None, count: int) -> None:
        state, runs, visited = self._state, self._runs[number], self._nodes[number].visited
        old, parent = runs.parent.state, runs.parent
        parent.state = Mapped("Mapped tasks submitted for execution.")
        parent.source = None
        runs.children = [TaskRun(number, index) for index in range(count)]
        runs.unsubmitted = runs.unfinished = count
        state.move(parent, Phase.SUBMITTED if visited else Phase.DONE)
        parent.visit += 1
        for child, initial in zip(runs.children, given.children if given else (), strict=False):
            if initial is not None:
                self.start_from(child, initial)
        if not visited:
            return
        state.expanded(number)
        state.announce(parent, parent.state, map_size=count)
        state.instructions.append(CallHandlers(number, old, parent.state))
        self.handlers_in_flight += 1
        for child in runs.children:
            self.scheduler.consider_run(child)

    def handlers_called(self, event: HandlersCalled) -> None:
        """Handle the state on which a mapped parent's state handlers settled."""
        self.handlers_in_flight -= 1
        run = self._runs[event.node].parent
        if event.state is not None:
            run.state, run.source = event.state, InlineState(event.state)
            run.elements, run.inner = event.elements, event.inner
            self._state.announce(run, run.state)
        self._state.move(run, Phase.DONE if run.state.is_finished() else Phase.BLOCKED)
        # From now on downstream tasks count the children or wait for them; without children they can run at once.
        self.scheduler.propagate(run)

    def resume(self, parent: TaskRun) -> None:
        """Resume a parent that a handler paused after its children were submitted."""
        parent.state, parent.source = Mapped("Resumed."), None
        self._state.move(parent, Phase.DONE)
        self._state.announce(parent, parent.state, map_size=len(self._runs[parent.node].children or ()))
        self.scheduler.propagate(parent)
