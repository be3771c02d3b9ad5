"""What the driver instructs, as values: no flow, no executor, no clock."""

from __future__ import annotations

import datetime as dt

import pytest

from flowkiln.engine.driver import (
    Announce,
    CallHandlers,
    CancelUnits,
    Driver,
    Event,
    Finish,
    HandlersCalled,
    InEdge,
    InitialState,
    Instruction,
    LostUnit,
    MemberStuck,
    Node,
    Outcome,
    Release,
    RunGraph,
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
from flowkiln.engine.driver.task_runs import TaskRun
from flowkiln.engine.driver.units import Children, Element, InlineState, StateRef
from flowkiln.engine.driver.upstreams import UpstreamView
from flowkiln.engine.state import (
    Cached,
    Cancelled,
    Crashed,
    Failed,
    Mapped,
    Paused,
    Pending,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Submitted,
    Success,
    TimedOut,
)
from flowkiln.states.records import NOT_MAPPED

NOW = 1_000_000.0


def at(seconds: float) -> dt.datetime:
    """A moment relative to the start of the run."""
    return dt.datetime.fromtimestamp(NOW + seconds, dt.UTC)


def graph(*nodes: tuple[InEdge, ...] | list[InEdge]) -> RunGraph:
    """Make a graph of nodes n0, n1, … from the edges into each."""
    downstream: list[dict[int, None]] = [{} for _ in nodes]
    for number, edges in enumerate(nodes):
        for edge in edges:
            downstream[edge.upstream][number] = None
    return RunGraph(
        tuple(
            Node(
                f"n{number}",
                tuple(edges),
                tuple(downstream[number]),
                mapped_over=any(e.mapped and e.upstream == number for each in nodes for e in each),
                flattened_over=any(e.mapped and e.flattened and e.upstream == number for each in nodes for e in each),
            )
            for number, edges in enumerate(nodes)
        )
    )


CHAIN = graph([], [InEdge(0, "x")], [InEdge(1, "x")])
MAPPED = graph([], [InEdge(0, "x", mapped=True)], [InEdge(1, "xs")])


class RecordingDriver(Driver):
    """A driver whose mapped parents have handlers that agree at once."""

    def handle(self, event: Event) -> list[Instruction]:
        """Take an event, and the answers of handlers."""
        out = super().handle(event)
        for called in [one for one in out if isinstance(one, CallHandlers)]:
            out += self.handle(HandlersCalled(called.node, None, NOW))
        return out


def started(
    shape: RunGraph, driver_class: type[Driver] = RecordingDriver, **options: object
) -> tuple[Driver, list[Instruction]]:
    """Start a run."""
    driver = driver_class(shape, "r", validates=True, **options)  # type: ignore[arg-type]
    return driver, driver.handle(Started(NOW))


def units(instructions: list[Instruction]) -> list[Unit]:
    """The units that are to be submitted."""
    return [unit for one in instructions if isinstance(one, SubmitUnits) for unit in one.units]


def runs(unit: Unit) -> list[tuple[int, int]]:
    """The members of a unit as node and map index."""
    return [(member.node, member.map_index) for member in unit.members]


def ended(unit: Unit, *states: State, elements: int | None = None) -> UnitEnded:
    """Say that the members of a unit came to these states."""
    outcomes = (
        Outcome(member.node, member.map_index, member.visit, state, elements)
        for member, state in zip(unit.members, states, strict=False)
    )
    return UnitEnded(unit.key, tuple(outcomes), NOW)


def kinds(instructions: list[Instruction]) -> list[str]:
    """The classes of instructions."""
    return [type(one).__name__ for one in instructions]


class TestSubmission:
    """Everything whose dependencies are static goes up front."""

    def test_a_chain_is_submitted_at_once(self) -> None:
        """Each unit needs the one before, and finds its state there."""
        _, out = started(CHAIN)
        one, two, three = units(out)
        assert (one.needs, two.needs, three.needs) == ((), (one.key,), (two.key,))
        assert two.members[0].upstream == (StateRef(one.key, 0),)

    def test_a_chain_travels_as_one_unit(self) -> None:
        """When units may be fused."""
        _, out = started(CHAIN, policy=UnitPolicy(fuse=True))
        (unit,) = units(out)
        assert runs(unit) == [(0, -1), (1, -1), (2, -1)]
        assert unit.needs == ()
        assert unit.members[1].upstream == (StateRef(unit.key, 0),)

    def test_what_branches_does_not_travel_together(self) -> None:
        """Others wait for it."""
        _, out = started(graph([], [InEdge(0)], [InEdge(0)]), policy=UnitPolicy(fuse=True, threads=2))
        assert sorted(map(runs, units(out))) == [[(0, -1)], [(1, -1)], [(2, -1)]]

    def test_keys_are_tuples_of_task_and_run_index_and_visit(self) -> None:
        """So that Dask's prefix is the task."""
        _, out = started(CHAIN)
        assert units(out)[0].key == ("n0-r", NOT_MAPPED, 1)

    def test_an_empty_graph_is_finished(self) -> None:
        """At once."""
        _, out = started(RunGraph(()))
        assert out == [Finish(())]


class TestGivenStates:
    """What a caller's state does to a task."""

    @pytest.mark.parametrize(
        ("state", "submitted"),
        [
            (None, True),
            (Pending(), True),
            (Retrying(start_time=at(-1)), True),
            (Scheduled(start_time=at(-1)), True),
            (Cached(), True),
            (Success(), False),
            (Failed(), False),
            (Skipped(), False),
            (Mapped(), False),
            (Running(), False),
            (Paused(), False),
            (State(), False),
            (Submitted(), False),
            (Scheduled(start_time=at(5)), False),
        ],
    )
    def test_which_are_submitted(self, state: State | None, submitted: bool) -> None:
        """Finished ones stand, Cached ones are validated, Paused and Running ones are left alone."""
        given = {} if state is None else {0: InitialState(state)}
        driver, out = started(graph([]), given=given)
        assert bool(units(out)) is submitted
        if submitted and state is not None:
            assert units(out)[0].members[0].initial == InlineState(state)
        if not submitted:
            assert driver.source_of(driver.node_runs(0).parent) == InlineState(state)

    def test_a_cached_state_that_this_run_reached_is_final(self) -> None:
        """It is not validated again."""
        _, out = started(graph([]), given={0: InitialState(Cached(), settled=True)})
        assert out == [Finish(())]

    def test_downstream_takes_a_given_state_literally(self) -> None:
        """No unit holds it."""
        state = Success(result=1)
        _, out = started(graph([], [InEdge(0, "x")]), given={0: InitialState(state)})
        (unit,) = units(out)
        assert unit.members[0].upstream == (InlineState(state),)
        assert unit.needs == ()


class TestWaiting:
    """Retries, start times, pauses."""

    def test_a_retry_waits_for_its_time(self) -> None:
        """Then it starts from the state it came to."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        assert driver.handle(ended(unit, Retrying(start_time=at(5)))) == [WaitUntil(NOW + 5)]
        (again,) = units(driver.handle(TimerDue(NOW + 5)))
        assert again.key == ("n0-r", -1, 2)
        assert again.members[0].initial == StateRef(unit.key, 0)
        assert again.needs == (unit.key,)

    def test_a_retry_that_is_due_goes_at_once(self) -> None:
        """Without a timer."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        assert kinds(driver.handle(ended(unit, Retrying(start_time=at(0))))) == ["SubmitUnits"]

    def test_the_earliest_time_is_asked_for_first(self) -> None:
        """And asked for again when an earlier one comes up."""
        driver, out = started(graph([], [], []))
        one, two, three = units(out)
        assert driver.handle(ended(one, Retrying(start_time=at(9)))) == [WaitUntil(NOW + 9)]
        assert driver.handle(ended(two, Retrying(start_time=at(5)))) == [WaitUntil(NOW + 5)]
        assert driver.handle(ended(three, Retrying(start_time=at(7)))) == []
        due = driver.handle(TimerDue(NOW + 6))
        assert [runs(unit) for unit in units(due)] == [[(1, -1)]]
        assert WaitUntil(NOW + 7) in due

    def test_what_is_downstream_comes_back_and_goes_again(self) -> None:
        """It found its upstream unfinished: that was no visit."""
        driver, out = started(graph([], [InEdge(0, "x")]))
        one, two = units(out)
        driver.handle(ended(one, Retrying(start_time=at(5))))
        assert units(driver.handle(ended(two, Pending()))) == []
        again = units(driver.handle(TimerDue(NOW + 5)))
        assert [runs(unit) for unit in again] == [[(0, -1)], [(1, -1)]]
        assert again[1].members[0].upstream == (StateRef(again[0].key, 0),)
        assert driver.handle(ended(again[0], Success())) == []
        assert driver.handle(ended(again[1], Success())) == [Finish(())]

    def test_a_pause_ends_the_run_waiting(self) -> None:
        """What waits is named."""
        driver, out = started(graph([], [InEdge(0, "x")], []))
        one, two, three = units(out)
        driver.handle(ended(one, Paused()))
        driver.handle(ended(two, Pending()))
        assert driver.handle(ended(three, Success())) == [Finish(("n0", "n1"))]

    def test_one_pass_repeats_nothing(self) -> None:
        """Neither a retry that is due nor what is downstream of it."""
        driver, out = started(graph([], [InEdge(0, "x")]), repeats=False)
        one, two = units(out)
        assert driver.handle(ended(one, Retrying(start_time=at(-1)))) == []
        assert driver.handle(ended(two, Pending())) == [Finish(("n0", "n1"))]
        assert driver.handle(TimerDue(NOW + 100)) == []

    def test_members_that_did_not_run_go_again(self) -> None:
        """A unit stops at the first that ends unfinished, or after some work."""
        driver, out = started(CHAIN, policy=UnitPolicy(fuse=True))
        (unit,) = units(out)
        (rest,) = units(driver.handle(ended(unit, Success())))
        assert runs(rest) == [(1, -1), (2, -1)]
        assert rest.members[0].upstream == (StateRef(unit.key, 0),)
        assert rest.needs == (unit.key,)

    def test_members_that_a_unit_gives_back_go_elsewhere_meanwhile(self) -> None:
        """What ran there still counts when it ends; news of a unit that has ended change nothing."""
        driver, out = started(graph([], *([InEdge(0, mapped=True)],)), policy=UnitPolicy(fuse=True, waves=1))
        (source,) = units(out)
        (unit,) = units(driver.handle(ended(source, Success(), elements=3)))
        back = units(driver.handle(UnitShortened(unit.key, 1, NOW)))
        assert [run for one in back for run in runs(one)] == [(1, 1), (1, 2)]
        assert units(driver.handle(ended(unit, Success()))) == []
        assert driver.handle(UnitShortened(unit.key, 1, NOW)) == []
        for one in back:
            out = driver.handle(ended(one, *[Success()] * len(one.members)))
        assert out == [Finish(())]


@pytest.mark.parametrize("policy", [UnitPolicy(), UnitPolicy(fuse=True)], ids=["one by one", "fused"])
def test_a_task_with_very_many_upstream_is_not_compared_with_all_of_them_each_time(
    policy: UnitPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of looks grows with the number of edges, not with its square."""
    looks = 0
    is_submitted = UpstreamView.is_submitted

    def counted(self: UpstreamView, edge: InEdge, run: TaskRun) -> bool:
        nonlocal looks
        looks += 1
        return is_submitted(self, edge, run)

    monkeypatch.setattr(UpstreamView, "is_submitted", counted)
    count = 300
    driver, out = started(graph(*[[] for _ in range(count)], [InEdge(n) for n in range(count)]), policy=policy)
    waiting = units(out)
    while waiting:
        unit = waiting.pop(0)
        waiting += units(driver.handle(ended(unit, *[Success()] * len(unit.members))))
    assert all(state.is_successful() for state in driver.states())
    assert looks < 10 * count


class TestMaps:
    """The driver expands maps when it knows the number of elements."""

    def test_children_are_submitted_and_the_reducer_with_them(self) -> None:
        """The parent's handlers are called once."""
        driver, out = started(MAPPED)
        (source,) = units(out)
        out = driver.handle(ended(source, Success(), elements=2))
        first, second, reducer = units(out)
        assert [runs(first), runs(second), runs(reducer)] == [[(1, 0)], [(1, 1)], [(2, -1)]]
        assert first.members[0].upstream == (Element(StateRef(source.key, 0), (0,)),)
        assert reducer.members[0].upstream == (Children((StateRef(first.key, 0), StateRef(second.key, 0))),)
        (called,) = [one for one in out if isinstance(one, CallHandlers)]
        assert (called.node, type(called.new)) == (1, Mapped)
        (announced,) = [one for one in out if isinstance(one, Announce)]
        assert (announced.records[0].state, announced.records[0].map_size) == ("Mapped", 2)

    def test_an_empty_map_lets_the_reducer_go(self) -> None:
        """With no children."""
        driver, out = started(MAPPED)
        (source,) = units(out)
        (reducer,) = units(driver.handle(ended(source, Success(), elements=0)))
        assert reducer.members[0].upstream == (Children(()),)

    def test_a_map_over_a_map_goes_child_by_child(self) -> None:
        """Each needs its twin alone."""
        shape = graph([], [InEdge(0, "x", mapped=True)], [InEdge(1, "x", mapped=True)])
        driver, out = started(shape)
        (source,) = units(out)
        made = {tuple(runs(unit)): unit for unit in units(driver.handle(ended(source, Success(), elements=2)))}
        assert made[((2, 1),)].needs == (made[((1, 1),)].key,)

    def test_chained_maps_travel_depth_first(self) -> None:
        """A child and its twin downstream are one unit."""
        shape = graph([], [InEdge(0, "x", mapped=True)], [InEdge(1, "x", mapped=True)])
        driver, out = started(shape, policy=UnitPolicy(fuse=True, largest=1))
        (source,) = units(out)
        assert [runs(unit) for unit in units(driver.handle(ended(source, Success(), elements=2)))] == [
            [(1, 0), (2, 0)],
            [(1, 1), (2, 1)],
        ]

    def test_flattening_picks_by_two_indexes(self) -> None:
        """Inner elements of one result."""
        shape = graph([], [InEdge(0, "x", mapped=True, flattened=True)])
        driver, out = started(shape)
        (source,) = units(out)
        outcome = Outcome(0, -1, 1, Success(), 3, (1, 0, 2))
        made = units(driver.handle(UnitEnded(source.key, (outcome,), NOW)))
        assert [unit.members[0].upstream for unit in made] == [
            (Element(StateRef(source.key, 0), path),) for path in ((0, 0), (2, 0), (2, 1))
        ]

    def test_nothing_to_map_is_the_task_runners_to_judge(self) -> None:
        """The parent itself is submitted."""
        driver, out = started(MAPPED)
        (source,) = units(out)
        parent, reducer = units(driver.handle(ended(source, Failed())))
        assert (runs(parent), runs(reducer)) == ([(1, -1)], [(2, -1)])

    def test_a_given_mapped_state_is_expanded_again(self) -> None:
        """Finished children are kept, others start from their states or fresh."""
        done, waiting = Success(result=1), Retrying(start_time=at(-1))
        given = {
            0: InitialState(Success(result=[1, 2, 3]), 3),
            1: InitialState(
                Mapped(map_states=[done, waiting, None]), children=(InitialState(done), InitialState(waiting), None)
            ),
        }
        driver, out = started(MAPPED, given=given)
        assert [(runs(unit), unit.members[0].initial) for unit in units(out)[:2]] == [
            ([(1, 1)], InlineState(waiting)),
            ([(1, 2)], None),
        ]
        children = driver.node_runs(1).children
        assert children is not None
        assert driver.source_of(children[0]) == InlineState(done)

    def test_the_run_does_not_end_before_the_parents_handlers_were_heard(self) -> None:
        """Whatever else happens meanwhile."""
        driver, out = started(graph([], [InEdge(0, "x", mapped=True)], []), Driver)
        source, other = units(out)
        driver.handle(ended(source, Success(), elements=0))
        assert driver.handle(ended(other, Success())) == []
        assert driver.handle(HandlersCalled(1, None, NOW)) == [Finish(())]

    def test_a_handler_may_replace_the_parents_state(self) -> None:
        """What is downstream takes it, and not the children's."""
        driver, out = started(MAPPED, Driver)
        (source,) = units(out)
        assert units(driver.handle(ended(source, Success(), elements=2))) == []
        replaced = Failed("by a handler")
        *children, reducer = units(driver.handle(HandlersCalled(1, replaced, NOW)))
        assert [runs(one) for one in children] == [[(1, 0)], [(1, 1)]]
        assert reducer.members[0].upstream == (InlineState(replaced),)
        assert driver.states()[1] is replaced
        for unit in (*children, reducer):
            out = driver.handle(ended(unit, Success()))
        assert out == [Finish(())]

    def test_a_handler_may_give_other_elements_to_map_over(self) -> None:
        """A map over the map then takes the elements of that result."""
        driver, out = started(graph([], [InEdge(0, "x", mapped=True)], [InEdge(1, "x", mapped=True)]), Driver)
        (source,) = units(out)
        driver.handle(ended(source, Success(), elements=1))
        replaced = Success(result=["a", "b", "c"])
        assert units(driver.handle(HandlersCalled(1, replaced, NOW, elements=3))) == []
        child, *below = units(driver.handle(HandlersCalled(2, None, NOW)))
        assert runs(child) == [(1, 0)]
        assert [runs(one) for one in below] == [[(2, 0)], [(2, 1)], [(2, 2)]]
        assert [one.members[0].upstream for one in below] == [(Element(InlineState(replaced), (n,)),) for n in range(3)]

    def test_a_handler_may_pause_the_parent_until_it_is_resumed(self) -> None:
        """Its children run, what is downstream waits, and the run says for whom."""
        driver, out = started(MAPPED, Driver)
        (source,) = units(out)
        driver.handle(ended(source, Success(), elements=1))
        (child,) = units(driver.handle(HandlersCalled(1, Paused("by a handler"), NOW)))
        assert driver.handle(ended(child, Success())) == [Finish(("n1", "n2"))]
        (reducer,) = units(driver.handle(StartRequested("n1", -1)))
        assert reducer.members[0].upstream == (Children((StateRef(child.key, 0),)),)
        assert driver.handle(ended(reducer, Success())) == [Finish(())]

    def test_a_parent_that_a_handler_holds_up_is_terminated_too(self) -> None:
        """As everything that is not done."""
        driver, out = started(MAPPED, Driver)
        (source,) = units(out)
        driver.handle(ended(source, Success(), elements=1))
        driver.handle(HandlersCalled(1, Pending("by a handler"), NOW))
        driver.handle(TerminateRequested(NOW))
        assert [type(state) for state in driver.states()] == [Success, Cancelled, Cancelled]

    def test_an_empty_map_waits_for_the_handlers_of_another_one(self) -> None:
        """They may hold it up, although it has no children that would."""
        driver, out = started(
            graph([], [InEdge(0, "x", mapped=True)], [InEdge(0, "x", mapped=True), InEdge(1)]), Driver
        )
        (source,) = units(out)
        driver.handle(ended(source, Success(), elements=0))
        assert driver.states()[2].is_pending()
        assert driver.handle(HandlersCalled(1, Paused("by a handler"), NOW))[-1:] == [Finish(("n1", "n2"))]
        driver.handle(StartRequested("n1", -1))
        assert type(driver.states()[2]) is Mapped

    def test_an_empty_map_waits_for_what_else_is_upstream(self) -> None:
        """There are no children that would; what is downstream must not run before it."""
        driver, out = started(graph([], [], [InEdge(0, "x", mapped=True), InEdge(1)], [InEdge(2, "xs")]))
        source, other = units(out)
        assert units(driver.handle(ended(source, Success(), elements=0))) == []
        assert driver.states()[2].is_pending()
        (reducer,) = units(driver.handle(ended(other, Success())))
        assert runs(reducer) == [(3, -1)]


class TestLosses:
    """Who is charged, who goes again, who is Crashed."""

    def test_members_of_a_lost_unit_go_again_one_by_one(self) -> None:
        """It is not known which one is to blame."""
        driver, out = started(CHAIN, policy=UnitPolicy(fuse=True))
        (unit,) = units(out)
        again = units(driver.handle(UnitLost(unit.key, "gone", NOW)))
        assert [runs(one) for one in again] == [[(0, -1)], [(1, -1)], [(2, -1)]]

    def test_what_failed_with_something_else_is_not_blamed(self) -> None:
        """It goes again with that one's state as a literal."""
        driver, out = started(graph([], [InEdge(0, "x")]))
        one, two = units(out)
        assert kinds(driver.handle(UnitLost(one.key, "gone", NOW))) == ["Announce"]
        (again,) = units(driver.handle(UnitLost(two.key, "gone with it", NOW)))
        (source,) = again.members[0].upstream
        assert isinstance(source, InlineState)
        assert isinstance(source.state, Crashed)
        assert driver.handle(ended(again, Success())) == [Finish(())]

    def test_a_worker_is_charged_to_what_ran_on_it(self) -> None:
        """What was queued there goes again at no cost; the third time is the last."""
        driver, out = started(graph([], []))
        one, two = units(out)
        for _ in range(2):
            lost = (LostUnit(one.key, 0), LostUnit(two.key))
            out = driver.handle(WorkerLost(lost, "died", True, NOW))
            assert CancelUnits((one.key, two.key)) in out
            one, two = units(out)
        out = driver.handle(WorkerLost((LostUnit(one.key, 0), LostUnit(two.key)), "died", True, NOW))
        assert [runs(unit) for unit in units(out)] == [[(1, -1)]]
        assert isinstance(driver.states()[0], Crashed)
        assert driver.states()[0].message == "died"

    def test_a_worker_that_was_ended_on_purpose_costs_nothing(self) -> None:
        """Any number of times."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        for _ in range(10):
            (unit,) = units(driver.handle(WorkerLost((LostUnit(unit.key, 0),), "ended", False, NOW)))
        assert driver.handle(ended(unit, Success())) == [Finish(())]

    def test_a_stuck_member_has_its_outcome_and_the_others_go_again(self) -> None:
        """Its worker was ended, and all that the unit had done with it, which is announced."""
        driver, out = started(CHAIN, policy=UnitPolicy(fuse=True))
        (unit,) = units(out)
        large, stuck = Outcome(0, -1, 1, Success()), Outcome(1, -1, 1, TimedOut("too long"))
        out = driver.handle(MemberStuck(unit.key, (large, stuck), NOW))
        assert CancelUnits((unit.key,)) in out
        assert [run for one in units(out) for run in runs(one)] == [(0, -1), (2, -1)]
        assert isinstance(driver.states()[1], TimedOut)
        (announced,) = [record for o in out if isinstance(o, Announce) for record in o.records]
        assert (announced.task, announced.state) == ("n0", "Pending")

    def test_small_results_beside_a_stuck_member_are_kept(self) -> None:
        """They came with the news of it, so what gave them does not run again."""
        driver, out = started(CHAIN, policy=UnitPolicy(fuse=True))
        (unit,) = units(out)
        small, stuck = Outcome(0, -1, 1, Success(result=1), inline=True), Outcome(1, -1, 1, TimedOut("too long"))
        out = driver.handle(MemberStuck(unit.key, (small, stuck), NOW))
        assert [run for one in units(out) for run in runs(one)] == [(2, -1)]
        assert driver.source_of(driver.node_runs(0).parent) == InlineState(Success(result=1))

    def test_results_that_are_lost_are_made_again(self) -> None:
        """And that is announced."""
        driver, out = started(graph([], []))
        one, two = units(out)
        driver.handle(ended(one, Success()))
        out = driver.handle(UnitLost(one.key, "gone", NOW))
        (again,) = units(out)
        assert runs(again) == [(0, -1)]
        (announced,) = [record for o in out if isinstance(o, Announce) for record in o.records]
        assert (announced.task, announced.state) == ("n0", "Pending")
        driver.handle(ended(two, Success()))
        assert driver.handle(ended(again, Success())) == [Finish(())]

    def test_a_waiting_state_that_is_lost_is_taken_as_it_is_known(self) -> None:
        """The next visit starts from a copy without values."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        driver.handle(ended(unit, Retrying(start_time=at(5), run_count=2)))
        driver.handle(UnitLost(unit.key, "gone", NOW))
        (again,) = units(driver.handle(TimerDue(NOW + 5)))
        initial = again.members[0].initial
        assert isinstance(initial, InlineState)
        assert isinstance(initial.state, Retrying)
        assert initial.state.run_count == 2
        assert again.needs == ()

    def test_a_large_result_that_is_forgotten_is_made_again(self) -> None:
        """Its unit is released, and what waits for it comes back without having run and goes again."""
        driver, out = started(graph([], [InEdge(0, "x")]))
        one, two = units(out)
        driver.handle(ended(one, Success()))
        out = driver.handle(UnitForgotten(one.key, NOW))
        assert Release((one.key,)) in out
        (again,) = units(out)
        assert runs(again) == [(0, -1)]
        (announced,) = [record for o in out if isinstance(o, Announce) for record in o.records]
        assert (announced.state, announced.message) == (
            "Pending",
            "Its result was lost with a worker, so it runs again.",
        )
        (user,) = units(driver.handle(ended(two)))
        assert user.needs == (again.key,)

    def test_a_small_result_that_is_forgotten_is_known(self) -> None:
        """Nothing runs again; what waits for it gets it literally, and so does the caller."""
        driver, out = started(graph([], [InEdge(0, "x")]))
        one, two = units(out)
        small = Success(result=7)
        driver.handle(UnitEnded(one.key, (Outcome(0, -1, 1, small, inline=True),), NOW))
        assert kinds(driver.handle(UnitForgotten(one.key, NOW))) == ["Release"]
        (again,) = units(driver.handle(ended(two)))
        assert again.members[0].upstream == (InlineState(small),)
        assert driver.handle(ended(again, Success())) == [Finish(())]
        assert driver.source_of(driver.node_runs(0).parent) == InlineState(small)

    def test_a_result_that_nobody_needs_is_not_made_again(self) -> None:
        """A unit is kept for the sake of one member; what the others left is of no use any more."""
        driver, out = started(graph([], [InEdge(0)]), policy=UnitPolicy(fuse=True), kept=[1])
        (unit,) = units(out)
        outcomes = (Outcome(0, -1, 1, Success()), Outcome(1, -1, 1, Success(result=7), inline=True))
        driver.handle(UnitEnded(unit.key, outcomes, NOW))
        assert units(driver.handle(UnitForgotten(unit.key, NOW))) == []

    def test_a_finished_run_goes_on_when_what_it_is_to_give_is_forgotten(self) -> None:
        """It ends once more; one that was terminated does not."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        assert driver.handle(ended(unit, Success())) == [Finish(())]
        (again,) = units(driver.handle(UnitForgotten(unit.key, NOW)))
        assert driver.handle(ended(again, Success())) == [Finish(())]
        driver, out = started(graph([], []))
        one, _ = units(out)
        driver.handle(ended(one, Success()))
        driver.handle(TerminateRequested(NOW))
        assert units(driver.handle(UnitForgotten(one.key, NOW))) == []

    def test_a_unit_under_way_that_is_forgotten_goes_again(self) -> None:
        """At nobody's charge: it was not running when its worker went."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        for _ in range(10):
            (unit,) = units(driver.handle(UnitForgotten(unit.key, NOW)))
        assert driver.handle(ended(unit, Success())) == [Finish(())]

    @pytest.mark.parametrize(
        ("losses", "crashed"),
        [
            ([(0, False)] * 3, True),
            ([(None, True), (0, False), (0, False)], True),
            ([(0, False), (None, False), (0, False)], False),
            ([(None, True), (None, True), (None, True)], False),
        ],
        ids=["seen", "suspected, then seen", "once only queued", "never seen"],
    )
    def test_three_workers_that_ran_a_task_run_are_enough(
        self, losses: list[tuple[int | None, bool]], crashed: bool
    ) -> None:
        """A worker that died before it told of a beginning counts once one dies that was seen running the task run."""
        driver, out = started(graph([]))
        for began, likely in losses:
            (unit,) = units(out)
            out = driver.handle(WorkerLost((LostUnit(unit.key, began, likely),), "died", True, NOW))
        assert isinstance(driver.states()[0], Crashed) is crashed

    def test_later_members_of_a_unit_are_suspected_with_the_one_that_was_seen(self) -> None:
        """The seen one may have ended since; each goes again by itself, announcing its beginning first."""
        driver, out = started(CHAIN, policy=UnitPolicy(fuse=True))
        (unit,) = units(out)
        out = driver.handle(WorkerLost((LostUnit(unit.key, 1),), "died", True, NOW))
        told = {record.task: record.message for o in out if isinstance(o, Announce) for record in o.records}
        assert told == dict.fromkeys(("n0", "n1", "n2"), "Its worker died, so it runs again.")
        assert sorted((runs(one), one.announce_first) for one in units(out)) == [
            ([(0, -1)], False),
            ([(1, -1)], True),
            ([(2, -1)], True),
        ]

    def test_news_of_units_that_were_given_up_changes_nothing(self) -> None:
        """They may still arrive."""
        driver, out = started(graph([]))
        (unit,) = units(out)
        (again,) = units(driver.handle(WorkerLost((LostUnit(unit.key, 0),), "died", True, NOW)))
        assert not driver.expects(unit.key)
        assert driver.handle(ended(unit, Failed())) == []
        assert driver.handle(ended(again, Success())) == [Finish(())]


class TestReleases:
    """With results that nobody keeps."""

    def test_a_result_goes_when_its_last_user_is_done(self) -> None:
        """Not before."""
        driver, out = started(graph([], [InEdge(0)], [InEdge(0)]), kept=())
        one, two, three = units(out)
        assert driver.handle(ended(one, Success())) == []
        assert driver.handle(ended(two, Success())) == [Release((two.key,))]
        out = driver.handle(ended(three, Success()))
        assert {key for o in out if isinstance(o, Release) for key in o.keys} == {one.key, three.key}

    def test_what_an_element_left_goes_when_its_twin_is_done(self) -> None:
        """Other elements of the map may still be under way."""
        shape = graph([], [InEdge(0, "x", mapped=True)], [InEdge(1, "x", mapped=True)])
        driver, out = started(shape, kept=())
        (source,) = units(out)
        made = {tuple(runs(unit)): unit for unit in units(driver.handle(ended(source, Success(), elements=2)))}
        driver.handle(ended(made[((1, 0),)], Success()))
        out = driver.handle(ended(made[((2, 0),)], Success()))
        assert {key for o in out if isinstance(o, Release) for key in o.keys} == {
            made[((1, 0),)].key,
            made[((2, 0),)].key,
        }

    def test_what_a_cut_unit_left_does_not_wait_for_members_that_ran_elsewhere(self) -> None:
        """It left nothing of those."""
        shape = graph([], [InEdge(0, "x", mapped=True)], [InEdge(1, "x", mapped=True)])
        driver, out = started(shape, kept=(), policy=UnitPolicy(fuse=True, waves=1))
        (source,) = units(out)
        (unit,) = units(driver.handle(ended(source, Success(), elements=3)))
        rest = units(driver.handle(ended(unit, Success(), Success(), Success())))
        assert runs(unit)[:3] == [(1, 0), (2, 0), (1, 1)]
        (twin,) = (one for one in rest if (2, 1) in runs(one))
        out = driver.handle(ended(twin, *[Success()] * len(twin.members)))
        assert unit.key in {key for o in out if isinstance(o, Release) for key in o.keys}

    def test_results_are_kept_when_they_are_wanted(self) -> None:
        """Flow.run returns them."""
        driver, out = started(graph([], [InEdge(0)]))
        one, two = units(out)
        assert driver.handle(ended(one, Success())) == []
        assert driver.handle(ended(two, Success())) == [Finish(())]


def test_terminate_cancels_what_has_not_finished() -> None:
    """What is under way is stopped; late news changes nothing."""
    driver, out = started(CHAIN)
    one, two, three = units(out)
    driver.handle(ended(one, Success()))
    out = driver.handle(TerminateRequested(NOW))
    assert CancelUnits((two.key, three.key)) in out
    assert out[-1] == Finish(())
    assert [type(state) for state in driver.states()] == [Success, Cancelled, Cancelled]
    assert driver.handle(ended(two, Success())) == []
    assert [type(state) for state in driver.states()] == [Success, Cancelled, Cancelled]


def test_start_tasks_do_not_wait_for_their_upstream() -> None:
    """They take what is at hand; what is not visited stays as it is."""
    nodes = (
        Node("n0", (), (1,), visited=False),
        Node("n1", (InEdge(0, "x"),), (2,), is_start=True),
        Node("n2", (InEdge(1, "x"),)),
    )
    driver, out = started(RunGraph(nodes))
    start, after = units(out)
    assert runs(start) == [(1, -1)]
    (source,) = start.members[0].upstream
    assert isinstance(source, InlineState)
    assert isinstance(source.state, Pending)
    driver.handle(ended(start, Success()))
    assert driver.handle(ended(after, Success())) == [Finish(())]
