from __future__ import annotations

import pickle
from operator import methodcaller

import pytest

from flowkiln import Task
from flowkiln.common.lazy_modules import lazy_submodules
from flowkiln.engine.state import Failed, State, Success
from flowkiln.utilities import exceptions
from flowkiln.utilities.notifications import callback_factory
from flowkiln.utilities.serialization import from_qualified_name, to_qualified_name


class TestExceptions:
    def test_one_hierarchy(self) -> None:
        """Every error of ours can be caught by one name; the context's is a KeyError, the warning a UserWarning."""
        errors = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]
        ours = [each for each in errors if not issubclass(each, Warning)]
        assert len(ours) >= 7
        assert all(issubclass(each, exceptions.FlowkilnError) for each in ours)
        assert issubclass(exceptions.ContextError, KeyError)
        assert issubclass(exceptions.FlowkilnWarning, UserWarning)


class TestCallbackFactory:
    def test_calls_only_when_the_check_is_true(self) -> None:
        """Truthy is not enough; the new state comes back in any case."""
        calls: list[tuple[object, State]] = []
        handler = callback_factory(lambda obj, state: calls.append((obj, state)), methodcaller("is_failed"))
        truthy = callback_factory(lambda obj, state: calls.append((obj, state)), lambda state: 1)  # type: ignore[arg-type,return-value]
        success, failed = Success(), Failed()
        assert handler("task", success, failed) is failed
        assert handler("task", failed, success) is success
        assert truthy("task", failed, success) is success
        assert calls == [("task", failed)]

    def test_survives_pickling(self) -> None:
        """A handler made of functions travels with its task."""
        handler = pickle.loads(pickle.dumps(callback_factory(print, methodcaller("is_failed"))))
        assert handler(None, None, Success()) == Success()


class TestQualifiedNames:
    def test_there_and_back(self) -> None:
        """Classes, functions and nested names are found by their own names."""
        assert to_qualified_name(Task) == "flowkiln.core.task.Task"
        for obj in (Task, Task.bind, callback_factory):
            assert from_qualified_name(to_qualified_name(obj)) is obj

    def test_the_longest_module_wins(self) -> None:
        """A module is found as itself."""
        assert from_qualified_name("flowkiln.utilities.exceptions") is exceptions

    @pytest.mark.parametrize("name", ["no_such_module_at_all.x", "flowkiln.core.task.Nope", ""])
    def test_unknown_names(self, name: str) -> None:
        """What is not there, or not imported, is refused."""
        with pytest.raises(ValueError, match="names nothing"):
            from_qualified_name(name)


class TestLazySubmodules:
    def test_only_what_is_named(self) -> None:
        """Named submodules are imported on access, others are attribute errors, and dir shows them."""
        getattribute, directory = lazy_submodules("flowkiln.utilities", ["exceptions"])
        assert getattribute("exceptions") is exceptions
        with pytest.raises(AttributeError, match=r"'flowkiln\.utilities' has no attribute 'nope'"):
            getattribute("nope")
        assert "exceptions" in directory()
