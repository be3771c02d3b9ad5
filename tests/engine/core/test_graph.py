from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from flowkiln.core.edge import Edge
from flowkiln.core.graph import Graph, reachable, topological_sort

Pairs = list[tuple[int, int]]

N_NODES = 8
pairs = st.lists(st.tuples(st.integers(0, N_NODES - 1), st.integers(0, N_NODES - 1)), max_size=30)


def has_cycle(edges: Pairs) -> bool:
    """Find a cycle by brute force: a node that reaches itself in one step or more."""
    below = {node: {b for a, b in edges if a == node} for node in range(N_NODES)}
    return any(node in reachable(below[node], below.__getitem__) for node in range(N_NODES))


def sort(n: int, edges: Pairs) -> tuple[int, ...]:
    """Sort the nodes below n."""
    return topological_sort(range(n), lambda node: [b for a, b in edges if a == node])


class TestTopologicalSort:
    @given(pairs)
    def test_every_edge_points_forward_or_there_is_a_cycle(self, edges: Pairs) -> None:
        """The order respects every edge; it is refused exactly when there is a cycle."""
        try:
            order = sort(N_NODES, edges)
        except ValueError:
            assert has_cycle(edges)
        else:
            assert sorted(order) == list(range(N_NODES))
            assert all(order.index(a) < order.index(b) for a, b in edges)
            assert not has_cycle(edges)

    def test_ties_keep_the_given_order(self) -> None:
        """If the given order already fits, it is the answer; else only what must move does."""
        assert sort(4, [(0, 2), (1, 3)]) == (0, 1, 2, 3)
        assert sort(4, [(3, 1)]) == (0, 2, 3, 1)

    def test_the_message_tells_the_cycle(self) -> None:
        """The message names the members of one cycle, in order, and nobody else."""
        try:
            sort(5, [(0, 1), (1, 2), (2, 3), (3, 1), (3, 4)])
        except ValueError as error:
            cycle = str(error).removeprefix("Cycle found: ").rstrip(".").split(" → ")
        assert set(cycle) == {"1", "2", "3"}
        assert cycle[0] == cycle[-1]
        assert all((int(a), int(b)) in {(1, 2), (2, 3), (3, 1)} for a, b in pairwise(cycle))


class TestGraph:
    @given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=40))
    def test_checked_edges_never_close_a_cycle(self, wanted: list[tuple[int, int, bool]]) -> None:
        """An edge is refused exactly when it closes a cycle, also among edges that came unchecked."""
        graph = Graph(range(N_NODES), ())
        kept: Pairs = []
        for above, below, checked in wanted:
            if checked:
                would_be_cyclic = has_cycle([*kept, (above, below)])
                try:
                    graph.check_new_edge(above, below)
                except ValueError:
                    assert would_be_cyclic
                    continue
                assert not would_be_cyclic
            graph.add_edge(Edge(above, below), placed=checked)
            kept.append((above, below))

    @given(pairs)
    def test_incremental_and_whole_agree(self, edges: Pairs) -> None:
        """An index that grew edge by edge sorts as one that was made at once."""
        grown = Graph((), ())
        for node in range(N_NODES):
            grown.add_task(node)
        kept = []
        for above, below in edges:
            try:
                grown.check_new_edge(above, below)
            except ValueError:
                continue
            grown.add_edge(Edge(above, below), placed=True)
            kept.append(Edge(above, below))
        assert grown.sort() == Graph(range(N_NODES), kept).sort()

    def test_edges_to_strangers_are_kept_apart(self) -> None:
        """An edge whose end is no task of the graph is not indexed, but known."""
        graph = Graph([1], [Edge(1, 2)])
        assert graph.dangling == [Edge(1, 2)]
        assert list(graph.tasks_below(1)) == []

    def test_new_edges_do_not_sort_the_whole_graph(self) -> None:
        """D18: a checked edge that agrees with the order, or whose ends are free, looks at no other task."""
        n = 1_000
        graph = Graph(range(n), ())
        graph.check_new_edge(0, 1)
        graph.add_edge(Edge(0, 1), placed=True)
        looked_at: list[int] = []
        order = graph._order
        assert order is not None
        above, below = order._above, order._below
        order._above = lambda node: looked_at.append(node) or above(node)  # type: ignore[func-returns-value]
        order._below = lambda node: looked_at.append(node) or below(node)  # type: ignore[func-returns-value]
        for node in range(1, n - 1):
            graph.check_new_edge(node, node + 1)
            graph.add_edge(Edge(node, node + 1), placed=True)
        assert looked_at == []
        graph.add_task(n)
        graph.check_new_edge(n, 0)
        assert len(looked_at) <= 2
