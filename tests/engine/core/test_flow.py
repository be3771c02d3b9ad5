from __future__ import annotations

import uuid
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln import Flow, Parameter, Task, context, tags
from flowkiln.core import Edge
from flowkiln.schedules import CronSchedule
from flowkiln.tasks.core.collections import List
from flowkiln.utilities.configuration import set_temporary_config


class Add(Task):
    def run(self, x: int, y: int = 1) -> int:
        """Add."""
        return x + y


class TestConstructor:
    def test_needs_a_name(self) -> None:
        """No name is a TypeError of Python's, an empty one a ValueError."""
        with pytest.raises(TypeError):
            Flow()  # type: ignore[call-arg]
        for name in (None, "", False):
            with pytest.raises(ValueError, match="name"):
                Flow(name)  # type: ignore[arg-type]

    def test_defaults(self) -> None:
        """An empty flow has nothing but a name and an id."""
        flow = Flow("f")
        assert (flow.tasks, flow.edges, flow.reference_tasks()) == (set(), set(), set())
        assert (flow.schedule, flow.environment, flow.result_handler, flow.state_handlers) == (None, None, None, [])
        assert str(uuid.UUID(flow.id)) == flow.id
        assert flow.logger.name == "flowkiln.Flow"
        assert repr(flow) == '<Flow: name="f">'

    def test_id_is_a_uuid(self) -> None:
        """Nothing but a UUID as text may be assigned."""
        with pytest.raises(ValueError, match="UUID"):
            Flow("f").id = "1"

    def test_tasks_edges_and_reference_tasks(self) -> None:
        """Edges bring their tasks along; reference tasks must be among the tasks given."""
        a, b, c = Task(), Task(), Task()
        flow = Flow("f", tasks=[a], edges=[Edge(b, c, mapped=True, flattened=True)], reference_tasks=[a])
        assert flow.tasks == {a, b, c}
        assert flow.edges == {Edge(b, c, mapped=True, flattened=True)}
        assert flow.reference_tasks() == {a}
        with pytest.raises(ValueError, match="must be part of the flow"):
            Flow("f", edges=[Edge(a, b)], reference_tasks=[a])

    def test_validate_checks_the_edges(self) -> None:
        """With validate a bad edge is refused at construction."""
        a, b = Task(), Task()
        Flow("f", edges=[Edge(a, b), Edge(b, a)])
        with pytest.raises(ValueError, match=r"(?i)cycle found"):
            Flow("f", edges=[Edge(a, b), Edge(b, a)], validate=True)

    def test_state_handlers_follow_the_rules_of_tasks(self) -> None:
        """The caller's list is not modified; a non-sequence is refused."""
        given: list[Any] = []
        assert len(Flow("f", state_handlers=given, on_failure=print).state_handlers) == 1
        assert given == []
        with pytest.raises(TypeError, match="state_handlers"):
            Flow("f", state_handlers=1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="state_handlers"):
            Flow("f", state_handlers=[5])  # type: ignore[list-item]

    @pytest.mark.parametrize("schedule", [5, "* * * * *", CronSchedule, False])
    def test_what_is_no_schedule_is_refused(self, schedule: Any) -> None:
        """It must say when; a class says nothing yet."""
        with pytest.raises(TypeError, match="schedule must be a Schedule"):
            Flow("f", schedule=schedule)

    def test_a_schedule_of_ones_own_needs_no_base_class(self) -> None:
        """Anything with `next` will do."""

        class Never:
            def next(self, n: int) -> list[Any]:
                return []

        assert isinstance(Flow("f", schedule=Never()).schedule, Never)  # type: ignore[arg-type]

    def test_an_edge_given_twice_is_there_once(self) -> None:
        """Also with validation."""
        edge = Edge(Task(), Add(), "x")
        assert Flow("f", edges=[edge, edge], validate=True).edges == {edge}


