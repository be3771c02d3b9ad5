"""A map whose children each use all children of another map: these are gathered once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

import pytest

from flowkiln import Flow, flatten, task, triggers, unmapped
from flowkiln.engine.driver import (
    CallHandlers,
    Driver,
    Event,
    HandlersCalled,
    InEdge,
    Instruction,
    LostUnit,
    Node,
    Outcome,
    Release,
    RunGraph,
    Started,
    SubmitUnits,
    TimerDue,
    Unit,
    UnitEnded,
    UnitLost,
    WorkerLost,
)
from flowkiln.engine.driver.units import Children, ChildrenRef
from flowkiln.engine.executors import Executor
from flowkiln.engine.mapping import parts
from flowkiln.states import signals
from flowkiln.states.state import Failed, Mapped, Pending, Retrying, Skipped, State, Success, TriggerFailed

COUNT = 40
GRAPH = RunGraph(
    (
        Node("n0", (), (1, 2), mapped_over=True),
        Node("n1", (InEdge(0, "x", mapped=True),), (2,), level=1),
        Node("n2", (InEdge(0, "x", mapped=True), InEdge(1, "all")), (), level=2),
    )
)


class Run:
    """A driver whose handlers agree at once, and the units that are in flight."""

    def __init__(self, children: int = COUNT) -> None:
        self.driver = Driver(GRAPH, "r", kept=(), validates=True)
        self.in_flight: dict[Any, Unit] = {}
        self.released: list[Any] = []
        (source,) = self.handle(Started(0.0))
        self.handle(self.ended(source, Success(), elements=children))

    def handle(self, event: Event) -> list[Unit]:
        """Take an event and give the units that are submitted."""
        if isinstance(event, UnitEnded | UnitLost):
            self.in_flight.pop(event.key, None)
        new: list[Unit] = []
        todo: list[Instruction] = self.driver.handle(event)
        while todo:
            match todo.pop(0):
                case SubmitUnits(units):
                    new.extend(units)
                case CallHandlers(node):
                    todo += self.driver.handle(HandlersCalled(node, None, 0.0))
                case Release(keys):
                    self.released.extend(keys)
        self.in_flight.update((unit.key, unit) for unit in new)
        return new

    def ended(self, unit: Unit, state: State, elements: int | None = None) -> UnitEnded:
        """Say that all members of a unit came to this state, or that it gathered all."""
        outcomes = tuple(Outcome(one.node, one.map_index, one.visit, state, elements) for one in unit.members)
        return UnitEnded(unit.key, outcomes, 0.0, gathered=len(unit.gather.sources) if unit.gather else 0)

    @property
    def gathering(self) -> list[Unit]:
        """The units in flight that gather."""
        return [unit for unit in self.in_flight.values() if unit.gather]

    def of(self, node: int) -> list[Unit]:
        """The units in flight of a node, by map index."""
        found = [unit for unit in self.in_flight.values() if unit.members and unit.members[0].node == node]
        return sorted(found, key=lambda unit: unit.key[1])


class TestDriver:
    """Which units there are."""

    def test_children_name_what_was_gathered(self) -> None:
        """One unit names all children upstream; all users name that one, and need nothing else of them."""
        run = Run()
        (gathering,) = run.gathering
        assert gathering.gather is not None
        assert len(gathering.gather.sources) == len(gathering.needs) == COUNT
        for user in run.of(2):
            assert user.members[0].upstream[1] == ChildrenRef(gathering.key)
            assert len(user.needs) == 2

    def test_few_children_are_named_one_by_one(self) -> None:
        """That is less work than another unit."""
        run = Run(children=3)
        assert not run.gathering
        assert all(isinstance(user.members[0].upstream[1], Children) for user in run.of(2))

    def test_what_was_gathered_goes_with_its_last_user(self) -> None:
        """Not before, and although all else is kept until then."""
        run = Run()
        (gathering,) = run.gathering
        for unit in (*run.of(1), gathering):
            run.handle(run.ended(unit, Success()))
        *users, last = run.of(2)
        for unit in users:
            run.handle(run.ended(unit, Success()))
        assert gathering.key not in run.released
        run.handle(run.ended(last, Success()))
        assert gathering.key in run.released

    def test_children_that_run_again_are_gathered_again(self) -> None:
        """Who came back meanwhile uses what is gathered then; the first is released."""
        run = Run()
        (first,) = run.gathering
        again, *others = run.of(1)
        users = run.of(2)
        for unit in others:
            run.handle(run.ended(unit, Success()))
        run.handle(run.ended(again, Retrying(start_time=_later())))
        run.handle(run.ended(first, Mapped()))
        for unit in users:
            run.handle(run.ended(unit, Pending()))
        assert first.key in run.released
        run.handle(TimerDue(_later().timestamp()))
        (second,) = run.gathering
        assert second.key != first.key
        assert all(user.members[0].upstream[1] == ChildrenRef(second.key) for user in run.of(2))

    @pytest.mark.parametrize("how", ["unit", "worker"])
    def test_what_is_lost_again_and_again_is_not_gathered_any_more(self, how: str) -> None:
        """Each user then names all children, and is charged for what becomes of itself."""
        run = Run()
        for unit in run.of(1):
            run.handle(run.ended(unit, Success()))
        for _ in range(3):
            (gathering,) = run.gathering
            users = run.of(2)
            if how == "unit":
                run.handle(UnitLost(gathering.key, "lost", 0.0))
            else:
                del run.in_flight[gathering.key]
                run.handle(WorkerLost((LostUnit(gathering.key),), "lost", True, 0.0))
            for user in users:
                run.handle(UnitLost(user.key, "lost with another", 0.0))
        assert not run.gathering
        assert len(run.of(2)) == COUNT
        assert all(isinstance(user.members[0].upstream[1], Children) for user in run.of(2))


def _later() -> dt.datetime:
    return dt.datetime.fromtimestamp(1000.0, dt.UTC)


@task
def numbers() -> list[int]:
    """Make the elements."""
    return list(range(COUNT))


@task
def lists(x: int) -> list[int]:
    """Make elements of an element."""
    return [x, x]


@task
def lists_but_one(x: int) -> list[int]:
    """Fail once."""
    if x == 7:
        raise ValueError(x)
    return [x, x]


@task
def lists_or_skipped(x: int) -> list[int]:
    """Skip one."""
    if x == 7:
        raise signals.SKIP("not this one")
    return [x, x]


def size_of(x: int, whole: list[Any]) -> int:
    """Use an element and all of another map."""
    return x + len(whole)


def counts_all(states: Collection[State]) -> bool:
    """A trigger of the user's, which gets each state."""
    return len(states) == COUNT + 1 and any(state.is_failed() for state in states)


