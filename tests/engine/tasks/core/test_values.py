from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import cloudpickle
import pytest

from flowkiln import Flow, Task, case, task, unmapped
from flowkiln.core import Edge
from flowkiln.tasks.core.collections import Dict, List, Set, Tuple
from flowkiln.tasks.core.constants import Constant
from flowkiln.tasks.core.function import FunctionTask
from flowkiln.utilities.tasks import EdgeAnnotation, as_task, flatten, mapped


class TestConstant:
    def test_run_gives_the_value(self) -> None:
        """A constant's result is its value, the object itself."""
        value = [1]
        assert Constant(value).run() is value

    @pytest.mark.parametrize(
        ("value", "name"),
        [(1, "1"), ("abcdef", "'abcdef'"), ("abcdefg", "Constant[str]"), ([1, 2, 3], "Constant[list]"), (None, "None")],
    )
    def test_named_after_the_value_if_short(self, value: Any, name: str) -> None:
        """A repr of at most eight characters is the name, else the type is."""
        assert Constant(value).name == name

    def test_other_arguments(self) -> None:
        """A name and the arguments of Task may be given."""
        constant = Constant(1, name="one", tags=["t"])
        assert (constant.name, constant.tags) == ("one", {"t"})


class TestFunctionTask:
    def test_named_after_the_function(self) -> None:
        """The function's name is the name; a callable without one leaves the class name."""

        class Callable:
            def __call__(self, x: int) -> int:
                return x

        def load(x: int) -> int:
            return x + 1

        assert FunctionTask(load).name == "load"
        assert FunctionTask(load, name="n").name == "n"
        assert FunctionTask(Callable()).name == "FunctionTask"
        assert FunctionTask(load).run(1) == 2

    def test_only_callables(self) -> None:
        """Anything else is a TypeError."""
        with pytest.raises(TypeError, match="5"):
            FunctionTask(5)  # type: ignore[arg-type]

    def test_the_signature_rule_holds(self) -> None:
        """Functions follow the rule of run, and what Python cannot inspect is refused in words."""
        with pytest.raises(ValueError, match=r"\*args"):
            FunctionTask(lambda *args: None)
        with pytest.raises(ValueError, match="mapped"):
            FunctionTask(lambda mapped: None)
        with pytest.raises(ValueError, match="no signature"):
            FunctionTask(max)

    @pytest.mark.parametrize("function", [math.sqrt, len, lambda x, /: x])
    def test_a_function_that_takes_its_arguments_by_position_only_is_refused(self, function: Any) -> None:
        """Results reach a function by name, so one without names could never run."""
        with pytest.raises(ValueError, match=r"can be given by position only.*a function of your own"):
            task(function)

    def test_what_is_given_by_position_only_is_refused_when_bound(self) -> None:
        """Such an argument with a default makes no difference until somebody gives it."""
        made = task(lambda x=1, /: x)
        with Flow("f") as flow:
            ran = made()
            with pytest.raises(TypeError, match="nothing can be given by the name 'x'"):
                made(2)
        assert flow.run().result[ran].result == 1

    @pytest.mark.parametrize("kind", ["coroutine", "generator", "object", "method"])
    def test_an_asynchronous_function_is_refused(self, kind: str) -> None:
        """Nothing would await it, so the task would succeed without having run."""

        async def coroutine() -> None:
            pass

        async def generator() -> AsyncIterator[int]:
            yield 1

        class Called:
            async def __call__(self) -> None:
                pass

        def by_class() -> None:
            type("Wrong", (Task,), {"run": coroutine})

        made = {
            "coroutine": lambda: task(functools.partial(coroutine)),
            "generator": lambda: task(generator),
            "object": lambda: task(Called()),
            "method": by_class,
        }
        with pytest.raises(ValueError, match=r"is `async`.*asyncio\.run"):
            made[kind]()

    @pytest.mark.parametrize("kind", ["function", "lambda", "partial", "cached", "object", "bound method", "class"])
    def test_a_generator_function_is_refused(self, kind: str) -> None:
        """Nothing would run its body, so the task would succeed without having run."""

        def rows(n: int = 3) -> Iterator[int]:
            yield from range(n)

        class Called:
            def __call__(self) -> Iterator[int]:
                yield 1

            def rows(self) -> Iterator[int]:
                yield 1

        made: dict[str, Callable[[], object]] = {
            "function": lambda: task(rows),
            "lambda": lambda: task(lambda: (yield)),
            "partial": lambda: task(functools.partial(functools.partial(rows), n=2)),
            "cached": lambda: task(functools.cache(rows)),
            "object": lambda: task(Called()),
            "bound method": lambda: task(Called().rows),
            "class": lambda: type("Wrong", (Task,), {"run": lambda self: (yield)}),
        }
        with pytest.raises(ValueError, match=r"generator function.*return a list"):
            made[kind]()

    def test_a_wrapper_that_runs_what_cannot_be_a_task_itself(self) -> None:
        """It may collect the elements of a generator, or run a coroutine."""

        def collected(fn: Callable[..., Any]) -> Callable[..., Any]:
            return functools.wraps(fn)(lambda **inputs: list(fn(**inputs)))

        def awaited(fn: Callable[..., Any]) -> Callable[..., Any]:
            return functools.wraps(fn)(lambda **inputs: asyncio.run(fn(**inputs)))

        class Collected:
            def __init__(self, fn: Callable[..., Any]) -> None:
                functools.update_wrapper(self, fn)
                self.fn = fn

            def __call__(self, **inputs: Any) -> list[int]:
                return list(self.fn(**inputs))

        def rows(n: int = 3) -> Iterator[int]:
            yield from range(n)

        async def fetch(n: int = 3) -> int:
            return n

        with Flow("f") as flow:
            made = [task(collected(rows))(), task(awaited(fetch))(), task(Collected(rows))(n=1)]
        final = flow.run()
        assert [final.result[each].result for each in made] == [[0, 1, 2], 3, [0]]

    def test_a_plain_wrapper_of_an_asynchronous_function_is_welcome(self) -> None:
        """What counts is what is called."""

        async def answer() -> int:
            return 42

        @functools.wraps(answer)
        def run() -> int:
            return asyncio.run(answer())

        with Flow("f") as flow:
            made = task(run)()
        assert flow.run().result[made].result == 42

    def test_an_unhashable_callable(self) -> None:
        """A callable object that cannot be hashed works like any other."""

        class Callable:
            __hash__ = None  # type: ignore[assignment]

            def __call__(self, x: int) -> int:
                return x

        with Flow("f") as flow:
            FunctionTask(Callable())(1)
        assert len(flow.edges) == 1