class TestSets:
    def test_direct_changes_are_seen_by_every_query(self) -> None:
        """No query answers from stale data after a direct change of tasks or edges."""
        a, b, c = Task(), Task(), Task()
        flow = Flow("f", edges=[Edge(a, b)])
        assert flow.sorted_tasks() == (a, b)
        assert flow.terminal_tasks() == {b}
        flow.edges.remove(Edge(a, b))
        assert flow.terminal_tasks() == {a, b}
        assert flow.upstream_tasks(b) == set()
        flow.tasks.add(c)
        assert flow.sorted_tasks() == (a, b, c)
        flow.edges.add(Edge(c, a))
        assert flow.sorted_tasks() == (b, c, a)
        flow.tasks.pop()
        with pytest.raises(ValueError, match="not found in Flow"):
            flow.edges_to(a)
        flow.tasks = {b}
        flow.edges = set()
        assert flow.sorted_tasks() == (b,)

    def test_equal_to_plain_sets(self) -> None:
        """tasks and edges compare with sets."""
        a, b = Task(), Task()
        flow = Flow("f", edges=[Edge(a, b)])
        assert flow.tasks == {b, a}
        assert flow.edges == {Edge(a, b)}

    def test_a_memo_never_spoils_a_pickled_flow(self) -> None:
        """A flow that was queried travels, and answers over its own tasks."""
        flow = Flow("f", edges=[Edge(Task(name="a"), Task(name="b"))])
        flow.sorted_tasks()
        other = cloudpickle.loads(cloudpickle.dumps(flow))
        assert [task.name for task in other.sorted_tasks()] == ["a", "b"]
        other.add_edge(other.sorted_tasks()[1], Task(name="c"), validate=True)
        assert [task.name for task in other] == ["a", "b", "c"]


class TestAddTask:
    def test_gives_the_task_back(self) -> None:
        """The same object twice is fine."""
        flow, task = Flow("f"), Task()
        assert flow.add_task(task) is task
        assert flow.add_task(task) is task
        assert flow.tasks == {task}

    def test_only_tasks(self) -> None:
        """Anything else is a TypeError."""
        with pytest.raises(TypeError, match="1"):
            Flow("f").add_task(1)  # type: ignore[arg-type]

    def test_slugs_are_unique(self) -> None:
        """Another task with the same slug is refused, also after the first was removed and came back."""
        first = Task(slug="s")
        flow = Flow("f", tasks=[first, Task(), Task()])
        with pytest.raises(ValueError, match="'s'"):
            flow.add_task(Task(slug="s"))
        flow.tasks.remove(first)
        flow.add_task(Task(slug="s"))


