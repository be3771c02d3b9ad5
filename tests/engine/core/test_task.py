from __future__ import annotations

import functools
import logging
import uuid
from datetime import timedelta
from typing import Any

import cloudpickle
import numpy
import pytest

from flowkiln import Flow, Parameter, Task, case, context, tags, triggers, unmapped
from flowkiln.core import Edge
from flowkiln.engine.cache_validators import all_inputs, duration_only, never_use
from flowkiln.engine.state import Failed, Success
from flowkiln.utilities.configuration import set_temporary_config
from flowkiln.utilities.exceptions import FlowkilnWarning
from flowkiln.utilities.tasks import flatten, mapped


class Add(Task):
    def run(self, x: int, y: int = 1) -> int:
        """Add."""
        return x + y


class AnyKeywords(Task):
    def run(self, first: int, **others: int) -> None:
        """Take anything."""


class TestConstructor:
    def test_defaults(self) -> None:
        """A task made without arguments has the documented defaults."""
        task = Task()
        assert task.name == "Task"
        assert task.slug is None
        assert task.tags == set()
        assert (task.max_retries, task.retry_delay, task.timeout) == (0, None, None)
        assert task.trigger is triggers.all_successful
        assert task.skip_on_upstream_skip is True
        assert task.cache_for is None
        assert task.cache_validator is never_use
        assert task.checkpoint is False
        assert task.state_handlers == []
        assert (task.retry_backoff, task.retry_max_delay, task.retry_jitter, task.retry_on) == (None,) * 4
        assert task.run() is None

    def test_a_subclass_is_named_after_itself(self) -> None:
        """The default name is the name of the class, and repr shows the name."""
        assert Add().name == "Add"
        assert repr(Add(name="sum")) == "<Task: sum>"

    def test_logger(self) -> None:
        """Every task has the package's logger for tasks."""
        assert isinstance(Task().logger, logging.Logger)
        assert Task().logger.name == "flowkiln.Task"

    def test_tags_are_a_set_with_those_of_the_context(self) -> None:
        """Tags given and tags of the context come together."""
        with tags("outer"):
            assert Task(tags=["a", "a"]).tags == {"a", "outer"}

    def test_a_str_as_tags_is_refused(self) -> None:
        """A word alone would silently become its letters."""
        with pytest.raises(TypeError, match="tags"):
            Task(tags="abc")

    def test_retries_need_a_delay(self) -> None:
        """Retries without a delay are refused, a zero delay is allowed."""
        with pytest.raises(ValueError, match="retry_delay"):
            Task(max_retries=1)
        assert Task(max_retries=1, retry_delay=timedelta(0)).retry_delay == timedelta(0)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"retry_delay": 5}, TypeError),
            ({"retry_delay": [5]}, TypeError),
            ({"retry_delay": []}, ValueError),
            ({"retry_delay": timedelta(seconds=-1)}, ValueError),
            ({"retry_backoff": 0.5}, ValueError),
            ({"retry_jitter": 1.5}, ValueError),
            ({"retry_jitter": -0.1}, ValueError),
            ({"retry_max_delay": 5}, TypeError),
            ({"retry_max_delay": timedelta(seconds=-1)}, ValueError),
            ({"retry_on": "ValueError"}, TypeError),
            ({"retry_on": []}, TypeError),
            ({"retry_on": [ValueError, 3]}, TypeError),
            ({"retry_on": int}, TypeError),
        ],
    )
    def test_retry_keywords_are_checked(self, arguments: dict[str, Any], error: type[Exception]) -> None:
        """A retry keyword that does not fit is refused at construction, by name."""
        with pytest.raises(error, match=next(iter(arguments))):
            Task(**arguments)

    @pytest.mark.parametrize("delay", [timedelta(1), [timedelta(1), timedelta(2)], lambda n: timedelta(n)])
    @pytest.mark.parametrize("retry_on", [ValueError, (ValueError, KeyError), lambda error: True])
    def test_retry_keywords_are_kept(self, delay: Any, retry_on: Any) -> None:
        """All documented kinds of delay and of retry_on are accepted as they are."""
        task = Task(
            max_retries=2,
            retry_delay=delay,
            retry_backoff=2,
            retry_jitter=0.1,
            retry_max_delay=timedelta(hours=1),
            retry_on=retry_on,
        )
        assert task.retry_delay is delay
        assert task.retry_on is retry_on

    @pytest.mark.parametrize("timeout", [1.5, "3", True])
    def test_timeout_is_a_whole_number_of_seconds(self, timeout: Any) -> None:
        """A timeout that is no int is refused."""
        with pytest.raises(TypeError, match="timeout"):
            Task(timeout=timeout)

    @pytest.mark.parametrize("timeout", [0, -3])
    def test_timeout_is_at_least_a_second(self, timeout: int) -> None:
        """A limit that nothing can keep is refused, with the way to have none."""
        with pytest.raises(ValueError, match=r"timeout must be 1 second or more.*no limit"):
            Task(timeout=timeout)

    def test_whole_numbers_of_other_libraries_are_numbers(self) -> None:
        """What counts is the value; the timeout becomes an int."""
        task = Task(timeout=numpy.int64(3), max_retries=numpy.int64(2), retry_delay=timedelta(0))
        assert task.timeout == 3
        assert type(task.timeout) is int
        assert task.max_retries == 2

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"max_retries": "3"}, TypeError),
            ({"max_retries": -1}, ValueError),
            ({"trigger": 5}, TypeError),
            ({"trigger": "all_failed"}, TypeError),
            ({"cache_for": 5}, TypeError),
            ({"cache_validator": 5, "cache_for": timedelta(1)}, TypeError),
            ({"state_handlers": [5]}, TypeError),
            ({"state_handlers": "notify"}, TypeError),
            ({"on_failure": 5}, TypeError),
        ],
    )
    def test_what_a_run_could_not_use_is_refused(self, arguments: dict[str, Any], error: type[Exception]) -> None:
        """The argument is named when the task is made, not when the flow runs."""
        with pytest.raises(error, match=next(iter(arguments))):
            Task(**arguments)

    def test_defaults_come_from_the_configuration_when_used(self) -> None:
        """Changed settings count for tasks made from then on; the timeout stays an int, the delay is in seconds."""
        settings = {
            "tasks.defaults.max_retries": 2,
            "tasks.defaults.retry_delay": 5,
            "tasks.defaults.timeout": 7,
            "tasks.defaults.checkpoint": True,
        }
        with set_temporary_config(settings):
            task = Task()
        assert (task.max_retries, task.retry_delay) == (2, timedelta(seconds=5))
        assert task.timeout == 7
        assert isinstance(task.timeout, int)
        assert task.checkpoint is True

    def test_cache_validator_follows_cache_for(self) -> None:
        """With cache_for the default validator looks at the duration only."""
        assert Task(cache_for=timedelta(days=1)).cache_validator is duration_only

    def test_a_validator_without_cache_for_warns(self) -> None:
        """A validator alone does nothing, so that is said; it is stored nevertheless."""
        with pytest.warns(UserWarning, match="Task will not be cached"):
            task = Task(cache_validator=all_inputs)
        assert task.cache_validator is all_inputs

    @pytest.mark.parametrize("handlers", [{"a": 1}, lambda *_: None, 1])
    def test_state_handlers_are_a_sequence(self, handlers: Any) -> None:
        """Anything truthy that is no sequence is refused."""
        with pytest.raises(TypeError, match="state_handlers"):
            Task(state_handlers=handlers)

    def test_on_failure_is_appended_to_a_copy_of_the_handlers(self) -> None:
        """The caller's list of handlers is never modified."""
        given: list[Any] = []
        calls: list[Any] = []
        task = Task(state_handlers=given, on_failure=lambda obj, state: calls.append((obj, state)))
        assert given == []
        (handler,) = task.state_handlers
        success, failed = Success(), Failed()
        assert handler(task, None, success) is success
        assert handler(task, None, failed) is failed
        assert calls == [(task, failed)]

    def test_id_is_a_uuid(self) -> None:
        """The id is a random UUID as text, and nothing else may be assigned."""
        task = Task()
        assert str(uuid.UUID(task.id)) == task.id
        assert task.id != Task().id
        task.id = new = str(uuid.uuid4())
        assert task.id == new
        for wrong in (1, "1", None, uuid.uuid4()):
            with pytest.raises(ValueError, match="UUID"):
                task.id = wrong  # type: ignore[assignment]


