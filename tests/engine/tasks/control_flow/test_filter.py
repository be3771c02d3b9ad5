from __future__ import annotations

import numpy

from flowkiln import Flow, Task, triggers
from flowkiln.engine.result import NoResult
from flowkiln.tasks.control_flow import FilterTask


class Fail(Task):
    def run(self) -> None:
        """Fail."""
        raise ValueError("on purpose")


class TestFilterTask:
    def test_the_default_drops_what_is_no_result(self) -> None:
        """Exceptions and missing results go; false values stay."""
        assert FilterTask().run([0, "", None, NoResult, ValueError(), False]) == [0, "", None, False]

    def test_arrays_are_results(self) -> None:
        """What has no truth value as a whole is kept like anything else."""
        array = numpy.array([1, 2])
        kept = FilterTask().run([array, NoResult, 0])
        assert kept[0] is array
        assert kept[1:] == [0]

    def test_a_function_decides(self) -> None:
        """What the function finds true is kept."""
        assert FilterTask(lambda x: x > 1).run([1, 2, 3]) == [2, 3]

    def test_defaults_can_be_overridden(self) -> None:
        """It runs after failures and skips, unless told otherwise."""
        assert FilterTask().skip_on_upstream_skip is False
        assert FilterTask().trigger is triggers.all_finished
        task = FilterTask(skip_on_upstream_skip=True, trigger=triggers.all_successful)
        assert task.skip_on_upstream_skip is True
        assert task.trigger is triggers.all_successful

    def test_in_a_flow(self) -> None:
        """The failed branch is left out."""
        with Flow("f") as flow:
            made = FilterTask()([1, None])
            made.set_upstream(Fail())
        assert flow.run().result[made].result == [1, None]
