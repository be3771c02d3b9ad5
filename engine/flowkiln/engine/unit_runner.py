"""Execute one unit, in this process or on a Dask worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowkiln.common.context import context as run_context
from flowkiln.common.exceptions import SerializationError
from flowkiln.common.run_facts import run_facts
from flowkiln.common.safe_text import safe_repr
from flowkiln.common.tracebacks import user_traceback
from flowkiln.engine.bodies.interrupts import is_interrupt
from flowkiln.engine.bodies.observer import current_body_observer
from flowkiln.engine.bodies.threads import ThreadSlot
from flowkiln.engine.driver.events import Outcome
from flowkiln.engine.driver.units import (
    Children,
    ChildrenRef,
    Element,
    InlineState,
    Member,
    ResumedState,
    Source,
    StateRef,
    Unit,
    UnitKey,
)
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.mapping import parts
from flowkiln.engine.runner import is_for_caller
from flowkiln.engine.serialization.inline_results import INLINE_LIMIT, INLINE_UNIT_LIMIT, inline_size
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord
from flowkiln.states.result import not_arrived
from flowkiln.states.state import (
    Failed,
    Mapped,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    State,
    kind_of,
    message_text,
    own_class_of,
    without_result,
)

if TYPE_CHECKING:
    from flowkiln.core.edge import Edge

WORK_PER_UNIT = 0.5
"""Seconds of work after which a unit starts no further member."""

MESSAGE_LIMIT = 1024
TRACEBACK_LIMIT = 4096
"""Characters of text that a record carries."""


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What a unit leaves behind: the states of the members that ran, or of the children it gathered, with values."""

    states: Sequence[State]
    _whole: Mapped | None = field(default=None, init=False, compare=False, repr=False)

    def whole(self) -> Mapped:
        """Return the Mapped state of which these are the children: made once, for all that use it in this process."""
        if self._whole is None:
            object.__setattr__(self, "_whole", parts.gathered(self.states))
        return self._whole  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class UnitReport:
    """The report of a unit that ended: outcomes for the driver, records for observers. It only has inline values.

    `seconds` is how long it took, `size` how many bytes it left behind if that is known, `gathered` how many children
    it found.
    """

    key: UnitKey
    outcomes: tuple[Outcome, ...]
    records: tuple[TaskRunRecord, ...]
    seconds: float = 0.0
    size: int = 0
    gathered: int = 0


def run_unit(
    environment: RunEnvironment,
    unit: Unit,
    needs: Sequence[UnitResult],
    *,
    worker: str = "",
    announce: Callable[[int, TaskRunRecord], None] | None = None,
    tell: Callable[[list[TaskRunRecord]], None] | None = None,
    abandon: Callable[[tuple[Outcome, ...], tuple[TaskRunRecord, ...]], None] | None = None,
    slot: Callable[[], ThreadSlot] | None = None,
    may_begin: Callable[[int], bool] = lambda position: True,
    is_shared: bool = True,
) -> tuple[UnitResult, UnitReport]:
    """Run the members of a unit one after another.

    Where the work `is_shared` with others, it starts no further member after half a second: somebody may be idle.
    `announce` is told that the member at a position began, while it runs; `tell` gets the records of what came of it
    once it ends. Without them, these are in the report. `abandon` ends this process, for a member whose body cannot be
    stopped in time: it gets the outcomes and records of all members that ran, those of this one last. Without it such a
    body is left behind in a thread of its own, which runs it in the `slot` of this one. `may_begin` is asked before the
    member at a position starts, or is retried.

    A unit does not run if a needed result is missing: that unit has not run, or its result is lost.
    """
    states: list[State] = []
    held = {unit.key: UnitResult(states)}
    for key, need in zip(unit.needs, needs, strict=True):
        if not need.states:
            return UnitResult(()), UnitReport(unit.key, (), ())
        held[key] = need
    if unit.gather is not None:
        children = tuple(resolve(source, held) for source in unit.gather.sources)
        return UnitResult(children), UnitReport(unit.key, (), (), gathered=len(children))
    outcomes: list[Outcome] = []
    records: list[TaskRunRecord] = []
    began, before, room = time.monotonic(), None, INLINE_UNIT_LIMIT

    def give_up(outcome: Outcome, last: Sequence[TaskRunRecord]) -> None:
        if abandon is not None:
            abandon((*outcomes, outcome), (*records, *last))

    on_stuck = None if abandon is None else give_up

    def is_time_left() -> bool:
        return not is_shared or time.monotonic() - began <= WORK_PER_UNIT

    for position, member in enumerate(unit.members):
        if (states and not is_time_left()) or not may_begin(position):
            break
        recorder = _Recorder(environment.entries[member.node].local_id, member, position, worker, announce)
        state = _run_member(environment, member, held, recorder, on_stuck, slot)
        while isinstance(state, Retrying) and unit.repeats and _is_due(state) and state is not recorder.initial:
            if not is_time_left() or not may_begin(position):
                break
            recorder.start_again(state)
            state = _run_member(
                environment, member._replace(initial=InlineState(state)), held, recorder, on_stuck, slot
            )
        if tell is None:
            records.extend(recorder.end(state))
        else:
            tell(recorder.end(state))
        if states and before is not None and before.only_for_next and state.is_finished():
            states[-1] = without_result(states[-1])
        states.append(state)
        before = member
        size = inline_size(state, min(INLINE_LIMIT, room))
        room -= size or 0
        outcomes.append(_outcome(environment, member, state, inline=size is not None))
    report = UnitReport(unit.key, tuple(outcomes), tuple(records), time.monotonic() - began)
    return UnitResult(tuple(states)), report


