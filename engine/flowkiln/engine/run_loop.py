"""Carry out the instructions of the driver, with clock, executor and observers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flowkiln.common.configuration import config
from flowkiln.common.context import context as run_context
from flowkiln.common.exceptions import SerializationError
from flowkiln.common.run_facts import follow_threads
from flowkiln.engine.driver import (
    Announce,
    CallHandlers,
    CancelUnits,
    Drained,
    Driver,
    Event,
    Finish,
    HandlersCalled,
    MemberStuck,
    Release,
    RunGraph,
    SetGate,
    Started,
    SubmitUnits,
    TerminateRequested,
    TimerDue,
    UnitEnded,
    UnitForgotten,
    UnitLost,
    WaitUntil,
    WorkerLost,
)
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import StateRef
from flowkiln.engine.environment import RunEnvironment
from flowkiln.engine.executors.session import Delivery, Session
from flowkiln.engine.initial_states import initial_state
from flowkiln.engine.mapping import parts
from flowkiln.engine.runner import raising
from flowkiln.engine.unit_runner import UnitReport
from flowkiln.states.records import FlowRunRecord, Observer, TaskRunRecord
from flowkiln.states.result import Undelivered
from flowkiln.states.signals import ENDRUN, PAUSE
from flowkiln.states.state import Crashed, Failed, Mapped, State, kind_of

if TYPE_CHECKING:
    from flowkiln.engine.executors.base import Executor


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a graph is run. `repeats` False: one pass.

    `until_resumed` keeps a run open whose unfinished tasks only wait to be resumed. `results_decide`: a wanted result
    that cannot be fetched fails its task, and so perhaps the run; otherwise it is only missing.
    """

    repeats: bool = True
    until_resumed: bool = False
    results_decide: bool = True