class TestAddEdge:
    def test_adds_both_tasks_and_gives_the_edge(self) -> None:
        """The edge that comes back equals the one in the flow."""
        a, b = Task(), Add()
        flow = Flow("f")
        edge = flow.add_edge(a, b, key="x", mapped=True)
        assert edge == Edge(a, b, "x", mapped=True)
        assert flow.tasks == {a, b}
        assert flow.edges == {edge}

    def test_the_same_edge_again_changes_nothing(self) -> None:
        """Adding an edge is idempotent."""
        a, b = Task(), Add()
        flow = Flow("f")
        for _ in range(2):
            flow.add_edge(a, b, key="x")
            flow.add_edge(a, b, validate=True)
            flow.add_edge(a, b, key="x", validate=True)
        assert flow.edges == {Edge(a, b, "x"), Edge(a, b)}

    def test_parameters_have_no_upstream(self) -> None:
        """A parameter cannot wait, checked with validation and without."""
        for validate in (True, False):
            with pytest.raises(ValueError, match="<Parameter: p>"):
                Flow("f").add_edge(Task(), Parameter("p"), validate=validate)

    def test_unchecked_by_default(self) -> None:
        """Without validation a key may be unknown, used twice, or close a cycle."""
        a, b = Task(), Add()
        flow = Flow("f")
        flow.add_edge(a, b, key="nope")
        flow.add_edge(a, b, key="x")
        flow.add_edge(b, b, key="x")
        assert len(flow.edges) == 3

    def test_the_configuration_may_check_always(self) -> None:
        """validate=None means the setting, as it is when the edge is added."""
        with set_temporary_config({"flows.eager_edge_validation": True}), pytest.raises(TypeError, match="'nope'"):
            Flow("f").add_edge(Task(), Add(), key="nope")

    @pytest.mark.parametrize(
        ("key", "error", "words"),
        [("nope", TypeError, "nope"), ("x", ValueError, "'x'"), (None, ValueError, "Cycle found")],
    )
    def test_an_edge_that_fails_validation_does_not_stay(
        self, key: str | None, error: type[Exception], words: str
    ) -> None:
        """Unknown key, key in use, cycle: the error says so and the flow is as before."""
        a, b = Add(), Add()
        flow = Flow("f")
        flow.add_edge(a, b, key="x")
        before = set(flow.edges)
        with pytest.raises(error, match=words):
            flow.add_edge(b, b if key else a, key=key, validate=True)
        assert flow.edges == before
        flow.validate()

    def test_chain(self) -> None:
        """chain gives the edges along the sequence."""
        a, b, c = Task(), Task(), Task()
        flow = Flow("f")
        assert flow.chain(a, b, c) == [Edge(a, b), Edge(b, c)]
        with pytest.raises(ValueError, match="Cycle"):
            flow.chain(c, a, validate=True)


class TestSetDependencies:
    def test_everything_becomes_a_task(self) -> None:
        """Operands of every kind are converted; nothing of it is mapped downstream."""
        task = Add()
        flow = Flow("f")
        flow.set_dependencies(task, upstream_tasks=[1], downstream_tasks=[2], keyword_tasks={"x": 3}, mapped=True)
        into = {(edge.key, edge.upstream_task.value, edge.mapped) for edge in flow.edges_to(task)}
        out = {(edge.key, edge.downstream_task.value, edge.mapped) for edge in flow.edges_from(task)}
        assert into == {(None, 1, True), ("x", 3, True)}
        assert out == {(None, 2, False)}

    def test_collections_are_bound_in_that_flow_outside_of_a_block(self) -> None:
        """A list given without an active flow, or within another one, is bound where it belongs."""
        a, task = Task(), Add()
        flow, other = Flow("f"), Flow("g")
        with other:
            flow.set_dependencies(task, keyword_tasks={"x": [a, {"k": (1, 2)}]})
        assert other.tasks == set()
        (made,) = flow.upstream_tasks(task)
        assert isinstance(made, List)
        assert a in flow.upstream_tasks(made)
        flow.validate()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"upstream_tasks": "ab"}, "upstream_tasks must be a list"),
            ({"downstream_tasks": Task()}, "downstream_tasks must be a list"),
            ({"keyword_tasks": [1]}, "keyword_tasks must be a dict"),
        ],
    )
    def test_arguments_of_another_kind_are_refused(self, arguments: dict[str, Any], words: str) -> None:
        """By name, and before anything is added."""
        flow = Flow("f")
        with pytest.raises(TypeError, match=words):
            flow.set_dependencies(Add(), **arguments)
        assert not flow.tasks


class TestUpdate:
    def test_keeps_every_attribute_of_edges(self) -> None:
        """D9: mapped edges stay mapped, flattened ones flattened."""
        a, b = Task(), Add()
        source = Flow("f", edges=[Edge(a, b, "x", mapped=True, flattened=True)])
        flow = Flow("g", edges=[Edge(a, b)])
        flow.update(source, validate=True)
        flow.update(source, validate=True)
        assert flow.edges == {Edge(a, b), Edge(a, b, "x", mapped=True, flattened=True)}


