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

    def first_reports(self, count: int) -> tuple[Driver, list[Unit], list[Instruction]]:
        """Start 100 ready tasks and report so many of those that went."""
        driver, out = started(wide(100), policy=POLICY)
        made, news = units(out), []
        for unit in made[:count]:
            news.extend(driver.handle(ended(unit)))
        return driver, made[count:], news

    def test_they_gather_while_threads_are_busy(self) -> None:
        """Nothing is submitted as long as two units for each thread are under way."""
        assert units(self.first_reports(PROBES - AHEAD)[2]) == []

    def test_then_they_go_together(self) -> None:
        """In equal parts, so that no thread is left without."""
        _, _, news = self.first_reports(PROBES - AHEAD + 1)
        assert [len(unit.members) for unit in units(news)] == [21, 21, 21, 21]

    def test_what_was_lost_travels_alone(self) -> None:
        """It may be the one that kills workers."""
        driver, out = started(wide(100), policy=POLICY)
        made = units(out)
        for run in (driver.node_runs(number).parent for number in range(50, 60)):
            run.alone = True
        news = [one for unit in made for one in driver.handle(ended(unit))]
        assert all(len(unit.members) == 1 for unit in units(news) if any(50 <= node < 60 for node, _ in runs(unit)))

    def test_a_small_layered_graph_takes_few_units(self) -> None:
        """All 1,000 tasks run once, in at most a quarter as many units."""
        driver = Driver(wide(100, layers=10), "r", policy=POLICY)
        under_way, submitted, ran = units(driver.handle(Started(NOW))), 0, []
        while under_way:
            unit = under_way.pop(0)
            submitted += 1
            ran.extend(runs(unit))
            under_way.extend(units(driver.handle(ended(unit))))
        assert sorted(ran) == [(node, -1) for node in range(1000)]
        assert submitted < 250


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