class RunLoop:
    """Runs one graph on a started executor."""

    def __init__(
        self,
        graph: RunGraph,
        environment: RunEnvironment,
        executor: Executor,
        *,
        given: Mapping[int, State] | None = None,
        settled: Collection[int] = (),
        options: LoopOptions | None = None,
        observer: Observer | None = None,
        on_waiting: Callable[[], bool] | None = None,
    ) -> None:
        self._graph, self._environment, self._executor = graph, environment, executor
        self._given = {
            number: initial_state(graph.nodes[number], state, settled=number in settled)
            for number, state in (given or {}).items()
        }
        self._options = options or LoopOptions()
        self._observer = observer
        self._on_waiting = on_waiting
        self._waiting_announced = False
        self._inbox: queue.SimpleQueue[Delivery | Event] = queue.SimpleQueue()
        self._early: list[UnitReport | TaskRunRecord] = []
        self._due: float | None = None
        self._over = False
        self._thread = threading.get_ident()
        self.waiting: tuple[str, ...] = ()

    def post(self, event: Event) -> None:
        """Hand an event to the driver; from any thread."""
        self._inbox.put(event)

    def run(self, fetch: Sequence[int] = ()) -> dict[int, State]:
        """Run to the end and give the states of the nodes in `fetch`, with their values; other values go when they can.

        `on_waiting` is called whenever nothing runs and the run waits for a time; False from it ends the run.

        Raises what the executor raises, and with raise_on_exception what tasks raise.
        """
        follow_threads()
        self._thread = threading.get_ident()
        with ExitStack() as stack:
            session = self._executor.open_session(self._environment, self._deliver)
            stack.callback(session.close)
            self._driver = self._make_driver(session, fetch, stack)
            self._handle(Started(time.time()), session)
            while True:
                while not self._over:
                    self._step(session)
                found = self._fetch(fetch, session)
                if self._over:
                    return found

    def _make_driver(self, session: Session, kept: Sequence[int], stack: ExitStack) -> Driver:
        """Make the driver: by a setting, one that records what it is told until the stack is closed."""
        settings, run_id = config.engine.driver, self._environment.run_id
        driver_class: Callable[..., Driver] = Driver
        if settings.record:
            from flowkiln.engine.driver.recording import RecordingDriver

            folder = Path(str(settings.record))
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / f"{run_id}.jsonl").open("w", encoding="utf-8"))
            driver_class = partial(RecordingDriver, file)
        return driver_class(
            self._graph,
            run_id,
            given=self._given,
            policy=session.policy,
            repeats=self._options.repeats,
            kept=kept,
            validates=bool(settings.validate),
        )

    def _deliver(self, item: Delivery) -> None:
        if isinstance(item, list) and threading.get_ident() == self._thread:
            # Of a body that begins or ends now in this thread: it is told before the next one says anything. All that
            # was delivered earlier has been handled.
            self._notify(item)
        else:
            self._inbox.put(item)

    def states(self) -> list[State]:
        """Return the states that decide the run, by node number, without values."""
        return self._driver.states()

    def _step(self, session: Session) -> None:
        item = self._next(timeout=0)
        if item is not None:
            self._take(item, session)
        elif self._is_due():
            self._due = None
            self._handle(TimerDue(time.time()), session)
        elif not session.pump(self._is_awaited) and self._go_on_waiting():
            item = self._next(timeout=None if self._due is None else max(0.0, self._due - time.time()))
            if item is not None:
                self._take(item, session)

    def _is_due(self) -> bool:
        return self._due is not None and self._due <= time.time()

    def _is_awaited(self) -> bool:
        """Return whether there is something to do between two bodies that run in this thread."""
        return not self._inbox.empty() or self._is_due()

    def _next(self, timeout: float | None) -> Delivery | Event | None:
        try:
            return self._inbox.get(block=timeout != 0, timeout=timeout)
        except queue.Empty:
            return None

    def _go_on_waiting(self) -> bool:
        """Announce once that the run is waiting for a time; return False if the run should end instead."""
        idle = self._due is not None and self._driver.in_flight == 0
        if idle and self._on_waiting is not None and not self._waiting_announced:
            self._waiting_announced = True
            self._over = not self._on_waiting()
        return not self._over

    def _take(self, item: Delivery | Event, session: Session) -> None:
        match item:
            case BaseException():
                raise item
            case list():
                self._notify([record for record in item if not self._comes_early(record)])
            case UnitReport(key):
                if self._driver.is_early(key):
                    self._early.append(item)
                else:
                    self._end_unit(item, session)
            case TerminateRequested():
                self._take_early(session)
                self._handle(TerminateRequested(time.time()), session)
            case WorkerLost() | UnitLost() | UnitForgotten() | MemberStuck():
                # Of what was lost something may have been told that was not passed on.
                self._take_early(session)
                self._handle(item, session)
            case _:
                self._handle(item, session)

    def _comes_early(self, record: TaskRunRecord) -> bool:
        """Keep the record of a task run back if its unit uses one that is not known to have ended."""
        unit = self._driver.unit_of(record.task, record.map_index)
        if unit is None or not self._driver.is_early(unit):
            return False
        self._early.append(record)
        return True

    def _end_unit(self, report: UnitReport, session: Session) -> None:
        if self._driver.expects(report.key):
            self._notify(report.records)
        ended = UnitEnded(report.key, report.outcomes, time.time(), report.seconds, report.size, report.gathered)
        self._handle(ended, session)
        if self._early:
            # Each is looked at again: what it waited for may have ended.
            early, self._early = self._early, []
            for item in early:
                self._take([item] if isinstance(item, TaskRunRecord) else item, session)

    def _take_early(self, session: Session) -> None:
        """Pass on all that came before the ends of what it builds on: these may never come."""
        early, self._early = self._early, []
        for item in early:
            if isinstance(item, UnitReport):
                self._end_unit(item, session)
            else:
                self._notify((item,))

    def _handle(self, event: Event, session: Session) -> None:
        for instruction in self._driver.handle(event):
            match instruction:
                case SubmitUnits(units):
                    self._waiting_announced = False
                    session.submit(units)
                case CancelUnits(keys):
                    session.cancel(keys)
                case Release(keys):
                    session.release(keys)
                case WaitUntil(moment):
                    self._due = moment
                case CallHandlers(node, old, new):
                    self.post(self._call_handlers(node, old, new))
                case Announce(records):
                    self._notify(records)
                case SetGate(is_open):
                    session.set_gate(is_open)
                case Drained():
                    self._announce_paused("suspended: nothing starts until it is resumed")
                case Finish(waiting):
                    self._finish(waiting)

    def _finish(self, waiting: tuple[str, ...]) -> None:
        self.waiting = waiting
        self._over = not (waiting and self._options.until_resumed)
        if not self._over:
            self._announce_paused(f"waiting for {', '.join(waiting[:5])}")

    def _announce_paused(self, message: str) -> None:
        if self._observer is not None:
            self._observer.on_flow_run(FlowRunRecord("Paused", message))

    def _notify(self, records: Sequence[TaskRunRecord]) -> None:
        if self._observer is not None and records:
            self._observer.on_task_runs(records)

    def _call_handlers(self, node: int, old: State, new: State) -> HandlersCalled:
        settled = self._settle_on(node, old, new)
        if settled is new:
            return HandlersCalled(node, None, time.time())
        elements, inner = parts.elements_in(settled), parts.inner_elements_in(settled)
        return HandlersCalled(node, settled, time.time(), elements, inner)

    def _settle_on(self, node: int, old: State, new: State) -> State:
        entry = self._environment.entries[node]
        runner = self._environment.task_runner(node)
        full_name = {"map_index": None, "task_full_name": entry.task.name}
        with run_context({**self._environment.context, **entry.context, **full_name}):
            try:
                return runner.handle_state_change(old, new)
            except (ENDRUN, PAUSE) as end:
                if isinstance(end, PAUSE) and raising():
                    raise
                return end.state

    def _fetch(self, numbers: Sequence[int], session: Session) -> dict[int, State]:
        """Fetch the states of these nodes. A lost result reopens the run."""
        wanted: list[TaskRun] = []
        spans = []
        for number in numbers:
            runs = self._driver.node_runs(number)
            spans.append((number, len(runs.all()), runs.children is not None and isinstance(runs.parent.state, Mapped)))
            wanted.extend(runs.all())
        states = iter(self._fetch_runs(wanted, session))
        found: dict[int, State] = {}
        for number, length, is_mapped in spans:
            own_states: list[State | None] = [next(states) for _ in range(length)]
            parent = self._driver.node_runs(number).parent.state
            if is_mapped:
                found[number] = parts.reduced(Mapped(parent.message, map_states=own_states))
                if not own_states:
                    found[number].result = []
            else:
                found[number] = parent if self._driver.node_runs(number).children is not None else own_states[0]  # type: ignore[assignment]
        return found

    def _fetch_runs(self, runs: Sequence[TaskRun], session: Session) -> list[State]:
        sources = [self._driver.source_of(run) for run in runs]
        states = session.fetch(sources)
        known = [run.state for run in runs]
        for number, (source, state) in enumerate(zip(sources, states, strict=True)):
            if isinstance(source, StateRef) and known[number].is_finished() and not state.is_finished():
                # A terminated run stays finished.
                states[number] = Crashed("Its result was lost with a worker.")
                self._over = False
                self._handle(UnitForgotten(source.key, time.time()), session)
            elif isinstance(state._result, Undelivered):
                states[number] = self._fail_undelivered(runs[number], state._result.reason)
        return states

    def _fail_undelivered(self, run: TaskRun, reason: str) -> State:
        """Announce that the result of a task could not be sent to this process."""
        failed = Failed(reason, result=SerializationError(reason))
        if self._options.results_decide:
            name, kind = self._graph.nodes[run.node].local_id, kind_of(failed)
            self._notify([TaskRunRecord(name, run.index, kind, reason, end_time=time.time(), visit=run.visit)])
        return failed