class TestCollections:
    @pytest.mark.parametrize(("collection", "kind"), [(List, list), (Tuple, tuple)])
    def test_argument_order_beyond_ten(self, collection: type[Task], kind: type[Any]) -> None:
        """D6: twelve elements come back in argument order, whatever the order they arrive in."""
        elements = {f"arg_{i}": i for i in (10, 2, 12, 1, 11, *range(3, 10))}
        assert collection().run(**elements) == kind(range(1, 13))

    def test_set_and_dict(self) -> None:
        """Sets and dicts are what they are called."""
        assert Set().run(arg_1=1, arg_2=1, arg_3=2) == {1, 2}
        assert Dict().run(a=1, b=2) == {"a": 1, "b": 2}

    def test_bind_numbers_the_elements(self) -> None:
        """Element i comes in by the key arg_i."""
        a, b = Task(), Task()
        flow = Flow("f")
        made = List().bind(a, b, flow=flow, upstream_tasks=[b], mapped=True)
        assert flow.edges_to(made) == {
            Edge(a, made, "arg_1", mapped=True),
            Edge(b, made, "arg_2", mapped=True),
            Edge(b, made, mapped=True),
        }

    def test_dict_binds_by_its_keys(self) -> None:
        """Keys are the edge keys, so they must be identifiers; names that bind uses itself are keys like others."""
        a = Task()
        with Flow("f") as flow:
            made = as_task({"flow": a, "mapped": a})
            assert flow.edges_to(made) == {Edge(a, made, "flow"), Edge(a, made, "mapped")}
            with pytest.raises(ValueError, match="not valid"):
                as_task({"not valid": a})

    def test_survive_pickling(self) -> None:
        """Collections travel."""
        assert cloudpickle.loads(cloudpickle.dumps(List())).run(arg_2=2, arg_1=1) == [1, 2]


