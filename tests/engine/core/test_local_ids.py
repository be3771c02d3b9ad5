from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flowkiln import Flow, Task
from flowkiln.core.local_ids import local_ids


def flow_of(*names: tuple[str, str | None]) -> Flow:
    """Make a flow of tasks with these names and slugs."""
    return Flow("f", tasks=[Task(name=name, slug=slug) for name, slug in names])


def ids(flow: Flow) -> list[str]:
    """Give the local ids in insertion order."""
    return list(local_ids(flow).values())


class TestLocalIds:
    def test_slug_else_name_else_numbered(self) -> None:
        """The slug counts, else the name; names that are taken are numbered in insertion order."""
        flow = flow_of(("load", None), ("load", "first"), ("load", None), ("load", None))
        assert ids(flow) == ["load", "first", "load-2", "load-3"]

    def test_slugs_choose_before_names(self) -> None:
        """A slug is kept although a task that was added before has it as a name."""
        assert ids(flow_of(("x", None), ("y", "x"))) == ["x-2", "x"]

    def test_a_number_that_is_somebodys_name_is_passed_over(self) -> None:
        """Numbered ids never collide with names that look like them."""
        assert ids(flow_of(("a", None), ("a-2", None), ("a", None), ("a-2", None))) == ["a", "a-2", "a-3", "a-2-2"]

    def test_escaping(self) -> None:
        """Everything but letters, digits and dashes is replaced; accents are dropped; nothing left is 'task'."""
        flow = flow_of(("Lädt Äpfel", None), ("Constant[list]", None), ("--x--", None), ("∅", None))
        assert ids(flow) == ["ladt-apfel", "constant-list", "x", "task"]

    def test_a_name_that_is_an_id_is_its_own(self) -> None:
        """Names of documents are ids already: status calls a task what its author does."""
        assert ids(flow_of(("a--b", None), ("a-b", None), ("a - b", None))) == ["a--b", "a-b", "a-b-2"]

    def test_long_names_stay_unique(self) -> None:
        """Truncation leaves room for the number."""
        first, second = ids(flow_of(("n" * 100, None), ("n" * 90, None)))
        assert first == "n" * 63
        assert second == "n" * 61 + "-2"

    @given(st.lists(st.text(min_size=1, max_size=80), max_size=30))
    def test_always_unique_and_well_formed(self, names: list[str]) -> None:
        """Whatever people write, ids are unique, short and fit for Kubernetes, and the same every time."""
        flow = flow_of(*((name, None) for name in names))
        found = ids(flow)
        assert len(set(found)) == len(names)
        assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", each) for each in found)
        assert found == ids(flow_of(*((name, None) for name in names)))

    def test_many_tasks_of_one_name(self) -> None:
        """Ten thousand tasks of one name get ten thousand ids."""
        assert len(set(ids(flow_of(*[("same", None)] * 10_000)))) == 10_000

    def test_a_set_of_constants_has_one_order(self) -> None:
        """Constants made of a set are ordered by what they are, not by this process's hashes."""
        with Flow("f") as flow:
            from flowkiln.utilities.tasks import as_task

            as_task({"pear", "apple", "fig", 3, 1})
        assert [edge.upstream_task.value for edge in flow.edges] == [1, 3, "apple", "fig", "pear"]
