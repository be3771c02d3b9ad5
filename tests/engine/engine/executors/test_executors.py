"""The interface of executors, alike for all of them."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import cloudpickle
import dask
import pytest

import flowkiln
from flowkiln import Flow
from flowkiln.engine.driver import Unit, UnitPolicy
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor, SynchronousExecutor
from flowkiln.engine.executors.dask.session import UnitPriority
from flowkiln.utilities.configuration import set_temporary_config


def add(x: int, y: int = 1) -> int:
    """Add."""
    return x + y


def total(values: dict[str, list[int]]) -> int:
    """Sum up what is nested."""
    return sum(sum(value) for value in values.values())


class TestInterface:
    """submit, map, wait, start, queue."""

    def test_submit_and_wait(self, any_executor: Executor) -> None:
        """Arguments by position and keyword."""
        with any_executor.start():
            assert any_executor.wait(any_executor.submit(add, 1, y=2)) == 3

    def test_map_is_like_zip(self, any_executor: Executor) -> None:
        """One call for each tuple; the list of results comes out of wait."""
        with any_executor.start():
            assert any_executor.wait(any_executor.map(add, [1, 2, 3], [10, 20])) == [11, 22]
            futures = any_executor.map(add, [1, 2])
            assert isinstance(futures, list)

    def test_map_without_iterables_calls_nothing(self, any_executor: Executor) -> None:
        """An empty list."""
        with any_executor.start():
            assert any_executor.map(add) == []

    def test_wait_resolves_what_is_nested(self, any_executor: Executor) -> None:
        """In dicts and lists; anything else comes back as it is."""
        with any_executor.start():
            futures = {"a": [any_executor.submit(add, 1)], "b": 5, "c": {"d": any_executor.submit(add, 2)}}
            assert any_executor.wait(futures) == {"a": [2], "b": 5, "c": {"d": 3}}
            assert any_executor.wait(7) == 7

    def test_futures_are_arguments(self, any_executor: Executor) -> None:
        """Also inside dicts and lists."""
        with any_executor.start():
            one = any_executor.submit(add, 1)
            two = any_executor.submit(add, one)
            nested = any_executor.submit(total, {"a": [one, two], "b": [1]})
            assert any_executor.wait([two, nested]) == [3, 6]

    def test_calls_are_impure(self, executor: Executor) -> None:
        """Two submits of one function are two calls."""
        with executor.start():
            first, second = executor.wait([executor.submit(object), executor.submit(object)])
            assert first is not second

    def test_the_timeout_handler_can_be_submitted(self, any_executor: Executor) -> None:
        """It is a plain function."""
        with any_executor.start():
            future = any_executor.submit(any_executor.timeout_handler, add, 1, y=2, timeout=60)
            assert any_executor.wait(future) == 3

    def test_exceptions_come_out(self, any_executor: Executor) -> None:
        """Of submit or of wait."""
        with any_executor.start(), pytest.raises(ZeroDivisionError):
            any_executor.wait(any_executor.submit(lambda: 1 // 0))

    def test_it_can_be_pickled_before_during_and_after(self, any_executor: Executor) -> None:
        """A copy has the same id."""
        copies = [cloudpickle.loads(cloudpickle.dumps(any_executor))]
        with any_executor.start():
            copies.append(cloudpickle.loads(cloudpickle.dumps(any_executor)))
        copies.append(cloudpickle.loads(cloudpickle.dumps(any_executor)))
        assert all(copy.executor_id == any_executor.executor_id for copy in copies)

    def test_the_id_names_the_class(self, any_executor: Executor) -> None:
        """And is unique."""
        assert any_executor.executor_id.startswith(f"{type(any_executor).__name__}: ")


class TestBase:
    """What an executor of the users' inherits."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda e: e.submit(add, 1),
            lambda e: e.map(add, [1]),
            lambda e: e.wait([]),
            lambda e: e.queue(),
        ],
    )
    def test_what_must_be_written(self, call: Any) -> None:
        """The base class says so."""
        with Executor().start(), pytest.raises(NotImplementedError):
            call(Executor())


class TestLocal:
    """This process, now."""

    def test_submit_runs_at_once(self) -> None:
        """And gives the value; wait gives back what it gets."""
        executor = LocalExecutor()
        assert executor.submit(add, 1) == 2
        marker = object()
        assert executor.wait(marker) is marker

    def test_there_is_no_queue(self) -> None:
        """Nobody could share it."""
        with pytest.raises(NotImplementedError):
            LocalExecutor().queue()


class TestSynchronous:
    """Dask's scheduling, one thread."""

    def test_submit_is_lazy(self) -> None:
        """It gives something to compute."""
        calls: list[int] = []
        executor = SynchronousExecutor()
        future = executor.submit(lambda: calls.append(1))
        assert not calls
        future.compute(scheduler="synchronous")
        assert calls == [1]

    def test_wait_computes_in_this_thread(self) -> None:
        """With and without start."""
        executor = SynchronousExecutor()
        here = threading.get_ident()
        assert executor.wait(executor.submit(threading.get_ident)) == here
        with executor.start():
            assert executor.wait(executor.submit(threading.get_ident)) == here

    def test_start_sets_dasks_scheduler_for_its_duration(self) -> None:
        """Not longer."""
        before = dask.config.get("scheduler", None)
        with SynchronousExecutor().start():
            assert dask.config.get("scheduler") == "synchronous"
        assert dask.config.get("scheduler", None) == before

    def test_its_queue_is_this_processes(self) -> None:
        """With a size."""
        queue = SynchronousExecutor().queue(1)
        queue.put(1)
        assert queue.full()


