from __future__ import annotations

from typing import Any

import pytest

from flowkiln import Flow, Task, context, tags, task
from flowkiln.engine.signals import PAUSE
from flowkiln.tasks.core.function import FunctionTask
from flowkiln.utilities.tasks import defaults_from_attrs, pause_task


class TestTaskDecorator:
    def test_all_forms(self) -> None:
        """Bare, with arguments, and as a function."""

        @task
        def bare(x: int) -> int:
            """Documented."""
            return x

        @task(name="named", tags=["t"])
        def with_arguments() -> None:
            pass

        assert isinstance(bare, FunctionTask)
        assert (bare.name, bare.run(1)) == ("bare", 1)
        assert (with_arguments.name, with_arguments.tags) == ("named", {"t"})
        assert task(lambda: 5, name="five").name == "five"

    def test_bad_signature(self) -> None:
        """The signature rule holds for functions."""
        with pytest.raises(ValueError, match="upstream_tasks"):

            @task
            def wrong(upstream_tasks: Any) -> None:
                pass

    def test_calls(self) -> None:
        """Outside a flow a call is refused, also without arguments; inside, each call is a new task."""

        @task
        def nothing() -> None:
            pass

        @task
        def something(x: int) -> None:
            pass

        with pytest.raises(ValueError, match="Could not infer an active Flow context"):
            nothing()
        with Flow("f") as flow:
            assert nothing() is not nothing()
            with pytest.raises(TypeError):
                something()
        assert len(flow.tasks) == 2


class TestTags:
    def test_nested_blocks_add_up(self) -> None:
        """Tags reach tasks that are made, copied or bound inside."""
        before = Task()
        with tags("a", "b"):
            with tags("c"):
                made = Task()
            copied = before.copy()
            assert context.tags == {"a", "b"}
        assert made.tags == {"a", "b", "c"}
        assert copied.tags == {"a", "b"}
        assert before.tags == set()
        assert "tags" not in context


class TestPauseTask:
    def test_pauses_until_resumed(self) -> None:
        """It pauses with a message, unless the run was resumed."""
        with pytest.raises(PAUSE, match="paused itself"):
            pause_task()
        with pytest.raises(PAUSE, match="look at this"):
            pause_task("look at this")
        with context(resume=True):
            pause_task()


class TestDefaultsFromAttrs:
    def test_missing_arguments_come_from_attributes(self) -> None:
        """Named arguments that are not passed are attributes; None counts as passed; others are untouched."""

        class Connect(Task):
            def __init__(self, host: str, **kwargs: Any) -> None:
                self.host = host
                self.port = 80
                super().__init__(**kwargs)

            @defaults_from_attrs("host", "port")
            def run(self, host: str | None = None, port: int | None = None, path: str = "/") -> tuple[Any, ...]:
                """Documented."""
                return host, port, path

        connect = Connect("h")
        assert connect.run() == ("h", 80, "/")
        assert connect.run("i", port=None) == ("i", None, "/")
        assert connect.run(path="/x") == ("h", 80, "/x")
        assert Connect.run.__doc__ == "Documented."
        with Flow("f"):
            connect("g")

    def test_a_missing_attribute(self) -> None:
        """It is missed when it is needed."""

        class Wrong(Task):
            @defaults_from_attrs("nope")
            def run(self, nope: int | None = None) -> int | None:
                return nope

        assert Wrong().run(nope=1) == 1
        with pytest.raises(AttributeError, match="nope"):
            Wrong().run()