class TestReplace:
    def test_takes_over_edges_and_place(self) -> None:
        """The new task has the old one's edges with their flags, and its place in the order."""
        a, old, c, new = Task(), Add(), Task(), Add()
        flow = Flow("f", tasks=[a, old, c], edges=[Edge(a, old, "x", mapped=True), Edge(old, c, flattened=True)])
        flow.replace(old, new)
        assert flow.edges == {Edge(a, new, "x", mapped=True), Edge(new, c, flattened=True)}
        assert list(flow.tasks) == [a, new, c]

    def test_takes_over_the_place_among_reference_tasks(self) -> None:
        """A chosen reference task is replaced there too."""
        a, b = Task(), Task()
        flow = Flow("f", tasks=[a, b], reference_tasks=[a])
        flow.replace(a, new := Task())
        assert flow.reference_tasks() == {new}

    def test_default_reference_tasks_stay_default(self) -> None:
        """Replacing does not freeze the terminal tasks of that moment."""
        a, b = Task(), Task()
        flow = Flow("f", tasks=[a])
        flow.replace(a, b)
        flow.add_edge(b, c := Task())
        assert flow.reference_tasks() == {c}

    def test_by_a_value(self) -> None:
        """Anything can be the new task, a collection too."""
        a, b = Task(), Task()
        flow = Flow("f", edges=[Edge(a, b)])
        flow.replace(a, [1, 2])
        (made,) = flow.upstream_tasks(b)
        assert isinstance(made, List)
        assert len(flow.tasks) == 4

    def test_unknown_old(self) -> None:
        """What is not there cannot be replaced."""
        with pytest.raises(ValueError, match="not found in Flow"):
            Flow("f").replace(Task(), Task())

    def test_a_failed_replacement_changes_nothing(self) -> None:
        """If the new task does not fit, the flow is as before."""
        a, b = Task(), Add()
        flow = Flow("f", edges=[Edge(a, b, "x")], tasks=[Task(slug="taken")])
        before = flow.copy()
        with pytest.raises(TypeError, match="'x'"):
            flow.replace(b, Task())
        with pytest.raises(ValueError, match="parameters come first"):
            flow.replace(b, Parameter("p"))
        with pytest.raises(ValueError, match="taken"):
            flow.replace(b, Add(slug="taken"))
        assert flow == before

    def test_the_slug_of_the_old_task_is_free(self) -> None:
        """A task can be replaced by one with its slug."""
        flow = Flow("f", tasks=[old := Task(slug="s")])
        flow.replace(old, new := Task(slug="s"))
        assert flow.tasks == {new}


class TestCopyAndEquality:
    def test_a_copy_is_equal_and_independent(self) -> None:
        """A copy has a new id and sets of its own over the same tasks."""
        a, b = Task(), Task()
        flow = Flow("f", tasks=[a, b], edges=[Edge(a, b)], reference_tasks=[a], state_handlers=[print])
        new = flow.copy()
        assert new == flow
        assert new.id != flow.id
        new.add_edge(b, Task())
        new.set_reference_tasks([b])
        new.state_handlers.clear()
        assert (len(flow.tasks), len(flow.edges), flow.reference_tasks()) == (2, 1, {a})
        assert len(flow.state_handlers) == 1
        assert new != flow

    def test_what_counts(self) -> None:
        """Name, tasks, edges, reference tasks and type count."""
        a, b = Task(), Task()

        class OtherFlow(Flow):
            pass

        assert Flow("f", tasks=[a, b]) == Flow("f", tasks=[b, a])
        assert Flow("f") != Flow("g")
        assert Flow("f", tasks=[a, b]) != Flow("f", tasks=[a, b], reference_tasks=[a])
        assert Flow("f", tasks=[a, b]) != Flow("f", edges=[Edge(a, b)])
        assert Flow("f") != OtherFlow("f")
        assert Flow("f") != "f"
        with pytest.raises(TypeError):
            hash(Flow("f"))