class TestIdentity:
    def test_equality_and_hash_are_identity(self) -> None:
        """Two tasks that look the same are two tasks."""
        a, b = Task(name="x"), Task(name="x")
        assert a == a
        assert a != b
        assert len({a, b}) == 2

    def test_a_task_cannot_be_iterated(self) -> None:
        """Indexing makes a task, so iteration would never end; it is refused."""
        with pytest.raises(TypeError):
            list(Task())  # type: ignore[call-overload]

    def test_survives_pickling(self) -> None:
        """A task travels with its settings."""
        task = Add(tags=["a"], max_retries=1, retry_delay=timedelta(1), on_failure=print)
        other = cloudpickle.loads(cloudpickle.dumps(task))
        assert (other.id, other.tags, other.run(1)) == (task.id, {"a"}, 2)


class TestSignature:
    def test_star_args_are_refused_when_the_class_is_made(self) -> None:
        """`*args` has no names to bind results to."""
        with pytest.raises(ValueError, match=r"\*args"):

            class Wrong(Task):
                def run(self, *args: int) -> None:
                    pass

    @pytest.mark.parametrize("name", ["upstream_tasks", "mapped", "task_args", "flow"])
    def test_reserved_names_are_refused(self, name: str) -> None:
        """Arguments that bind uses itself are refused, with a default or without."""
        for default in ("", "=None"):
            source = f"def run(self, {name}{default}): pass"
            namespace: dict[str, Any] = {}
            exec(source, namespace)
            with pytest.raises(ValueError, match=name):
                type("Wrong", (Task,), {"run": namespace["run"]})

    def test_the_rule_looks_through_wrappers(self) -> None:
        """A functools.wraps wrapper with *args is judged by what it wraps."""

        def wrap(run: Any) -> Any:
            @functools.wraps(run)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return run(*args, **kwargs)

            return wrapper

        class Fine(Task):
            @wrap
            def run(self, x: int) -> int:
                return x

        with Flow("f"):
            Fine()(1)
        with pytest.raises(ValueError, match="flow"):

            class Wrong(Task):
                @wrap
                def run(self, flow: int) -> int:
                    return flow

    def test_inputs_and_outputs_describe_run(self) -> None:
        """Types come from annotations also when those are text; what is not annotated is Any."""

        class Untyped(Task):
            def run(self, a, b=None):  # type: ignore[no-untyped-def]
                pass

        assert Add().inputs() == {
            "x": {"type": int, "required": True, "default": None},
            "y": {"type": int, "required": False, "default": 1},
        }
        assert Add().outputs() is int
        assert Task().outputs() is Any
        assert Untyped().inputs()["b"] == {"type": Any, "required": False, "default": None}
        assert Untyped().outputs() is Any


