from __future__ import annotations

import pickle
from typing import Any

import pytest

from flowkiln import Flow, Task
from flowkiln.core import Edge


class TestEdge:
    def test_end_points_are_not_checked(self) -> None:
        """Any object may be an end; flows check theirs."""
        edge = Edge(None, 1)
        assert edge.tasks == {None, 1}
        assert (edge.key, edge.mapped, edge.flattened) == (None, False, False)

    @pytest.mark.parametrize("key", [1, "a b", "5x", "a.b", "", "class", Task()])
    def test_keys_that_are_no_argument_names_are_refused(self, key: Any) -> None:
        """A key must be able to name an argument."""
        with pytest.raises(ValueError, match="key"):
            Edge(None, None, key)

    def test_equality_counts_type_ends_key_mapped_and_flattened(self) -> None:
        """Equal edges hash equal; any difference makes them different."""
        a, b = Task(), Task()
        edge = Edge(a, b, key="x")
        assert edge == Edge(a, b, key="x")
        assert hash(edge) == hash(Edge(a, b, key="x"))
        others = [Edge(a, b), Edge(b, a, "x"), Edge(a, b, "y"), Edge(a, b, "x", True), Edge(a, b, "x", flattened=True)]
        assert all(edge != other for other in others)
        assert edge != (a, b, "x", False, False)

    def test_membership_in_a_flow(self) -> None:
        """An equal edge is found among a flow's edges."""
        a, b = Task(), Task()
        flow = Flow("f")
        flow.add_edge(a, b, key="x")
        assert Edge(a, b, key="x") in flow.edges

    def test_repr(self) -> None:
        """repr shows the ends by name, and the key if there is one."""
        a, b = Task(name="A"), Task(name="B")
        assert repr(Edge(a, b, key="x")) == "<Edge (key=x): A to B>"
        assert repr(Edge(a, b)) == "<Edge: A to B>"

    def test_survives_pickling(self) -> None:
        """An edge comes back equal."""
        assert pickle.loads(pickle.dumps(Edge(1, 2, "x", True, True))) == Edge(1, 2, "x", True, True)