def _is_due(state: Retrying) -> bool:
    return state.start_time.timestamp() <= time.time()


def resolve(source: Source, held: Mapping[UnitKey, UnitResult]) -> State:
    """Return the state of a source."""
    match source:
        case StateRef():
            # A truncated unit holds fewer states than it had members.
            states, position = held[source.key].states, source.position
            return states[position] if position < len(states) else Pending("Not run yet.")
        case InlineState():
            return source.state
        case Element():
            return parts.pick(resolve(source.source, held), source.path)
        case ChildrenRef(key):
            return held[key].whole()
        case ResumedState(inner):
            return _resumed(resolve(inner, held))
        case Children(sources):
            return parts.reduced(Mapped(map_states=[resolve(one, held) for one in sources]))


def _resumed(waiting: State) -> State:
    resumed = Resume("Resumed.", cached_inputs=getattr(waiting, "cached_inputs", None))
    if hasattr(waiting, "_loop"):
        resumed._loop = waiting._loop  # type: ignore[attr-defined]
    return resumed


def _run_member(
    environment: RunEnvironment,
    member: Member,
    held: Mapping[UnitKey, UnitResult],
    recorder: _Recorder,
    on_stuck: Callable[[Outcome, Sequence[TaskRunRecord]], None] | None,
    slot: Callable[[], ThreadSlot] | None,
) -> State:
    entry = environment.entries[member.node]
    runner = environment.task_runner(member.node)
    runner.on_state = recorder.write
    runner.slot = slot
    if on_stuck is not None:
        runner.on_stuck = lambda state: on_stuck(_last_outcome(environment, member, state), recorder.end(state))
    mapped_parent = member.map_index == NOT_MAPPED
    initial = None if member.initial is None else resolve(member.initial, held)
    recorder.initial = initial
    context = {
        **environment.context,
        **entry.context,
        "map_index": None if mapped_parent else member.map_index,
        "run_id": environment.run_id,
        "task_local_id": entry.local_id,
    }
    try:
        upstream = {
            edge: _resolve_upstream(edge, source, held)
            for edge, source in zip(entry.edges, member.upstream, strict=True)
        }
    except SerializationError as error:
        if is_for_caller(error):
            raise
        return runner.refuse(Failed(str(error), result=error), initial, context)
    except BaseException as error:
        if is_for_caller(error):
            raise
        failure = Failed(f"An element of what is mapped over could not be taken: {safe_repr(error)}", result=error)
        return runner.refuse(failure, initial, context)
    try:
        return runner.run(state=initial, upstream_states=upstream, context=context)
    finally:
        recorder.end_body()


