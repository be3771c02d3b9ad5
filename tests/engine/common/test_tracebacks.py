"""Tracebacks as authors of flows see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from flowkiln import Flow, task
from flowkiln.common.source_folders import name_in_source
from flowkiln.common.tracebacks import user_traceback
from flowkiln.engine.executors import Executor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.states.records import FlowRunRecord, TaskRunRecord


def _called_through(modules: Sequence[str]) -> Callable[[], None]:
    """Make a function that raises, called by functions of these modules, the last of them first."""

    def raises() -> None:
        raise ValueError("no rows")

    called: Callable[[], None] = raises
    for module in modules:
        space: dict[str, Any] = {"__name__": module, "called": called}
        exec(f"def in_{module.rpartition('.')[2]}(): called()", space)
        called = space[f"in_{module.rpartition('.')[2]}"]
    return called


def _functions(error: BaseException) -> list[str]:
    return [line.rpartition(" in ")[2] for line in user_traceback(error).splitlines() if line.startswith("  File ")]


@pytest.mark.parametrize(
    ("through", "shown"),
    [
        ((), ["raises"]),
        (("weather", "flowkiln.engine.task_runner"), ["in_weather", "raises"]),
        (("flowkiln.loading.bound_function", "weather"), ["in_weather", "raises"]),
        (("concurrent.futures.thread", "flowkiln.engine.bodies.timeouts", "weather"), ["in_weather", "raises"]),
        (("threading", "weather"), ["in_weather", "in_threading", "raises"]),
        (("flowkilns",), ["in_flowkilns", "raises"]),
    ],
)
def test_frames_of_the_engine_are_left_out(through: tuple[str, ...], shown: list[str]) -> None:
    """Also in the middle, with what the engine calls bodies through; what a body calls by itself stays."""
    with pytest.raises(ValueError, match="no rows") as caught:
        _called_through(through)()
    assert _functions(caught.value)[1:] == shown


def test_an_error_of_the_engine_alone_has_no_traceback() -> None:
    """Its message says all that an author can use."""
    space: dict[str, Any] = {"__name__": "flowkiln.tasks.core.operators"}
    exec("def run():\n    try:\n        {}['x']\n    except KeyError as error:\n        return error", space)
    assert user_traceback(space["run"]()) == ""


def test_causes_and_groups_are_shown_without_machinery_too() -> None:
    """A `raise ... from`, and each error of a group."""
    inner = _called_through(("flowkiln.engine.bodies.timeouts",))
    try:
        try:
            inner()
        except ValueError as error:
            raise ExceptionGroup("several", [error]) from error
    except ExceptionGroup as group:
        text = user_traceback(group)
    assert text.count("ValueError: no rows") == 2
    assert "in_timeouts" not in text


class Speechless(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("error", [Speechless(), ValueError("caf\udce9"), KeyError(Speechless())])
def test_every_error_has_a_text_that_can_be_sent(error: Exception) -> None:
    """An exception whose `__str__` raises, or whose text no encoding can carry."""
    with pytest.raises(type(error)) as caught:
        raise error
    assert user_traceback(caught.value).encode()


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("/tmp/flowkiln-source-abc_1/weather.py", "weather.py"),
        ("/etc/flowkiln/source/steps/load.py", "steps/load.py"),
        ("/home/me/flow.py", "/home/me/flow.py"),
        ("/etc/flowkiln/plan", "/etc/flowkiln/plan"),
        ("<string>", "<string>"),
    ],
)
def test_files_of_a_document_go_by_their_path_there(filename: str, name: str) -> None:
    """Wherever the files were written for the run; all other files keep their names."""
    assert name_in_source(filename) == name


def _helper(x: int) -> int:
    raise ValueError(f"no rows in {x}")


@task
def load(x: int) -> int:
    """Fail in a helper."""
    return _helper(x)


@task(timeout=30)
def load_in_time(x: int) -> int:
    """Fail in a helper, with a deadline."""
    return _helper(x)


@task
def load_in_threads(x: int) -> list[int]:
    """Fail in a thread of the body's own."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_helper, [x]))


class Tracebacks:
    """Keeps the tracebacks of a run."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Keep them."""
        self.texts.extend(record.traceback for record in records if record.traceback)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Of no interest here."""


@pytest.mark.parametrize("body", [load, load_in_time, load_in_threads])
def test_a_traceback_has_file_and_line_of_the_body_wherever_it_ran(body: Any, any_executor: Executor) -> None:
    """Functions under a decorator travel as code; the traceback names their file and shows their lines all the same."""
    with Flow("tracebacks") as flow:
        body(3)
    found = Tracebacks()
    Conductor(flow, any_executor, observer=found).run()
    (text,) = found.texts
    lines = text.splitlines()
    assert lines[1].startswith(f'  File "{Path(__file__)}", line ')
    assert lines[1].endswith(f", in {body.name}")
    assert 'raise ValueError(f"no rows in {x}")' in text
    assert "flowkiln/engine" not in text
