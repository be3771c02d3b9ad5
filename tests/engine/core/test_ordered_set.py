from __future__ import annotations

from flowkiln.core.ordered_set import OrderedSet


class TestOrderedSet:
    def test_equals_plain_sets_either_way(self) -> None:
        """It compares like a set."""
        assert OrderedSet([1, 2]) == {2, 1}
        assert {2, 1} == OrderedSet([1, 2])
        assert OrderedSet([1]) != {1, 2}

    def test_keeps_insertion_order(self) -> None:
        """Iteration gives the elements as they came; adding one again does not move it."""
        ordered = OrderedSet("cab")
        ordered.add("c")
        ordered.update("db")
        assert list(ordered) == ["c", "a", "b", "d"]
        assert repr(ordered) == "{'c', 'a', 'b', 'd'}"

    def test_each_change_is_a_new_version(self) -> None:
        """Every way to change it counts, and what changes nothing does not."""
        ordered = OrderedSet([1, 2, 3, 4, 5])
        versions = [ordered.version]
        for change in (
            lambda: ordered.add(6),
            lambda: ordered.remove(1),
            lambda: ordered.discard(2),
            ordered.pop,
            ordered.clear,
        ):
            change()
            versions.append(ordered.version)
        assert versions == sorted(set(versions))
        ordered.discard(1)
        assert ordered.version == versions[-1]
        assert not ordered
