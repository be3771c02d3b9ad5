"""When plain tasks are submitted, and in what company."""

from __future__ import annotations

from flowkiln.engine.driver import Driver, InEdge, Instruction, Outcome, RunGraph, Unit, UnitEnded, UnitPolicy
from flowkiln.engine.driver.batching import SMALL_BYTES, TINY_SECONDS
from flowkiln.engine.driver.events import Started
from flowkiln.engine.state import Success
from tests.engine.engine.driver.test_driver import NOW, graph, runs, started, units

POLICY = UnitPolicy(fuse=True, threads=2, waves=8)
PROBES = POLICY.threads * POLICY.waves
AHEAD = 2 * POLICY.threads


def ended(unit: Unit, seconds: float = 1e-4, size: int = 100) -> UnitEnded:
    """Say that all members of a unit succeeded in so many seconds each, with so many bytes of results each."""
    outcomes = tuple(Outcome(m.node, m.map_index, m.visit, Success()) for m in unit.members)
    return UnitEnded(unit.key, outcomes, NOW, seconds * len(outcomes), size * len(outcomes))


def wide(width: int, layers: int = 1) -> RunGraph:
    """Layers in which each task needs two tasks of the layer above."""
    nodes: list[list[InEdge]] = [[] for _ in range(width)]
    for layer in range(1, layers):
        above = (layer - 1) * width
        nodes.extend([InEdge(above + n), InEdge(above + (n + 1) % width)] for n in range(width))
    return graph(*nodes)


class TestNothingMeasured:
    """Nothing has ended yet."""

    def test_ready_tasks_go_singly_a_few_for_each_thread(self) -> None:
        """The others wait until it is known how long one takes."""
        _, out = started(wide(100), policy=POLICY)
        assert [len(unit.members) for unit in units(out)] == [1] * PROBES

    def test_without_fusing_all_go(self) -> None:
        """An executor in this process has nothing to gain from waiting."""
        _, out = started(wide(100, layers=2))
        assert len(units(out)) == 200