class TestRuns:
    """On every executor."""

    def test_every_child_gets_all_results(self, any_executor: Executor) -> None:
        """As a list of the children's, or flattened."""
        with Flow("f") as flow:
            elements = numbers()
            whole = lists.map(elements)
            nested = task(size_of).map(elements, unmapped(whole))
            flat = task(size_of).map(elements, flatten(unmapped(whole)))
        state = flow.run(executor=any_executor)
        assert state.result[nested].result == [x + COUNT for x in range(COUNT)]
        assert state.result[flat].result == [x + 2 * COUNT for x in range(COUNT)]

    @pytest.mark.parametrize(
        ("trigger", "upstream", "kind"),
        [
            (triggers.all_successful, lists, Success),
            (triggers.all_successful, lists_but_one, TriggerFailed),
            (triggers.any_failed, lists_but_one, Success),
            (triggers.all_finished, lists_or_skipped, Success),
            (triggers.not_all_skipped, lists_or_skipped, Success),
            (triggers.some_failed(at_least=1, at_most=1), lists_but_one, Success),
            (triggers.some_successful(at_least=COUNT + 1), lists_but_one, TriggerFailed),
            (counts_all, lists_but_one, Success),
        ],
    )
    def test_triggers_decide_as_with_all_states(
        self, executor: Executor, trigger: Any, upstream: Any, kind: type[State]
    ) -> None:
        """Whether they look at kinds only or count."""
        with Flow("f") as flow:
            elements = numbers()
            whole = upstream.map(elements)
            users = task(size_of, trigger=trigger, skip_on_upstream_skip=False).map(elements, unmapped(whole))
        state = flow.run(executor=executor)
        assert {type(child) for child in state.result[users].map_states} == {kind}

    def test_one_skipped_child_skips_every_user(self, executor: Executor) -> None:
        """By default."""
        with Flow("f") as flow:
            elements = numbers()
            users = task(size_of).map(elements, unmapped(lists_or_skipped.map(elements)))
        state = flow.run(executor=executor)
        assert {type(child) for child in state.result[users].map_states} == {Skipped}


class TestSummary:
    """What is found out once about children."""

    def test_a_copy_with_other_children_is_asked_anew(self) -> None:
        """So nobody is told what was true of others."""
        whole = parts.gathered([Success(result=1), Success(result=2)])
        assert parts.reduced(whole) is whole
        whole.map_states = [Failed(), None]
        assert not parts.are_children_finished(whole)
        assert [type(state) for state in parts.kinds([whole])] == [Failed, Pending]

    def test_kinds_have_one_state_of_each_built_in_class(self) -> None:
        """And every state of a class of the user's, whose predicates may look at more than the class."""

        class Own(Success):
            pass

        whole = parts.gathered([Success(), Success(), Failed(), Own(), Own()])
        assert sorted(type(state).__name__ for state in parts.kinds([whole])) == ["Failed", "Own", "Own", "Success"]
        assert not parts.is_any_skipped([whole])
        assert parts.is_any_skipped([parts.gathered([Success(), Skipped()])])