class TestWith:
    def test_the_flow_is_active_inside(self) -> None:
        """The context has the flow inside the block, and no key outside."""
        with Flow("f") as flow:
            assert context.flow is flow
            with Flow("g") as inner:
                assert context.flow is inner
            assert context.flow is flow
        assert "flow" not in context

    def test_the_same_flow_nested_restores_correctly(self) -> None:
        """Entering one flow object twice, with another between, ends as it began."""
        flow, other = Flow("f"), Flow("g")
        with flow:
            with other:
                with flow:
                    assert context.flow is flow
                assert context.flow is other
            assert context.flow is flow
        assert "flow" not in context

    def test_an_error_inside_restores_too(self) -> None:
        """The block ends properly when it raises."""
        with pytest.raises(KeyError), Flow("f"):
            raise KeyError
        assert "flow" not in context


class TestQueries:
    def test_roots_terminals_and_neighbours(self) -> None:
        """The simple questions about one small graph."""
        a, b, c, p = Task(), Task(), Task(), Parameter("p")
        flow = Flow("f", tasks=[p], edges=[Edge(a, b), Edge(b, c), Edge(a, c)])
        assert flow.root_tasks() == {a, p}
        assert flow.terminal_tasks() == {c, p} == flow.reference_tasks()
        assert flow.parameters() == {p}
        assert flow.edges_to(c) == {Edge(b, c), Edge(a, c)}
        assert flow.edges_from(a) == {Edge(a, b), Edge(a, c)}
        assert flow.upstream_tasks(c) == {a, b}
        assert flow.downstream_tasks(a) == {b, c}
        assert flow.all_upstream_edges() == {a: set(), b: {Edge(a, b)}, c: {Edge(a, c), Edge(b, c)}, p: set()}
        assert flow.all_downstream_edges()[b] == {Edge(b, c)}
        assert flow.has_edges(a)
        assert not flow.has_edges(p)
        assert not flow.has_edges(Task())

    @pytest.mark.parametrize("query", ["edges_to", "edges_from", "upstream_tasks", "downstream_tasks"])
    def test_a_task_of_another_flow(self, query: str) -> None:
        """Questions about a stranger are refused."""
        with pytest.raises(ValueError, match="was not found in Flow"):
            getattr(Flow("f"), query)(Task())

    def test_sorted_tasks_with_roots(self) -> None:
        """Roots limit the answer to them and what is downstream; an empty list means all."""
        a, b, c = Task(), Task(), Task()
        flow = Flow("f", tasks=[c], edges=[Edge(a, b)])
        assert flow.sorted_tasks() == (c, a, b) == tuple(flow)
        assert flow.sorted_tasks(root_tasks=[a]) == (a, b)
        assert flow.sorted_tasks(root_tasks=[]) == (c, a, b)
        with pytest.raises(ValueError, match="not found in Flow"):
            flow.sorted_tasks(root_tasks=[Task()])

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
    def test_sorted_tasks_respects_every_edge(self, wanted: list[tuple[int, int]]) -> None:
        """Whatever edges a flow admits, its order has each upstream task first."""
        tasks = [Task(name=str(i)) for i in range(10)]
        flow = Flow("f", tasks=tasks)
        for above, below in wanted:
            try:
                flow.add_edge(tasks[above], tasks[below], validate=True)
            except ValueError:
                continue
        order = flow.sorted_tasks()
        assert set(order) == flow.tasks
        assert all(order.index(edge.upstream_task) < order.index(edge.downstream_task) for edge in flow.edges)
        flow.validate()

    def test_get_tasks(self) -> None:
        """All conditions must hold; the answer is in insertion order."""
        with tags("t"):
            a, b = Add(name="n", tags=["u"]), Task(name="n", slug="s")
        c = Add(name="m")
        flow = Flow("f", tasks=[a, b, c])
        assert flow.get_tasks() == [a, b, c]
        assert flow.get_tasks(name="n") == [a, b]
        assert flow.get_tasks(slug="s") == [b]
        assert flow.get_tasks(tags=["t"]) == [a, b]
        assert flow.get_tasks(tags=["t", "u"]) == [a]
        assert flow.get_tasks(task_type=Add) == [a, c]
        assert flow.get_tasks(name="n", task_type=Add) == [a]

    def test_task_ids(self) -> None:
        """Tasks can be found by id."""
        task = Task()
        assert Flow("f", tasks=[task]).task_ids == {task.id: task}

    def test_reference_tasks(self) -> None:
        """Reference tasks can be set and set back; strangers and non-iterables are refused."""
        a, b = Task(), Task()
        flow = Flow("f", edges=[Edge(a, b)])
        flow.set_reference_tasks([a])
        assert flow.reference_tasks() == {a}
        flow.set_reference_tasks([])
        assert flow.reference_tasks() == {b}
        with pytest.raises(ValueError, match="must be part of the flow"):
            flow.set_reference_tasks([Task()])
        with pytest.raises(TypeError):
            flow.set_reference_tasks(a)  # type: ignore[arg-type]


