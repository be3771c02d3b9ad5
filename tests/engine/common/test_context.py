from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln import Flow, context
from flowkiln.client import Secret
from flowkiln.utilities.configuration import set_temporary_config
from flowkiln.utilities.context import Context
from flowkiln.utilities.debug import raise_on_exception
from flowkiln.utilities.exceptions import ContextError, FlowkilnError

keys = st.sampled_from("abcd")
changes = st.lists(st.tuples(st.sampled_from(["set", "attribute", "update", "setdefault", "delete", "clear"]), keys))


def change(target: Context, how: str, key: str) -> None:
    """Change the content by one of the means there are."""
    match how:
        case "set":
            target[key] = object()
        case "attribute":
            setattr(target, key, object())
        case "update":
            target.update({key: object()})
        case "setdefault":
            target.setdefault(key, object())
        case "delete":
            target.pop(key, None)
        case "clear":
            target.clear()


def in_thread(work: Callable[[], Any]) -> Any:
    """Give what the work returns in a new thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


class TestContext:
    def test_call_gives_the_context_itself(self) -> None:
        """The block works on the one context, by mapping and by keywords."""
        with context({"a": 1}, b=2) as inside:
            assert inside is context
            assert (context.a, context["b"]) == (1, 2)
        assert "a" not in context
        assert repr(context) == "<Context>"

    def test_missing(self) -> None:
        """A missing key is a ContextError, which is a KeyError; a missing attribute an AttributeError."""
        for error in (ContextError, KeyError, FlowkilnError):
            with pytest.raises(error):
                context["nope"]
        with pytest.raises(KeyError):
            del context["nope"]
        with pytest.raises(AttributeError):
            context.nope  # noqa: B018

    def test_method_names_are_no_keys(self) -> None:
        """A refused key leaves the content as it was."""
        with pytest.raises(ValueError, match="items"), context(a=1, items=2):
            pass
        assert "a" not in context

    @given(changes, changes)
    def test_the_whole_previous_content_comes_back(self, outer: list[Any], inner: list[Any]) -> None:
        """Whatever happens inside a block, by any means, is gone at its end; blocks nest."""
        target = Context()
        for how, key in outer:
            change(target, how, key)
        before = dict(target)
        with target(a=1):
            for how, key in inner:
                change(target, how, key)
            middle = dict(target)
            with target(b=2):
                for how, key in outer:
                    change(target, how, key)
            assert dict(target) == middle
        assert dict(target) == before

    def test_an_error_restores_too(self) -> None:
        """The block ends properly when it raises."""
        with pytest.raises(RuntimeError), context(a=1):
            raise RuntimeError
        assert "a" not in context

    def test_threads_are_apart(self) -> None:
        """A new thread starts fresh, and what it sets stays there."""
        with context(a=1):
            assert in_thread(lambda: "a" in context) is False
            in_thread(lambda: context.update(a=2))
            assert context.a == 1

    def test_interleaved_threads(self) -> None:
        """Two threads inside blocks at the same time see their own values."""
        barrier, seen = threading.Barrier(2, timeout=240), {}

        def work(name: str) -> None:
            with context(name=name):
                barrier.wait()
                seen[name] = context.name
                barrier.wait()

        threads = [threading.Thread(target=work, args=(name,)) for name in "xy"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == {"x": "x", "y": "y"}

    async def test_asyncio_tasks_are_apart(self) -> None:
        """A coroutine that runs as a task sees what its parent saw, and changes nothing there."""

        async def child(value: int) -> int:
            with context(a=value):
                await asyncio.sleep(0)
                return int(context.a)

        with context(a=1):
            assert await asyncio.gather(child(2), child(3)) == [2, 3]
            assert context.a == 1

    def test_a_fresh_context_has_the_configured_section(self) -> None:
        """The section `context` is loaded when a Context is made, and arguments win over it."""
        with set_temporary_config({"context.secrets.KEY": "v", "context.a": 1}):
            fresh = Context(a=2)
        assert fresh.secrets.KEY == "v"
        assert fresh.a == 2
        assert in_thread(lambda: fresh.secrets.KEY) == "v"

    def test_configuration_is_only_a_default(self) -> None:
        """D11: what `with context` sets wins over the configuration inside, after nested blocks and as a snapshot."""
        with set_temporary_config({"context.a": "configured"}):
            fresh = Context()
            with fresh(a="set"):
                with fresh(b=1):
                    pass
                assert fresh.a == "set"
                snapshot = fresh.snapshot()

            def on_a_worker() -> Any:
                with fresh(snapshot):
                    return fresh.a

            assert in_thread(on_a_worker) == "set"
            assert fresh.a == "configured"

    def test_nested_configuration_is_not_shared(self) -> None:
        """Changing a section in one thread's content does not reach another's."""
        with set_temporary_config({"context.secrets.KEY": "v"}):
            fresh = Context()
        fresh.secrets.KEY = "changed"
        assert in_thread(lambda: fresh.secrets.KEY) == "v"

    def test_snapshot_leaves_out_what_builds_flows(self) -> None:
        """Tasks travel with values, not with the flow that is being built."""
        with context(a=1), Flow("f"):
            assert context.snapshot() == {"a": 1}
            assert "flow" in context.copy()

    def test_pickling_the_process_wide_context_keeps_its_identity(self) -> None:
        """A function that uses the context sees, wherever it runs, the context there; other contexts keep content."""
        assert pickle.loads(pickle.dumps(context)) is context
        assert cloudpickle.loads(cloudpickle.dumps(lambda: context))() is context
        assert dict(pickle.loads(pickle.dumps(Context(a=1)))) == {"a": 1}

    def test_raise_on_exception(self) -> None:
        """The helper sets its key for the block."""
        with raise_on_exception():
            assert context.raise_on_exception is True
        assert "raise_on_exception" not in context


class TestSecret:
    def test_from_the_context(self) -> None:
        """A secret is read when asked for; a missing one is None."""
        secret = Secret("KEY")
        assert secret.get() is None
        with context(secrets={"KEY": "v"}):
            assert secret.get() == "v"
            assert Secret("OTHER").get() is None
        assert repr(secret) == "<Secret: KEY>"

    def test_local_secrets_can_be_switched_off(self) -> None:
        """Then there is no place to ask, and that is said."""
        with set_temporary_config({"cloud.use_local_secrets": False}), pytest.raises(ValueError, match="KEY"):
            Secret("KEY").get()