class TestAsTask:
    def test_kinds(self) -> None:
        """Each kind of value becomes its kind of task."""
        t = Task()
        with Flow("f"):
            assert as_task(t) is t
            assert as_task(unmapped(t)) is t
            assert as_task(flatten(unmapped(t))) is t
            assert isinstance(as_task([t]), List)
            assert isinstance(as_task((t,)), Tuple)
            assert isinstance(as_task({t}), Set)
            assert isinstance(as_task({"a": t}), Dict)
            assert isinstance(as_task(lambda x: x), FunctionTask)
            assert isinstance(as_task("text"), Constant)

    def test_nested_collections_are_tasks_of_their_own(self) -> None:
        """A dict that holds a list makes two collection tasks."""
        with Flow("f") as flow:
            as_task({"a": [1]})
        assert sorted(type(each).__name__ for each in flow.tasks) == ["Constant", "Dict", "List"]

    def test_equal_values_are_not_merged(self) -> None:
        """Each use of a constant makes a new task."""
        assert as_task(1) is not as_task(1)

    def test_a_collection_needs_a_flow(self) -> None:
        """Elements must be bound somewhere."""
        for value in ([1], {"a": 1}):
            with pytest.raises(ValueError, match="Could not infer an active Flow context"):
                as_task(value)

    def test_an_annotation_shows_what_is_inside(self) -> None:
        """Its task is what as_task makes of the value, so a task stays the same; repr shows the value."""
        t = Task()
        assert unmapped(t).task is t
        assert unmapped(5).task.run() == 5
        assert repr(unmapped(5)) == "unmapped(5)"

    @pytest.mark.parametrize("annotation", [unmapped, flatten, mapped])
    @pytest.mark.parametrize("value", [[[1, 2], [3]], {"k": [1]}])
    def test_an_annotation_brings_its_elements_into_each_flow(
        self, annotation: type[EdgeAnnotation], value: Any
    ) -> None:
        """One annotated collection that is used in two flows has its elements in both."""
        annotated = annotation(value)
        sizes = []
        for name in ("first", "second"):
            with Flow(name) as flow:
                task(lambda x: x)(annotated)
            sizes.append((len(flow.tasks), len(flow.edges)))
        assert sizes[0] == sizes[1] > (2, 1)

    def test_an_annotated_list_gives_the_same_in_two_flows(self) -> None:
        """End to end: the second flow sees what the first one saw, not an empty list."""
        shared = unmapped(["a", "b"])
        seen = []
        for name in ("first", "second"):
            with Flow(name) as flow:
                pairs = task(lambda x, words: (x, words)).map([1], shared)
            seen.append(flow.run().result[pairs].result)
        assert seen == [[(1, ["a", "b"])]] * 2

    def test_an_annotated_value_is_made_anew_at_each_use(self) -> None:
        """A constant that belongs to a case is not the one of a task outside of it."""
        shared = unmapped(5)
        with Flow("f") as flow:
            same = task(lambda x: x)
            with case(task(lambda: "no", name="no")(), "yes"):
                same(shared)
            outside = same(shared)
        assert flow.run().result[outside].result == 5

    def test_a_dict_may_have_any_argument_name_as_a_key(self) -> None:
        """Names that methods use themselves are no exception."""
        with Flow("f") as flow:
            made = as_task({"self": 1, "flow": 2, "mapped": 3})
        assert flow.run().result[made].result == {"self": 1, "flow": 2, "mapped": 3}

    def test_elements_reach_the_run_in_order(self) -> None:
        """D6 end to end: a list of twelve results, run."""

        @task
        def same(x: Any) -> Any:
            return x

        with Flow("f") as flow:
            listed = same([same(i) for i in range(12)])
        assert flow.run().result[listed].result == list(range(12))