class TestCopy:
    def test_a_copy_has_a_new_id_and_keeps_the_rest(self) -> None:
        """A copy is another task with the same settings."""
        task = Add(name="n", slug="s", tags=["a"], timeout=5)
        new = task.copy()
        assert type(new) is Add
        assert new.id != task.id
        assert (new.name, new.slug, new.tags, new.timeout) == ("n", "s", {"a"}, 5)

    def test_task_args_are_set_on_the_copy_only(self) -> None:
        """Attributes can be changed in passing, and the original stays as it was."""
        task = Add(name="n")
        assert task.copy(name="m", max_retries=3).max_retries == 3
        assert (task.name, task.max_retries) == ("n", 0)

    def test_unknown_task_args_are_refused_by_name(self) -> None:
        """What is no attribute cannot be set."""
        with pytest.raises(AttributeError, match="colour"):
            Add().copy(colour="red")

    def test_tags_add_up(self) -> None:
        """Tags of the original, of task_args and of the context all reach the copy, and not the original."""
        task = Add(tags=["a"])
        with tags("c"):
            new = task.copy(tags=["b"])
        assert new.tags == {"a", "b", "c"}
        assert task.tags == {"a"}

    def test_copying_a_task_with_edges_warns(self) -> None:
        """Edges do not follow a copy made in the active flow."""
        task = Add()
        with Flow("f"):
            task.bind(1)
            with pytest.warns(FlowkilnWarning, match="edges"):
                task.copy()
        task.copy()

    def test_a_copy_is_in_no_flow(self) -> None:
        """Copying inside a block does not add to the flow."""
        with Flow("f") as flow:
            Add().copy()
        assert flow.tasks == set()