class TestTinyTasks:
    """They travel together, and wait for company while every thread has work."""

    def first_reports(
        self, count: int, seconds: float = 1e-4, layers: int = 1
    ) -> tuple[Driver, list[Unit], list[Instruction]]:
        """Start 100 ready tasks and report so many of those that went."""
        driver, out = started(wide(100, layers), policy=POLICY)
        made, news = units(out), []
        for unit in made[:count]:
            news.extend(driver.handle(ended(unit, seconds)))
        return driver, made[count:], news

    def test_they_gather_while_threads_are_busy(self) -> None:
        """Nothing is submitted as long as two units for each thread are under way."""
        assert units(self.first_reports(PROBES - AHEAD)[2]) == []

    def test_then_they_go_together(self) -> None:
        """In equal parts, no more than their work is worth."""
        _, _, news = self.first_reports(PROBES - AHEAD + 1)
        assert [len(unit.members) for unit in units(news)] == [42, 42]

    def test_long_enough_they_occupy_every_thread(self) -> None:
        """In so many parts that none waits for the next report."""
        _, _, news = self.first_reports(PROBES - AHEAD + 1, seconds=5e-4)
        assert [len(unit.members) for unit in units(news)] == [21, 21, 21, 21]

    def test_what_was_lost_travels_alone(self) -> None:
        """It may be the one that kills workers."""
        driver, out = started(wide(100), policy=POLICY)
        made = units(out)
        for run in (driver.node_runs(number).parent for number in range(50, 60)):
            run.alone = True
        news = [one for unit in made for one in driver.handle(ended(unit))]
        assert all(len(unit.members) == 1 for unit in units(news) if any(50 <= node < 60 for node, _ in runs(unit)))

    def run_all(self, shape: RunGraph, seconds: float) -> tuple[list[tuple[int, int]], list[Unit]]:
        """Run a graph whose tasks take so long each; give the task runs in order, and their units."""
        driver = Driver(shape, "r", policy=POLICY)
        under_way, submitted, ran = units(driver.handle(Started(NOW))), [], []
        while under_way:
            unit = under_way.pop(0)
            submitted.append(unit)
            ran.extend(runs(unit))
            under_way.extend(units(driver.handle(ended(unit, seconds))))
        return ran, submitted

    def test_several_layers_go_together(self) -> None:
        """A unit takes along what needs nothing but its own members: 1,000 tasks that take nothing go in few units."""
        ran, submitted = self.run_all(wide(100, layers=10), seconds=5e-5)
        assert sorted(ran) == [(node, -1) for node in range(1000)]
        assert len(submitted) < 50
        assert max(len(unit.members) for unit in submitted) <= POLICY.largest_batch

    def test_members_follow_what_they_need(self) -> None:
        """Whatever a member needs is done, or comes before it in its unit or in an earlier one."""
        shape = wide(100, layers=10)
        ran, _ = self.run_all(shape, seconds=5e-5)
        position = {node: place for place, (node, _) in enumerate(ran)}
        assert all(
            position[edge.upstream] < position[number]
            for number, node in enumerate(shape.nodes)
            for edge in node.upstream
        )

    def test_a_layer_that_keeps_every_thread_busy_goes_by_itself(self) -> None:
        """With what is downstream of them its tasks would run one after another."""
        _, _, news = self.first_reports(PROBES - AHEAD + 1, seconds=5e-4, layers=2)
        ready = 100 - PROBES + PROBES - AHEAD
        assert [len(unit.members) for unit in units(news)] == [ready // AHEAD] * AHEAD

    def test_what_was_lost_takes_nothing_along(self) -> None:
        """Neither is it taken along: it travels by itself."""
        driver, out = started(wide(20, layers=2), policy=POLICY)
        made, news = units(out), []
        for number in range(20, 25):
            driver.node_runs(number).parent.alone = True
        for unit in made:
            news.extend(units(driver.handle(ended(unit))))
        together = [{node for node, _ in runs(unit)} for unit in news if len(unit.members) > 1]
        assert together
        assert not any(nodes & set(range(20, 25)) for nodes in together)


class TestOtherTasks:
    """Long ones, and those with large results, go each by itself, as soon as they are ready."""

    def test_long_ones(self) -> None:
        """Idle threads, and clusters that grow with their load, see them all."""
        driver, out = started(wide(100), policy=POLICY)
        news = driver.handle(ended(units(out)[0], seconds=TINY_SECONDS))
        assert [len(unit.members) for unit in units(news)] == [1] * (100 - PROBES)

    def test_large_ones(self) -> None:
        """Else what one task downstream needs would bring all the others' results along."""
        driver, out = started(wide(100), policy=POLICY)
        news = driver.handle(ended(units(out)[0], size=SMALL_BYTES))
        assert [len(unit.members) for unit in units(news)] == [1] * (100 - PROBES)


class TestEarlyOnes:
    """What waits for something under way is submitted as far as it keeps threads busy."""

    def test_a_narrow_graph_goes_up_front(self) -> None:
        """A diamond costs no round trip between its layers."""
        _, out = started(graph([], [InEdge(0)], [InEdge(0)], [InEdge(1), InEdge(2)]), policy=POLICY)
        assert len(units(out)) == 4

    def test_a_wide_one_does_not(self) -> None:
        """Its second layer goes when it is ready."""
        _, out = started(wide(50, layers=2), policy=POLICY)
        assert all(node < 50 for unit in units(out) for node, _ in runs(unit))

    def test_a_chain_goes_whole(self) -> None:
        """Its units follow each other without the driver."""
        _, out = started(graph([], *([InEdge(n)] for n in range(999))), policy=POLICY)
        assert [len(unit.members) for unit in units(out)] == [100] * 10