class TestValidate:
    def test_a_good_flow(self) -> None:
        """Nothing is said about a flow that is fine."""
        assert Flow("f", edges=[Edge(Task(), Task())]).validate() is None  # type: ignore[func-returns-value]

    def test_finds_what_direct_changes_broke(self) -> None:
        """Edges and reference tasks that refer to nothing, and cycles."""
        a, b = Task(), Task()
        flow = Flow("f", edges=[Edge(a, b)])
        flow.tasks.remove(a)
        with pytest.raises(ValueError, match="edges refer to tasks"):
            flow.validate()
        with pytest.raises(ValueError, match="edges refer to tasks"):
            flow.sorted_tasks()
        flow = Flow("f", tasks=[a, b], reference_tasks=[a])
        flow.tasks.remove(a)
        with pytest.raises(ValueError, match="reference tasks are not contained"):
            flow.validate()
        flow = Flow("f", edges=[Edge(a, b)])
        flow.edges.add(Edge(b, a))
        for check in (flow.validate, flow.sorted_tasks):
            with pytest.raises(ValueError, match=r"(?i)cycle found"):
                check()

    def test_finds_an_argument_with_two_upstream_tasks(self) -> None:
        """Of unchecked edges with one key a run would use the last; it fails instead."""
        a, b, c = Task(), Task(), Add()
        flow = Flow("f", edges=[Edge(a, c, "x"), Edge(b, c, "x"), Edge(a, c)])
        with pytest.raises(ValueError, match="Argument 'x' of <Task: Add> has more than one upstream task"):
            flow.validate()
        assert flow.run().is_failed()
        flow.edges.remove(Edge(b, c, "x"))
        flow.validate()

    def test_a_missing_task_may_come_back(self) -> None:
        """An edge that referred to nothing counts again once its task is there."""
        a, b = Task(), Task()
        flow = Flow("f", edges=[Edge(a, b)])
        flow.tasks.remove(a)
        flow.add_task(a)
        flow.validate()
        assert flow.sorted_tasks() == (a, b)

    def test_a_long_chain(self) -> None:
        """D18: a chain of ten thousand tasks, built against its direction with checks, is no matter of depth."""
        flow = Flow("f")
        tasks = [Task() for _ in range(10_000)]
        for above, below in zip(tasks[1:], tasks, strict=False):
            flow.add_edge(above, below, validate=True)
        assert flow.sorted_tasks() == tuple(reversed(tasks))
        with pytest.raises(ValueError, match="Cycle found"):
            flow.add_edge(tasks[0], tasks[-1], validate=True)


class TestRunner:
    def test_the_setting_names_what_runs_a_flow(self) -> None:
        """`Flow.run` calls the function of `flows.runner`, with all that it was given."""

        def run(flow: Flow, **kwargs: Any) -> tuple[str, dict[str, Any]]:
            return flow.name, kwargs

        with set_temporary_config({"flows.runner": run}):
            ran = Flow("f").run({"x": 1}, executor=None)
        assert ran == ("f", {"parameters": {"x": 1}, "runner_cls": None, "executor": None})
