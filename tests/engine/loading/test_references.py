from __future__ import annotations

import os.path
from pathlib import Path

import pytest

from flowkiln.loading.references import resolve, resolve_callable
from flowkiln.utilities.exceptions import FlowLoadError

from .builders import modules


class TestResolve:
    def test_dotted_modules_and_attributes(self) -> None:
        """Dots are allowed on both sides of the colon."""
        assert resolve("os.path:join", "task 'a'") is os.path.join
        assert resolve("pathlib:Path.home", "task 'a'") == Path.home

    def test_missing_module(self) -> None:
        """The sentence names task, module and what to do."""
        with pytest.raises(
            FlowLoadError, match=r"task 'a': there is no module 'kiln_nowhere'; put kiln_nowhere\.py into"
        ) as caught:
            resolve("kiln_nowhere:run", "task 'a'")
        assert caught.value.__cause__ is None, "a traceback would be of Python's import alone"

    def test_missing_package_of_a_module(self) -> None:
        """It is the module asked for that is named, not the package in front of it."""
        with pytest.raises(FlowLoadError, match=r"there is no module 'kiln_nowhere\.deep'"):
            resolve("kiln_nowhere.deep:run", "task 'a'")

    def test_module_whose_own_import_is_missing(self, tmp_path: Path) -> None:
        """A missing library is not mistaken for a missing module of the flow."""
        with (
            modules(tmp_path, kiln_imports="import kiln_nowhere"),
            pytest.raises(FlowLoadError, match="module 'kiln_imports' imports 'kiln_nowhere', which is not installed"),
        ):
            resolve("kiln_imports:run", "task 'a'")

    def test_module_that_raises(self, tmp_path: Path) -> None:
        """The user's error is in the sentence and is its cause."""
        with (
            modules(tmp_path, kiln_raises="raise RuntimeError('cold')"),
            pytest.raises(FlowLoadError, match="importing module 'kiln_raises' raised RuntimeError: cold") as caught,
        ):
            resolve("kiln_raises:run", "task 'a'")
        assert isinstance(caught.value.__cause__, RuntimeError)

    def test_module_that_exits(self, tmp_path: Path) -> None:
        """A module cannot end the program, here or in a cluster."""
        with (
            modules(tmp_path, kiln_exits="raise SystemExit(0)"),
            pytest.raises(FlowLoadError, match="importing module 'kiln_exits' raised SystemExit: 0"),
        ):
            resolve("kiln_exits:run", "task 'a'")

    def test_missing_attribute(self) -> None:
        """A similar name is suggested."""
        with pytest.raises(FlowLoadError, match="task 'a': module 'os' has no 'getcwdd'; did you mean 'getcwd'"):
            resolve("os:getcwdd", "task 'a'")

    def test_missing_inner_attribute(self) -> None:
        """Of a dotted attribute it is said where the way ends."""
        with pytest.raises(FlowLoadError, match="pathlib:Path has no 'fly'"):
            resolve("pathlib:Path.fly", "task 'a'")

    def test_what_cannot_be_called(self) -> None:
        """A constant is no function."""
        with pytest.raises(FlowLoadError, match="'os:sep' is str, not a callable"):
            resolve_callable("os:sep", "task 'a'")