class TestBind:
    def test_making_a_task_does_not_add_it(self) -> None:
        """Only what is bound gets into the active flow."""
        with Flow("f") as flow:
            Add()
        assert flow.tasks == set()

    def test_call_binds_a_copy_and_bind_the_task_itself(self) -> None:
        """A call leaves the task alone, bind uses it."""
        task = Add()
        with Flow("f") as flow:
            called = task(1)
            bound = task.bind(2)
        assert called is not task
        assert bound is task
        assert {called, task} <= set(flow.tasks)

    def test_only_given_arguments_become_edges(self) -> None:
        """A default needs no edge; each given argument has one under its name."""
        a = Task()
        with Flow("f") as flow:
            one, two = Add()(a), Add()(a, y=a)
        assert flow.edges_to(one) == {Edge(a, one, "x")}
        assert flow.edges_to(two) == {Edge(a, two, "x"), Edge(a, two, "y")}

    def test_keywords_are_expanded(self) -> None:
        """Each keyword of a `**kwargs` run has an edge of its own."""
        a = Task()
        with Flow("f") as flow:
            task = AnyKeywords()(a, second=a, third=a)
        assert {edge.key for edge in flow.edges_to(task)} == {"first", "second", "third"}

    @pytest.mark.parametrize(("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 2})])
    def test_arguments_must_satisfy_run(self, args: tuple[int, ...], kwargs: dict[str, Any]) -> None:
        """Missing, surplus and unknown arguments are refused before a flow is looked for."""
        with pytest.raises(TypeError):
            Add().bind(*args, **kwargs)

    def test_without_a_flow(self) -> None:
        """Outside a block, and without the argument, there is nowhere to bind to."""
        with pytest.raises(ValueError, match="Could not infer an active Flow context"):
            Add().bind(1)
        flow = Flow("f")
        assert Add().bind(1, flow=flow) in flow.tasks

    def test_without_arguments_the_task_is_just_added(self) -> None:
        """A call without arguments is how a task without inputs gets into the flow."""
        with Flow("f") as flow:
            task = Task()()
        assert flow.tasks == {task}
        assert flow.edges == set()

    def test_upstream_tasks_become_state_edges(self) -> None:
        """upstream_tasks give order without values."""
        a = Task()
        with Flow("f") as flow:
            task = Add()(1, upstream_tasks=[a])
        assert Edge(a, task) in flow.edges

    def test_tags_of_the_context_reach_bound_tasks(self) -> None:
        """Tags also reach a task that was made before."""
        task = Task()
        with Flow("f"), tags("t"):
            task.bind()
        assert task.tags == {"t"}

    def test_binding_an_argument_twice_is_refused(self) -> None:
        """An argument can come from one place only; two flows are two places."""
        task = Add()
        with Flow("f"):
            task.bind(1)
            with pytest.raises(ValueError, match="'x'"):
                task.bind(2)
        with Flow("g") as other:
            task.bind(3)
        assert len(other.edges) == 1

    def test_binding_to_the_same_task_twice_is_refused(self) -> None:
        """Although the edge would be the same."""
        task, above = Add(), Task()
        with Flow("f"):
            task.bind(above)
            with pytest.raises(ValueError, match="'x'"):
                task.bind(above)

    def test_a_name_that_run_cannot_take_is_refused(self) -> None:
        """The first argument of the method itself cannot be one of its keywords, unless it is positional only."""
        with Flow("f") as flow:
            with pytest.raises(TypeError, match=r"AnyKeywords.*nothing can be given by the name 'self'"):
                AnyKeywords()(1, self=3)
            with pytest.raises(TypeError, match="'self'"):
                flow.add_edge(Task(), AnyKeywords(), "self", validate=True)
            assert not flow.tasks

        class Free(Task):
            def run(this, /, **given: int) -> Any:
                return given

        with Flow("g") as flow:
            made = Free()(self=3, this=4)
        assert flow.run().result[made].result == {"self": 3, "this": 4}

    @pytest.mark.parametrize("upstream", ["abc", Task(), unmapped(Task()), 5])
    def test_upstream_tasks_are_several(self, upstream: Any) -> None:
        """One thing alone is refused by the argument's name; a str would become its letters."""
        with Flow("f") as flow:
            with pytest.raises(TypeError, match="upstream_tasks must be a list"):
                Task()(upstream_tasks=upstream)
            assert not flow.tasks

    @pytest.mark.parametrize(
        ("args", "kwargs", "error"),
        [
            ((1, {"no name": 2}), {}, ValueError),
            (([1, 2], lambda *args: args), {}, ValueError),
            ((1, 2), {"upstream_tasks": [3, {"no name": 4}]}, ValueError),
        ],
    )
    def test_a_bind_that_fails_leaves_the_flow_as_it_was(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], error: type[Exception]
    ) -> None:
        """Neither the task nor what was made of its first arguments stays; what was there before does."""
        with Flow("f") as flow:
            before = Add()(1)
            with pytest.raises(error):
                Add()(*args, **kwargs)
            with case(before, 2), pytest.raises(error):
                Add()(*args, **kwargs)
        assert len(flow.tasks) == 2
        assert flow.edges == flow.edges_to(before)
        assert flow.run().result[before].result == 2

    def test_a_slugged_task_cannot_be_called_twice(self) -> None:
        """Copies keep the slug, and slugs are unique in a flow."""
        task = Task(slug="only")
        with Flow("f"):
            task()
            with pytest.raises(ValueError, match="only"):
                task()

    def test_set_dependencies_needs_a_flow(self) -> None:
        """Both directions need to know where."""
        for call in (Task().set_upstream, Task().set_downstream):
            with pytest.raises(ValueError, match="No Flow was passed"):
                call(Task())
        with pytest.raises(ValueError, match="No Flow was passed"):
            Task().set_dependencies()

    def test_set_upstream_and_downstream(self) -> None:
        """One state edge each, in the flow that is passed."""
        a, b, c = Task(), Task(), Task()
        flow = Flow("f")
        b.set_upstream(a, flow=flow)
        b.set_downstream(c, flow=flow)
        assert flow.edges == {Edge(a, b), Edge(b, c)}


class TestMap:
    def test_arguments_and_upstream_tasks_are_mapped(self) -> None:
        """map makes every edge upstream mapped, and works on a copy."""
        a, b, task = Task(), Task(), Add()
        with Flow("f") as flow:
            new = task.map(a, upstream_tasks=[b])
        assert new is not task
        assert flow.edges_to(new) == {Edge(a, new, "x", mapped=True), Edge(b, new, mapped=True)}

    def test_annotations_decide_for_one_edge(self) -> None:
        """unmapped, mapped and flatten change the edge of the argument that they stand around, also nested."""
        a, b, c = Task(), Task(), Task()
        with Flow("f") as flow:
            mapped_call = Add().map(unmapped(a), y=flatten(b))
            plain_call = Add()(mapped(a), y=flatten(b))
            nested = Add().map(a, y=flatten(unmapped(b)), upstream_tasks=[unmapped(c)])
        assert flow.edges_to(mapped_call) == {
            Edge(a, mapped_call, "x"),
            Edge(b, mapped_call, "y", mapped=True, flattened=True),
        }
        assert flow.edges_to(plain_call) == {
            Edge(a, plain_call, "x", mapped=True),
            Edge(b, plain_call, "y", flattened=True),
        }
        assert flow.edges_to(nested) == {
            Edge(a, nested, "x", mapped=True),
            Edge(b, nested, "y", flattened=True),
            Edge(c, nested),
        }

    def test_downstream_edges_are_never_mapped(self) -> None:
        """Mapping is about what comes in."""
        a, b = Task(), Task()
        flow = Flow("f")
        a.set_dependencies(flow, downstream_tasks=[b], mapped=True)
        assert flow.edges == {Edge(a, b)}

    def test_task_args_change_the_copy(self) -> None:
        """map accepts task_args as a call does."""
        with Flow("f"):
            assert Add().map([1], task_args={"name": "n"}).name == "n"


class TestParameter:
    def test_a_default_makes_it_optional(self) -> None:
        """Any default but None does, also a false one."""
        assert Parameter("p").required is True
        for default in (0, False, "", 5):
            assert Parameter("p", default=default).required is False

    def test_name_and_slug_are_one_and_fixed(self) -> None:
        """The slug is the name, and neither can be changed."""
        parameter = Parameter("p")
        assert (parameter.name, parameter.slug) == ("p", "p")
        assert repr(parameter) == "<Parameter: p>"
        with pytest.raises(AttributeError, match="name"):
            parameter.name = "q"
        with pytest.raises(AttributeError, match="slug"):
            parameter.slug = "q"

    @pytest.mark.parametrize(("name", "error"), [("", ValueError), (None, TypeError), (5, TypeError)])
    def test_it_needs_a_name(self, name: Any, error: type[Exception]) -> None:
        """Runs give its value by name, so there must be one."""
        with pytest.raises(error, match="name"):
            Parameter(name)

    def test_two_of_one_name_clash(self) -> None:
        """A flow has one parameter of a name."""
        flow = Flow("f", tasks=[Parameter("p")])
        with pytest.raises(ValueError, match="'p'"):
            flow.add_task(Parameter("p"))

    def test_always_checkpointed(self) -> None:
        """A parameter's value is kept, whatever the configuration says."""
        assert Parameter("p").checkpoint is True

    def test_run_gives_the_value_of_the_run(self) -> None:
        """The value comes from the context, else it is the default; both may be falsy."""
        assert Parameter("p", default=3).run() == 3
        with context(parameters={"p": None}):
            assert Parameter("p", default=3).run() is None
        assert Parameter("p", required=False).run() is None

    def test_run_fails_without_a_required_value(self) -> None:
        """A missing value is told by name."""
        from flowkiln.engine.signals import FAIL

        with pytest.raises(FAIL, match="'p' was required but not provided"):
            Parameter("p").run()

    def test_copyable_by_call(self) -> None:
        """Calling a parameter puts a copy into the flow."""
        parameter = Parameter("p")
        with Flow("f") as flow:
            new = parameter()
        assert flow.parameters() == {new}
        assert new is not parameter
