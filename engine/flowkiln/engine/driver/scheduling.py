"""Select the task runs that can run next, and submit them.

Executors wait for the inputs of a unit, so a task run may be submitted while its upstreams are in flight: mapped
children always are, plain ones as needed to keep every thread busy. If an upstream task run ends unfinished (to be
retried, paused), the task run comes back unchanged, and is submitted again when the upstream has ended.
"""

from __future__ import annotations

from collections.abc import Callable

from flowkiln.engine.driver.assembly import Assembler
from flowkiln.engine.driver.batching import Batching
from flowkiln.engine.driver.in_flight import SubmittedUnit
from flowkiln.engine.driver.instructions import SetGate, SubmitUnits
from flowkiln.engine.driver.phases import Phase
from flowkiln.engine.driver.ready_queue import ReadyQueue
from flowkiln.engine.driver.run_state import RunState
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import Unit
from flowkiln.states.records import NOT_MAPPED


class Scheduler:
    """Submit task runs that can run. `expand` is called for mapped parents that may be ready."""

    def __init__(self, state: RunState, expand: Callable[[TaskRun], None]) -> None:
        self._state, self._nodes, self._runs = state, state.nodes, state.runs
        self._upstreams, self._in_flight = state.upstreams, state.in_flight
        self._expand = expand
        self._assembler = Assembler(
            state.run_id, state.nodes, state.upstreams, state.gathering, state.policy, state.kept, state.repeats
        )
        self._ready_queue = ReadyQueue()
        self.batching = Batching(state.policy)
        self.batch: list[TaskRun] = []
        self._room = 0
        self.is_open = True

    def set_gate(self, is_open: bool) -> None:
        """Open or close the gate; while it is closed, nothing is submitted."""
        if is_open is not self.is_open:
            self.is_open = is_open
            self._state.instructions.append(SetGate(is_open))

    def clear(self) -> None:
        """Discard all queued and batched task runs."""
        self.batch.clear()
        self._ready_queue.clear()
        self._state.moved.clear()

    # -- who can go next ---------------------------------------------------------------------------------------------

    def requeue(self, run: TaskRun) -> None:
        """Requeue a task run from its start state."""
        run.unit, run.source, run.inline = None, run.start_from, False
        self._state.move(run, Phase.WAITING)
        self.consider_run(run)

    def delay(self, run: TaskRun, due: float) -> None:
        """Delay a task run until a time."""
        self._state.move(run, Phase.DELAYED)
        self._state.timers.set(run, due)

    def take_due(self) -> None:
        """Requeue the delayed task runs that are due."""
        if not self._state.repeats:
            return
        while (run := self._state.timers.pop_due(self._state.now)) is not None:
            self._state.move(run, Phase.WAITING)
            self.consider_run(run)

    def propagate(self, run: TaskRun) -> None:
        """Record that the downstream tasks of a task run may be ready."""
        self._state.moved.append(run)

    def follow_moves(self) -> None:
        """Consider the downstream tasks of all task runs that moved."""
        moves = self._state.moved
        while moves:
            moved = moves.popleft()
            if isinstance(moved, TaskRun):
                self._consider_downstream(moved)
            else:
                self._consider_users_of_all(moved.parent.node)

    def _consider_downstream(self, run: TaskRun) -> None:
        if run.index == NOT_MAPPED:
            for number in self._nodes[run.node].downstream:
                if self._nodes[number].visited:
                    self.consider(number)
            return
        for number in self._state.graph.one_to_one[run.node]:
            children = self._runs[number].children
            if children is not None and run.index < len(children) and self._nodes[number].visited:
                self.consider_run(children[run.index])

    def _consider_users_of_all(self, number: int) -> None:
        """Consider the tasks that need all children of a node, now that the last child was submitted or is done."""
        for one in self._state.graph.whole[number]:
            if self._nodes[one].visited:
                self.consider(one)
        for one in self._state.graph.one_to_one[number]:
            # A map over nothing has no waiting children.
            if self._nodes[one].visited and self._runs[one].children is None:
                self.consider(one)

    def consider(self, number: int) -> None:
        """Expand a mapped node, or consider all its task runs."""
        runs = self._runs[number]
        if self._nodes[number].is_mapped and runs.children is None:
            if runs.parent.phase is Phase.WAITING:
                self._expand(runs.parent)
            return
        for run in runs.all():
            self.consider_run(run)

    def consider_run(self, run: TaskRun) -> None:
        """Submit a task run, or add it to the ready queue, if it can run."""
        if run.phase is not Phase.WAITING or (run.visited and not self._state.repeats):
            return
        runs, node = self._runs[run.node], self._nodes[run.node]
        if run is runs.parent and node.is_mapped:
            if runs.children is None:
                self._expand(run)
            return
        if self._ready_queue.is_ready(run) or self._stays_queued(run):
            return
        if not self.can_build_on_upstream(run):
            return
        if run.index != NOT_MAPPED or not self._state.policy.fuse or self._belongs_to_batch(run):
            self.add_to_batch(run)
        else:
            self._ready_queue.put(run, ready=node.is_start or self._upstreams.are_all_finished(run))

    def _stays_queued(self, run: TaskRun) -> bool:
        """Return whether a queued task run stays where it is.

        This is cheaper than checking its upstreams, which are checked again when it is removed from the queue.
        """
        return (
            self._ready_queue.is_early(run)
            and not self._upstreams.are_all_finished(run)
            and not self._belongs_to_batch(run)
        )

    def can_build_on_upstream(self, run: TaskRun) -> bool:
        """Return whether all upstreams of a task run are done or in flight."""
        return self._nodes[run.node].is_start or self._upstreams.are_all_submitted(run)

    def _belongs_to_batch(self, run: TaskRun) -> bool:
        """Return whether all that this task run waits for is in the current batch.

        That is the only one before it, so both form a chain, or several if the batch has room for more.
        """
        if not self.batch:
            return False
        before = self._upstreams.sole_unfinished(run)
        if before is not None:
            return before.phase is Phase.SUBMITTED and before.unit is None
        return len(self.batch) < self._room and self._upstreams.is_rest_in_batch(run)

    # -- submitting --------------------------------------------------------------------------------------------------

    def add_to_batch(self, run: TaskRun) -> None:
        """Add a task run to the current batch."""
        self._state.move(run, Phase.SUBMITTED)
        self.batch.append(run)
        if not self._nodes[run.node].is_mapped or run.index != NOT_MAPPED:
            self.propagate(run)

    def submit(self) -> None:
        """Submit the current batch, ready plain task runs, and some early ones."""
        queue = self._ready_queue
        if not self.is_open or not (self.batch or queue):
            return
        units = self._submit_together(queue.take_ready(self.batching.submittable(queue.ready, self._in_flight.plain)))
        # Tiny ones cost less once they are ready: then they go together.
        while (
            not self.batching.is_tiny
            and self._in_flight.plain < self.batching.target_in_flight
            and (run := queue.take_early()) is not None
        ):
            units.extend(self._submit_together([run]))
        if units:
            self._state.instructions.append(SubmitUnits(tuple(units)))

    def _submit_together(self, runs: list[TaskRun]) -> list[Unit]:
        """Submit the batch with these task runs, and with what is downstream of them as far as there is room."""
        self._room = self.batching.room(len(runs))
        is_one_unit = self._room > 0
        for run in runs:
            if run.phase is Phase.WAITING and self.can_build_on_upstream(run):
                self.add_to_batch(run)
        self.follow_moves()
        self._room = 0
        return self._assemble((lambda plain: max(1, plain)) if is_one_unit else self.batching.batch_size)

    def _assemble(self, batch_size: Callable[[int], int]) -> list[Unit]:
        batch, self.batch = self.batch, []
        assembled = self._assembler.assemble(batch, batch_size)
        for unit, members in assembled:
            is_plain = bool(members) and members[0].index == NOT_MAPPED
            self._in_flight.add(unit.key, SubmittedUnit(members, unit.needs, is_plain))
            self._state.retained.note(unit.key, members, unit.needs)
            self._state.gathering.note(unit.needs)
        return [unit for unit, _ in assembled]
