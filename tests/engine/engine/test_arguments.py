"""What is refused before a run begins, in words about the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowkiln import Flow, Task, context
from flowkiln.engine import FlowRunner
from flowkiln.engine.cache_validators import partial_inputs_only, partial_parameters_only
from flowkiln.engine.executors import LocalExecutor
from flowkiln.engine.state import Cached


class OwnRunner(FlowRunner):
    """A runner class of a user's."""


class TestFlowRun:
    @pytest.mark.parametrize("runner_cls", [None, OwnRunner])
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"executor": LocalExecutor}, r"executor must be an Executor, such as LocalExecutor\(\)"),
            ({"executor": "local"}, r"executor must be an Executor, such as LocalExecutor\(\), not 'local'"),
            ({"state": "Scheduled"}, "state must be a State"),
            ({"start_tasks": Task()}, "start_tasks must be a list"),
            ({"start_tasks": "load"}, "start_tasks must be a list"),
            ({"parameters": [1]}, "parameters must be a dict"),
            ({"context": 5}, "context must be a dict"),
            ({"task_states": [1]}, "task_states must be a dict"),
            ({"task_contexts": [1]}, "task_contexts must be a dict"),
        ],
    )
    def test_arguments_of_another_kind_are_refused(
        self, runner_cls: type[FlowRunner] | None, arguments: dict[str, Any], words: str
    ) -> None:
        """The caller is told at once; no run fails over it."""
        with pytest.raises(TypeError, match=words):
            Flow("f", tasks=[Task()]).run(runner_cls=runner_cls, **arguments)

    def test_what_fits_is_taken(self) -> None:
        """Iterators are lists, and the context is a dict like another."""
        flow = Flow("f", tasks=[Task()])
        state = flow.run(executor=LocalExecutor(), start_tasks=iter(flow.tasks), context=context, task_states={})
        assert state.is_successful()


class TestPartialValidators:
    @pytest.mark.parametrize("validator", [partial_inputs_only, partial_parameters_only])
    def test_a_str_as_names_is_refused(self, validator: Callable[..., Any]) -> None:
        """A word alone would become its letters, which name nothing, so that every cache would be valid."""
        with pytest.raises(TypeError, match=r"validate_on must be a list of names.*\['xy'\]"):
            validator(validate_on="xy")
        with pytest.raises(TypeError, match="validate_on"):
            validator(Cached(), {"xy": 1}, {"xy": 1}, validate_on="xy")
