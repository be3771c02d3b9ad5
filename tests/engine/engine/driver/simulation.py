"""An executor that finishes units in any order, cuts them short, loses some, and delivers its news in any order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from flowkiln import Flow, Task
from flowkiln.engine.driver import (
    Announce,
    CallHandlers,
    CancelUnits,
    Drained,
    Driver,
    Event,
    Finish,
    GateChanged,
    HandlersCalled,
    LostUnit,
    Release,
    SetGate,
    Started,
    StartRequested,
    SubmitUnits,
    TerminateRequested,
    TimerDue,
    Unit,
    UnitEnded,
    UnitForgotten,
    UnitLost,
    UnitPolicy,
    UnitShortened,
    WaitUntil,
    WorkerLost,
)
from flowkiln.engine.driver.encoding import encode
from flowkiln.engine.driver.units import InlineState, UnitKey
from flowkiln.engine.initial_states import initial_state
from flowkiln.engine.mapping import parts
from flowkiln.engine.prepare import make_environment, prepare
from flowkiln.engine.state import Mapped, State
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.engine.unit_runner import UnitResult, run_unit
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord
from flowkiln.states.transitions import illegal_transitions

WEIGHTS = ((1e-6, 100), (1e-3, 100), (60.0, 100), (1e-6, 10**9))
"""Seconds and bytes that units claim to have taken: they decide who travels together."""


@dataclass(frozen=True)
class Weather:
    """What goes wrong, as probabilities per step."""

    cuts: float = 0.0
    shorter: float = 0.0
    """Units that give their last members back before they end."""
    harmless: float = 0.0
    """Losses that nobody is charged for."""
    charged: float = 0.0
    """Losses that may end in Crashed."""
    gates: float = 0.0
    """The gate closes; it opens again later."""


class Simulation:
    """One run of a flow by the driver, on this executor."""

    def __init__(
        self,
        flow: Flow,
        random: Random,
        *,
        weather: Weather | None = None,
        fuse: bool = True,
        repeats: bool = True,
        keep_results: bool = True,
        given: dict[Task, State] | None = None,
        terminate_after: int | None = None,
        resume: bool = False,
        driver_class: Callable[..., Driver] = Driver,
    ) -> None:
        self.random, self.weather = random, weather or Weather()
        self.prepared = prepare(flow)
        self.environment = make_environment(self.prepared, "r", {}, {}, TaskRunner, None, None)
        self.driver = driver_class(
            self.prepared.graph,
            "r",
            policy=UnitPolicy(fuse=fuse, threads=1, chain=4, largest=3, waves=1, gather=2),
            repeats=repeats,
            kept=None if keep_results else (),
            given={
                self.prepared.numbers[task]: initial_state(
                    self.prepared.graph.nodes[self.prepared.numbers[task]], state, settled=False
                )
                for task, state in (given or {}).items()
            },
            validates=True,
        )
        self.keep_results = keep_results
        self.terminate_after = terminate_after
        self.resume = resume
        self.gate_open = True
        self.waiting: dict[UnitKey, Unit] = {}
        self.held: dict[UnitKey, UnitResult] = {}
        self.dead: set[UnitKey] = set()
        self.forgotten: set[UnitKey] = set()
        self.mail: list[Event] = []
        self.records: list[TaskRunRecord] = []
        self.records_of: dict[UnitKey, tuple[TaskRunRecord, ...]] = {}
        self.due: float | None = None
        self.finish: Finish | None = None
        self.events: list[Event] = []
        self.instructions: list[Any] = []

    def run(self) -> list[State]:
        """Run to the end and give the states by node number, with values if results are kept."""
        self._handle(Started(time.time()))
        steps = 0
        while not self._is_over():
            steps += 1
            assert steps < 5_000, "the run does not end"
            if self.terminate_after is not None and steps > self.terminate_after:
                self._handle(TerminateRequested(time.time()))
                self.terminate_after = None
            else:
                self._step()
        assert self.finish is not None
        assert illegal_transitions(self.records) == []
        return self._states()

    def _is_over(self) -> bool:
        quiet = not self.mail and not self.waiting and (self.gate_open or not self.finish or not self.finish.waiting)
        if self.finish is not None and quiet and self.resume:
            for name in self.finish.waiting:
                local_id, _, index = name.rstrip("]").partition("[")
                self._handle(StartRequested(local_id, int(index) if index else NOT_MAPPED, time.time()))
            quiet = not self.mail and not self.waiting
        return self.finish is not None and quiet

    def _step(self) -> None:
        # What fails with something else is heard of after it.
        unheard = {event.key for event in self.mail if isinstance(event, UnitLost)}
        known = self.dead - unheard
        doomed = [unit for unit in self.waiting.values() if any(need in known for need in unit.needs)]
        ready = [unit for unit in self.waiting.values() if all(need in self.held for need in unit.needs)]
        choices = ["mail"] * bool(self.mail) + ["doomed"] * bool(doomed) + ["work"] * bool(ready)
        if self.due is not None:
            choices += ["timer"]
        if not self.gate_open:
            choices += ["open"]
        assert choices, "nothing can happen any more"
        match self.random.choice(choices):
            case "mail":
                self._handle(self.mail.pop(self.random.randrange(len(self.mail))))
            case "doomed":
                self._lose(self.random.choice(doomed))
            case "open":
                self._handle(GateChanged(True, time.time()))
            case "timer":
                moment, self.due = self.due, None
                self._handle(TimerDue(max(moment or 0.0, time.time())))
            case "work" if self.gate_open and self.random.random() < self.weather.gates:
                self._handle(GateChanged(False, time.time()))
            case "work" if self.random.random() < self.weather.shorter:
                self._shorten(self.random.choice(ready))
            case "work" if self.random.random() < self.weather.harmless:
                self._harmless_loss(ready)
            case "work" if self.random.random() < self.weather.charged:
                self._charged_loss(self.random.choice(ready))
            case _:
                self._work(self.random.choice(ready))

    def _work(self, unit: Unit) -> None:
        members = unit.members if self.gate_open else ()
        if members and self.random.random() < self.weather.cuts:
            members = members[: self.random.randint(1, len(members))]
        needs = [self.held[key] for key in unit.needs]
        del self.waiting[unit.key]
        held, report = run_unit(
            self.environment,
            replace(unit, members=members),
            needs,
            announce=lambda _position, record: self.records.append(record),
        )
        self.records_of[unit.key] = report.records
        self.held[unit.key] = held
        weight = self.random.choice(WEIGHTS)
        self.mail.append(UnitEnded(unit.key, report.outcomes, time.time(), *weight, report.gathered))

    def _shorten(self, unit: Unit) -> None:
        length = self.random.randint(1, max(1, len(unit.members)))
        self.waiting[unit.key] = replace(unit, members=unit.members[:length])
        if length < len(unit.members):
            self._handle(UnitShortened(unit.key, length, time.time()))

    def _lose(self, unit: Unit) -> None:
        del self.waiting[unit.key]
        self.dead.add(unit.key)
        self.mail.append(UnitLost(unit.key, "lost", time.time()))

    def _harmless_loss(self, ready: list[Unit]) -> None:
        several = [unit for unit in ready if len(unit.members) > 1]
        kept = [key for key in self.held if not any(isinstance(m, UnitEnded) and m.key == key for m in self.mail)]
        kinds = ["worker"] + ["unit"] * bool(several) + ["results", "forgotten"] * bool(kept) + ["sent again"]
        match self.random.choice(kinds):
            case "worker":
                self._lose_worker(ready, charged=False)
            case "unit":
                self._lose(self.random.choice(several))
            case "forgotten":
                self._forget(self.random.choice(kept))
            case "sent again":
                unit = self.random.choice(ready)
                del self.waiting[unit.key]
                self._forget(unit.key)
            case _:
                key = self.random.choice(kept)
                del self.held[key]
                self.dead.add(key)
                self._handle(UnitLost(key, "results lost", time.time()))

    def _forget(self, key: UnitKey) -> None:
        """Dask sends a unit again: it does not run, and leaves nothing behind."""
        self.held[key] = UnitResult(())
        self.forgotten.add(key)
        self._handle(UnitForgotten(key, time.time()))

    def _charged_loss(self, unit: Unit) -> None:
        if self.random.random() < 0.5:
            self._lose(unit)
        else:
            self._lose_worker([unit], charged=True)

    def _lose_worker(self, ready: list[Unit], *, charged: bool) -> None:
        units = self.random.sample(ready, self.random.randint(1, len(ready)))
        lost = []
        for unit in units:
            del self.waiting[unit.key]
            self.dead.add(unit.key)
            began = self.random.choice([None, *range(len(unit.members))])
            lost.append(LostUnit(unit.key, began, likely=began is None and self.random.random() < 0.5))
        self.mail.append(WorkerLost(tuple(lost), "worker lost", charged, time.time()))

    def _handle(self, event: Event) -> None:
        if isinstance(event, UnitEnded) and self.driver.expects(event.key):
            self.records.extend(self.records_of[event.key])
        self.events.append(event)
        instructions = self.driver.handle(event)
        self.instructions.append(encode(instructions))
        for instruction in instructions:
            match instruction:
                case SubmitUnits(units):
                    self._submit(units)
                case CancelUnits(keys):
                    for key in keys:
                        self.waiting.pop(key, None)
                        self.held.pop(key, None)
                        self.dead.add(key)
                    self.mail = [m for m in self.mail if not (isinstance(m, UnitEnded) and m.key in keys)]
                case Release(keys):
                    self._release(keys)
                case WaitUntil(moment):
                    self.due = moment
                case CallHandlers(node):
                    self.mail.append(HandlersCalled(node, None, time.time()))
                case Announce(records):
                    self.records.extend(records)
                case SetGate(is_open):
                    self.gate_open = is_open
                case Drained():
                    assert not self.waiting, "units are under way"
                    assert not self.gate_open
                case Finish():
                    self.finish = instruction

    def _submit(self, units: tuple[Unit, ...]) -> None:
        self.finish = None
        self.waiting.update((unit.key, unit) for unit in units)

    def _release(self, keys: Iterable[UnitKey]) -> None:
        for key in keys:
            # What waits for a forgotten unit comes back without having run.
            if key not in self.forgotten:
                self.held.pop(key, None)

    def _states(self) -> list[State]:
        if not self.keep_results:
            return self.driver.states()
        return [self._state(number) for number in range(len(self.prepared.tasks))]

    def _state(self, number: int) -> State:
        runs = self.driver.node_runs(number)
        own: list[State | None] = [self._resolve(self.driver.source_of(run)) for run in runs.all()]
        if runs.children is None or not isinstance(runs.parent.state, Mapped):
            assert own[0] is not None
            return own[0]
        return parts.reduced(Mapped(map_states=own))

    def _resolve(self, source: Any) -> State:
        return source.state if isinstance(source, InlineState) else self.held[source.key].states[source.position]