class TestDask:
    """A local cluster, or one at an address."""

    def test_defaults_come_from_the_configuration(self) -> None:
        """Read when the executor is made; "local" means none."""
        with set_temporary_config(
            {
                "engine.executor.dask.address": "tcp://127.0.0.1:1",
                "engine.executor.dask.local_processes": True,
                "debug": True,
            }
        ):
            executor = DaskExecutor()
        assert (executor.address, executor.local_processes, executor.debug) == ("tcp://127.0.0.1:1", True, True)
        assert DaskExecutor(address="local").address is None

    @pytest.mark.parametrize(
        "call",
        [lambda e: e.submit(add, 1), lambda e: e.map(add, [1]), lambda e: e.wait([])],
        ids=["submit", "map", "wait"],
    )
    def test_before_it_is_started(self, call: Any) -> None:
        """It says what to do."""
        with pytest.raises(ValueError, match="start"):
            call(DaskExecutor())

    def test_start_yields_the_client_and_ends_it(self) -> None:
        """`is_started` says so."""
        executor = DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=1)
        assert not executor.is_started
        with executor.start() as client:
            assert executor.is_started
            assert client.status == "running"
        assert not executor.is_started
        assert client.status == "closed"

    def test_a_queue_that_workers_share(self, dask_processes: DaskExecutor) -> None:
        """What a task puts in comes out here."""
        queue = dask_processes.queue(maxsize=3)
        dask_processes.wait(dask_processes.submit(lambda q: q.put(5), queue))
        assert queue.get(timeout=240) == 5

    def test_a_copy_on_a_worker_submits_from_there(self, dask_threads: DaskExecutor) -> None:
        """Without a deadlock, though all threads are busy with it."""

        def outer(executor: DaskExecutor, n: int) -> int:
            result: int = sum(executor.wait([executor.submit(add, n, y=i) for i in range(3)]))
            return result

        futures = [dask_threads.submit(outer, dask_threads, n) for n in range(4)]
        assert dask_threads.wait(futures) == [3, 6, 9, 12]

    def test_a_flow_on_an_address(self, dask_processes: DaskExecutor) -> None:
        """With a client of its own."""
        assert dask_processes.client is not None
        executor = DaskExecutor(address=dask_processes.client.scheduler.address)
        with Flow("f") as flow:
            result = flowkiln.task(add)(1)
        assert flow.run(executor=executor).result[result].result == 2

    def test_independent_tasks_run_in_parallel(self, dask_threads: DaskExecutor) -> None:
        """Two tasks that wait for each other come to their end."""
        with Flow("f") as flow:
            for _ in range(2):
                flowkiln.task(_meet)()
        assert flow.run(executor=dask_threads).is_successful()

    def test_a_long_child_holds_up_none_that_travelled_with_it(self, dask_threads: DaskExecutor) -> None:
        """The first waits for the second, which is in the same unit."""
        children = 2 * 2 * 16
        assert UnitPolicy(threads=2).children_per_unit(children) == 4
        _second_ran.clear()
        with Flow("f") as flow:
            met = flowkiln.task(_wait_for_second).map(list(range(children)))
        state = flow.run(executor=dask_threads)
        assert state.result[met].result == list(range(children))


_second_ran = threading.Event()


def _wait_for_second(x: int) -> int:
    if x == 0 and not _second_ran.wait(timeout=240):
        raise TimeoutError
    if x == 1:
        _second_ran.set()
    return x


_barrier = threading.Barrier(2)


def _meet() -> None:
    _barrier.wait(timeout=240)


def test_units_have_their_turn_by_depth_then_by_submission_and_order() -> None:
    """What goes on from something goes first; in one submission lower indexes, of whichever map."""
    plain, other = Unit(("z-r", -1, 1), (), ()), Unit(("a-r", -1, 1), (), ())
    children = [Unit((name, index, 1), (), ()) for name in ("b-r", "c-r") for index in (0, 5)]
    later, deeper = Unit(("l-r", -1, 1), (), ()), Unit(("d-r", 9, 1), (), (), level=1)
    priorities = {unit.key: UnitPriority(3, [plain, other, *children]) for unit in (plain, other, *children)}
    priorities |= {unit.key: pickle.loads(pickle.dumps(UnitPriority(4, [later, deeper]))) for unit in (later, deeper)}
    assert sorted(priorities, key=lambda key: priorities[key](key), reverse=True) == [
        deeper.key, plain.key, other.key,
        ("b-r", 0, 1), ("c-r", 0, 1), ("b-r", 5, 1), ("c-r", 5, 1), later.key,
    ]  # fmt: skip
    assert UnitPriority(1, [Unit(plain.key, (), (), level=10**9)])(plain.key) < 2**63