def _resolve_upstream(edge: Edge, source: Source, held: Mapping[UnitKey, UnitResult]) -> State:
    try:
        return resolve(source, held)
    except SerializationError as error:
        raise not_arrived(edge.upstream_task, error) from error


class _Recorder:
    """Writes the records of one task run."""

    __slots__ = (
        *("initial", "_local_id", "_member", "_position", "_worker", "_announce"),
        *("_started", "_runs", "_records", "_last", "_end_body"),
    )

    def __init__(
        self,
        local_id: str,
        member: Member,
        position: int,
        worker: str,
        announce: Callable[[int, TaskRunRecord], None] | None,
    ) -> None:
        self._local_id, self._member, self._position = local_id, member, position
        self._worker, self._announce = worker, announce
        self._started: float | None = None
        self._runs = 0
        self._records: list[TaskRunRecord] = []
        self.initial: State | None = None
        self._last: State | None = None
        self._end_body: Callable[[], None] | None = None

    def write(self, state: State) -> None:
        now = time.time()
        self._last = state
        if isinstance(state, Running):
            self._started = now if self._started is None else self._started
            self._runs = run_context.get("task_run_count", 1)
            self._records.append(self._record(state, now))
            if self._announce is not None:
                # Earlier records are sent first: in a loop there are some.
                for record in self._records:
                    self._announce(self._position, record)
                self._records.clear()
            self._begin_body()
        else:
            self._records.append(self._record(state, now))

    def _begin_body(self) -> None:
        watch = current_body_observer()
        if watch is not None:
            # An earlier body of the same loop.
            self.end_body()
            facts = run_facts()
            watch.began(facts)
            self._end_body = lambda: watch.ended(facts)

    def end_body(self) -> None:
        """Notify the observer that the body has ended, if it started."""
        if self._end_body is not None:
            self._end_body()
            self._end_body = None

    def start_again(self, state: State) -> None:
        """Start the next attempt after one that ended in `state`."""
        self.end(state)
        self._started = None

    def end(self, state: State) -> list[TaskRunRecord]:
        """Return all records, including a final state that no handler saw."""
        if state is self._last:
            return self._records
        came_back_unchanged = state is self.initial or (not self._records and type(state) is Pending)
        if not came_back_unchanged and not (self._records and _is_of(self._records[-1], state)):
            self._records.append(self._record(state, time.time()))
        return self._records

    def _record(self, state: State, now: float) -> TaskRunRecord:
        # By position: names would take twice as long.
        return TaskRunRecord(
            self._local_id,
            self._member.map_index,
            kind_of(state),
            message_text(state, MESSAGE_LIMIT),
            _traceback(state) if isinstance(state, Failed) else "",
            self._started,
            now if state.is_finished() else None,
            state.start_time.timestamp() if isinstance(state, Scheduled) else None,
            state.run_count if isinstance(state, Retrying) else self._runs,
            self._member.visit,
            None,
            self._worker,
            own_class_of(state),
        )


def _is_of(record: TaskRunRecord, state: State) -> bool:
    return (record.state, record.state_class) == (kind_of(state), own_class_of(state))


def _traceback(state: Failed) -> str:
    error = state.result
    return user_traceback(error)[-TRACEBACK_LIMIT:] if isinstance(error, BaseException) else ""


def _last_outcome(environment: RunEnvironment, member: Member, state: State) -> Outcome:
    """Return the outcome of a member whose process ends: it includes the error, which would be lost."""
    outcome = _outcome(environment, member, state, inline=False)
    if isinstance(state.result, TimeoutError):
        outcome.state.result = state.result
    return outcome


def _outcome(environment: RunEnvironment, member: Member, state: State, *, inline: bool) -> Outcome:
    entry = environment.entries[member.node]
    elements = inner = None
    if state.is_finished() and (entry.count_elements or entry.count_inner):
        try:
            elements = parts.elements_in(state)
            inner = parts.inner_elements_in(state) if entry.count_inner else None
        except BaseException as error:
            # The result is an object of a user's class. If it cannot be counted, it cannot be mapped over.
            if is_interrupt(error):
                raise
    told = state if inline else without_result(state)
    return Outcome(member.node, member.map_index, member.visit, told, elements, inner, inline)
