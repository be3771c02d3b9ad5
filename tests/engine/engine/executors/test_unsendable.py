"""What cannot be pickled is named, with its task, and fails that task alone."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from flowkiln import Flow, Parameter, Task, task
from flowkiln.engine.executors import DaskExecutor, Executor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.state import Success
from flowkiln.tasks.core.constants import Constant
from flowkiln.tasks.core.function import FunctionTask
from flowkiln.triggers import all_finished

GUARD = threading.Lock()


def _with_global() -> Task:
    def guarded() -> int:
        with GUARD:
            return 1

    # As in a script: what is not found by its name in a module travels by value, with the globals that it uses.
    guarded.__module__ = "__main__"
    return FunctionTask(guarded)


def _with_closure() -> Task:
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()

    def guarded() -> bool:
        return waiting.empty()

    return FunctionTask(guarded)


def _with_default() -> Task:
    def guarded(rows: Any = (n for n in range(3))) -> int:
        return sum(rows)

    return FunctionTask(guarded)


def _acquire(lock: Any) -> bool:
    with lock:
        return True


class Client:
    """Has a lock inside."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Reader(Task):
    """Has a client as an attribute."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.client = Client()

    def run(self) -> int:
        """Use it."""
        return 1


def _with_handler() -> Task:
    lock = threading.Lock()

    def tell(_task: Any, _old: Any, _new: Any) -> None:
        with lock:
            pass

    return task(lambda: 1, name="guarded", state_handlers=[tell])


def _with_trigger() -> Task:
    lock = threading.Lock()

    def choosy(_states: Any) -> bool:
        with lock:
            return True

    return task(lambda: 1, name="guarded", trigger=choosy)


KINDS: dict[str, tuple[Callable[[], Task], str]] = {
    "global": (_with_global, "its function cannot be pickled, for the global variable 'GUARD' is a lock."),
    "closure": (_with_closure, "its function cannot be pickled, for the variable 'waiting' is a SimpleQueue."),
    "default": (_with_default, "its function cannot be pickled, for the default of 'rows' is a generator."),
    "partial": (
        lambda: FunctionTask(functools.partial(_acquire, GUARD), name="guarded"),
        "its function cannot be pickled, for the argument 0 is a lock.",
    ),
    "attribute": (
        lambda: Reader(name="guarded"),
        "its attribute 'client' cannot be pickled, for the attribute 'lock' is a lock.",
    ),
    "constant": (
        lambda: Constant({"guard": threading.Lock()}, name="guarded"),
        "its attribute 'value' cannot be pickled, for the item 'guard' is a lock.",
    ),
    "handler": (_with_handler, "its state handler 'tell' cannot be pickled, for the variable 'lock' is a lock."),
    "trigger": (_with_trigger, "its trigger cannot be pickled, for the variable 'lock' is a lock."),
}


@pytest.mark.parametrize(("make", "reason"), KINDS.values(), ids=KINDS)
def test_a_task_that_cannot_be_sent_fails_alone(
    make: Callable[[], Task], reason: str, dask_processes: DaskExecutor
) -> None:
    """It names what it is; retries do not help, its handlers are called, what is downstream goes as for any failure."""
    with Flow("unsendable") as flow:
        fine = task(lambda: "fine", name="fine")()
        guarded = make()
        guarded.max_retries, guarded.skip_on_upstream_skip = 3, True
        guarded.set_upstream(fine)
        after = task(lambda x: x, name="after")(guarded)
        told = task(lambda: "told", name="told", trigger=all_finished)(upstream_tasks=[guarded])
    state = flow.run(executor=dask_processes)
    message = f"Task 'guarded' cannot be sent to a worker process: {reason} "
    assert state.result[guarded].message == message + "Open it inside the body of the task that uses it."
    assert [type(state.result[one]).__name__ for one in (fine, guarded, after, told)] == [
        "Success",
        "Failed",
        "TriggerFailed",
        "Success",
    ]


def test_handlers_of_a_task_that_cannot_be_sent_are_called(dask_processes: DaskExecutor, tmp_path: Any) -> None:
    """`on_failure` too."""
    path = tmp_path / "told"

    def tell(failed: Task, state: Any) -> None:
        path.write_text(f"{failed.name} {type(state).__name__}")

    with Flow("unsendable") as flow:
        Constant(threading.Lock(), name="guarded", on_failure=tell).bind()
    assert flow.run(executor=dask_processes).is_failed()
    assert path.read_text() == "guarded Failed"


def test_threads_of_one_process_share_what_cannot_be_sent(executor: Executor) -> None:
    """Nothing is sent there."""
    with Flow("shared") as flow:
        made = _with_global().bind()
        passed = task(lambda lock: lock is not None, name="passed")(task(lambda: threading.Lock(), name="lock")())
    state = flow.run(executor=executor)
    assert (state.result[made].result, state.result[passed].result) == (1, True)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"parameters": {"x": GUARD}}, "The parameter 'x' is a lock, which cannot be pickled."),
        (
            {"context": {"clients": [GUARD]}},
            "value 'clients' cannot be pickled, for the element 0 is a lock.",
        ),
    ],
    ids=["parameter", "context"],
)
def test_what_all_tasks_share_fails_the_run(given: dict[str, Any], named: str, dask_processes: DaskExecutor) -> None:
    """With its name."""
    with Flow("unsendable") as flow:
        Parameter("x", default=1).bind()
    state = Conductor(flow, dask_processes, **given).run()
    assert state.is_failed()
    assert named in str(state.message)


def test_a_given_result_that_cannot_be_sent_fails_who_uses_it(dask_processes: DaskExecutor) -> None:
    """And the run goes on."""
    with Flow("given") as flow:
        made = task(lambda: 1, name="made")()
        used = task(lambda x: x, name="used")(made)
        fine = task(lambda: 2, name="fine")()
    state = flow.run(executor=dask_processes, task_states={made: Success(result=GUARD)})
    assert "A result of type lock cannot be sent to another process" in str(state.result[used].message)
    assert state.result[fine].result == 2
