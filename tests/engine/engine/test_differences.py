"""Known faults of classic that the engine must not have: a test for each, named after the behaviour."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, Parameter, Task, context, task
from flowkiln.core.edge import Edge
from flowkiln.engine import signals
from flowkiln.engine.cache_validators import all_inputs
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor, SynchronousExecutor
from flowkiln.engine.flow_runner import FlowRunner
from flowkiln.engine.result import NoResult, Result
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.state import (
    Cached,
    Crashed,
    Failed,
    Mapped,
    Paused,
    Pending,
    Resume,
    Retrying,
    Running,
    Scheduled,
    Skipped,
    State,
    Success,
    TimedOut,
    TriggerFailed,
)
from flowkiln.engine.task_runner import TaskRunner
from flowkiln.states.state import utc_now
from flowkiln.tasks.control_flow import ifelse, merge
from flowkiln.triggers import all_finished, manual_only


@pytest.fixture(params=[LocalExecutor, SynchronousExecutor])
def one_by_one(request: pytest.FixtureRequest) -> Executor:
    """Each executor that runs one body after the other."""
    executor: Executor = request.param()
    return executor


@task
def numbers() -> list[int]:
    """Give three numbers."""
    return [0, 1, 2]


@task
def add(x: int, y: int = 1) -> int:
    """Add."""
    return x + y


def first_child_fails_once(x: int) -> int:
    """Fail on the first attempt for 0."""
    if x == 0 and context.task_run_count == 1:
        raise ValueError("first attempt")
    return x


class TestD1ReducersWaitForRetryingChildren:
    """A Mapped upstream is finished only when all children that are needed are."""

    def test_a_reducer_waits(self, any_executor: Executor) -> None:
        """Its trigger is not called meanwhile."""
        with Flow("f") as flow:
            mapped = flowkiln.task(first_child_fails_once, max_retries=1, retry_delay=dt.timedelta(seconds=0.1)).map(
                numbers()
            )
            total = flowkiln.task(lambda xs: sum(xs))(mapped)
        final = flow.run(executor=any_executor)
        assert final.result[total].result == 3

    def test_in_one_pass_it_stays_pending(self, executor: Executor) -> None:
        """Neither skipped nor TriggerFailed."""
        with Flow("f") as flow:
            mapped = flowkiln.task(first_child_fails_once, max_retries=1, retry_delay=dt.timedelta(0)).map(numbers())
            total = flowkiln.task(lambda xs: sum(xs), trigger=all_finished)(mapped)
        final = FlowRunner(flow).run(executor=executor, return_tasks=[mapped, total])
        assert type(final) is Running
        assert type(final.result[total]) is Pending
        assert [type(s) for s in final.result[mapped].map_states] == [Retrying, Success, Success]

    def test_a_child_waits_for_its_own_only(self, executor: Executor) -> None:
        """The others go on at once."""
        with Flow("f") as flow:
            mapped = flowkiln.task(first_child_fails_once, max_retries=1, retry_delay=dt.timedelta(0)).map(numbers())
            again = add.map(mapped)
        final = FlowRunner(flow).run(executor=executor, return_tasks=[again])
        assert [type(s) for s in final.result[again].map_states] == [Pending, Success, Success]


def test_d2_a_paused_task_stops_the_run(any_executor: Executor) -> None:
    """`Flow.run` returns the Running state instead of spinning."""
    with Flow("f") as flow:
        manual = flowkiln.task(lambda: 1, trigger=manual_only)()
        add.map(numbers(), upstream_tasks=[flowkiln.unmapped(manual)])
    final = flow.run(executor=any_executor)
    assert type(final) is Running
    assert type(final.result[manual]) is Paused


class TestD2RunsStopWhenNothingChanges:
    """A run whose tasks come back as they were is Running and returns; as long as anything changes, it goes on."""

    @pytest.mark.parametrize("runner", [None, type("OwnFlowRunner", (FlowRunner,), {})])
    def test_a_handler_that_always_vetoes(self, runner: Any, any_executor: Executor) -> None:
        """Its task is visited twice, for the first visit may have changed something."""
        with Flow("f") as flow:
            vetoed = Task(name="vetoed", state_handlers=[_stay_pending])()
            after = add(vetoed)
        final = flow.run(runner_cls=runner, executor=any_executor)
        assert type(final) is Running
        assert type(final.result[vetoed]) is Pending
        assert type(final.result[after]) is Pending

    @pytest.mark.parametrize("runner", [None, type("OwnFlowRunner", (FlowRunner,), {})])
    def test_a_handler_that_vetoes_once(self, runner: Any) -> None:
        """Its task runs when it is visited again."""
        left = ["veto"]

        def veto_once(task: Task, old: State, new: State) -> State:
            return old if new.is_running() and left and left.pop() else new

        with Flow("f") as flow:
            vetoed = flowkiln.task(lambda: 1, name="vetoed", state_handlers=[veto_once])()
            after = add(vetoed)
        final = flow.run(runner_cls=runner)
        assert type(final) is Success
        assert final.result[after].result == 2

    @pytest.mark.parametrize("runner", [None, type("OwnFlowRunner", (FlowRunner,), {})])
    def test_a_body_that_ends_pending(self, runner: Any) -> None:
        """It is called twice."""
        calls: list[int] = []

        def ends_pending() -> None:
            calls.append(1)
            raise signals.ENDRUN(Pending("Not yet."))

        with Flow("f") as flow:
            flowkiln.task(ends_pending)()
        assert type(flow.run(runner_cls=runner)) is Running
        assert len(calls) == 2


def _stay_pending(task: Task, old: State, new: State) -> State:
    return old if new.is_running() else new


class TestD3ManualRoots:
    """A root task with manual_only pauses like any other."""

    def test_it_pauses(self, executor: Executor) -> None:
        """Though it has no upstream."""
        with Flow("f") as flow:
            manual = flowkiln.task(lambda: 1, trigger=manual_only)()
        assert type(flow.run(executor=executor).result[manual]) is Paused

    def test_it_runs_when_resumed_or_started(self, executor: Executor) -> None:
        """By a Resume state, or as a start task."""
        with Flow("f") as flow:
            manual = flowkiln.task(lambda: 1, trigger=manual_only)()
        assert flow.run(executor=executor, task_states={manual: Resume()}).result[manual].result == 1
        assert flow.run(executor=executor, start_tasks=[manual]).result[manual].result == 1


class TestD4CachedStates:
    """A caller's Cached states are validated; those reached in the run are final."""

    def test_an_expired_one_is_not_taken(self, any_executor: Executor) -> None:
        """The task runs."""
        with Flow("f") as flow:
            cached = flowkiln.task(lambda: 2, cache_for=dt.timedelta(hours=1))()
        expired = Cached(result=50, cached_result_expiration=utc_now() - dt.timedelta(hours=1))
        assert flow.run(executor=any_executor, task_states={cached: expired}).result[cached].result == 2

    def test_a_valid_one_is_taken(self, any_executor: Executor) -> None:
        """With its result, downstream too."""
        with Flow("f") as flow:
            cached = flowkiln.task(lambda: 2, cache_for=dt.timedelta(hours=1))()
            after = add(cached)
        valid = Cached(result=50, cached_result_expiration=utc_now() + dt.timedelta(hours=1))
        final = flow.run(executor=any_executor, task_states={cached: valid})
        assert final.result[cached] == valid
        assert final.result[after].result == 51

    def test_one_reached_in_this_run_is_never_validated_again(self) -> None:
        """Not even when it expires meanwhile."""
        runs: list[int] = []
        with Flow("f") as flow:
            flowkiln.task(lambda: runs.append(1), cache_for=dt.timedelta(microseconds=1))()
            flowkiln.task(first_child_fails_once, max_retries=1, retry_delay=dt.timedelta(seconds=0.05))(0)
        assert type(flow.run()) is Success
        assert runs == [1]


def test_d5_mapping_over_a_failure_is_decided_by_the_trigger(any_executor: Executor) -> None:
    """TriggerFailed, or a failure that names argument and type; never an error of the flow."""
    with Flow("f") as flow:
        failed = flowkiln.task(lambda: 1 // 0)()
        rejected = add.map(failed)
        passed = flowkiln.task(lambda x: x, trigger=all_finished).map(failed)
        skipped = add.map(flowkiln.task(_skip)())
    final = flow.run(executor=any_executor)
    assert final.message == "Some reference tasks failed."
    assert type(final.result[rejected]) is TriggerFailed
    assert type(final.result[passed]) is Failed
    assert "'x'" in final.result[passed].message
    assert type(final.result[skipped]) is Skipped


def _skip() -> None:
    raise signals.SKIP("skipped")


def test_d6_lists_keep_the_order_of_their_elements(executor: Executor) -> None:
    """Also ten or more."""
    with Flow("f") as flow:
        collected = flowkiln.task(lambda xs: xs)([add(n, y=0) for n in range(12)])
    assert flow.run(executor=executor).result[collected].result == list(range(12))


def test_d7_ifelse_decides_by_truth(executor: Executor) -> None:
    """A truthy string runs the first branch."""
    with Flow("f") as flow:
        yes, no = flowkiln.task(lambda: "yes"), flowkiln.task(lambda: "no")
        ifelse(flowkiln.task(lambda: "truthy")(), yes, no)
    final = flow.run(executor=executor)
    assert final.result[yes].result == "yes"
    assert type(final.result[no]) is Skipped


class TestD8Merge:
    """A skipped input never counts as a result."""

    def test_all_skipped(self, executor: Executor) -> None:
        """Skipped with result None, which is not NoResult."""
        with Flow("f") as flow:
            merged = merge(flowkiln.task(_skip)(), flowkiln.task(_skip)())
        state = flow.run(executor=executor).result[merged]
        assert type(state) is Skipped
        assert state._result == Result(None)
        assert state._result != NoResult

    def test_a_skip_signal_is_no_result(self, any_executor: Executor) -> None:
        """Nor any other payload of a skip; a real None is."""

        def skip_with_payload() -> None:
            raise signals.SKIP("x", result="payload")

        with Flow("f") as flow:
            merged = merge(flowkiln.task(_skip)(), flowkiln.task(skip_with_payload)(), add(1))
            none = merge(flowkiln.task(_skip)(), flowkiln.task(lambda: None)(), add(1))
        final = flow.run(executor=any_executor)
        assert final.result[merged].result == 2
        assert final.result[none].result is None


class TestD10InputsSurvive:
    """Every pending outcome after the inputs were gathered carries them."""

    def test_pause_and_retry_in_a_body(self, any_executor: Executor) -> None:
        """In a flow run on any executor."""

        def pause(x: int) -> None:
            raise signals.PAUSE("wait")

        def retry(x: int) -> None:
            raise signals.RETRY("later", start_time=utc_now() + dt.timedelta(days=1))

        with Flow("f") as flow:
            one = add(1)
            paused, retrying = flowkiln.task(pause)(one), flowkiln.task(retry)(one)
        final = FlowRunner(flow).run(executor=any_executor, return_tasks=[paused, retrying])
        for waiting in (paused, retrying):
            assert final.result[waiting].cached_inputs == {"x": Result(2)}

    def test_a_waiting_state_that_is_visited_early_keeps_its_own(self, executor: Executor) -> None:
        """Paused and Scheduled ones alike."""
        with Flow("f") as flow:
            one = add(1)
            two = add(one)
        for waiting in (
            Paused(cached_inputs={"x": Result(7)}),
            Scheduled(start_time=utc_now() + dt.timedelta(days=1), cached_inputs={"x": Result(7)}),
        ):
            final = FlowRunner(flow).run(executor=executor, task_states={two: waiting}, return_tasks=[two])
            assert final.result[two] is waiting
            assert waiting.cached_inputs == {"x": Result(7)}


def test_d11_what_the_user_put_into_the_context_wins(any_executor: Executor) -> None:
    """Arguments of run, then the context around it, on workers too."""
    with Flow("f") as flow:
        found = flowkiln.task(lambda: (context.a, context.b))()
    with context(a=1, b=1):
        assert flow.run(executor=any_executor, context={"b": 2}).result[found].result == (1, 2)


def test_d12_fail_and_do_not_retry(any_executor: Executor) -> None:
    """`raise ENDRUN(Failed(...))`, which signals export."""

    def give_up() -> None:
        raise signals.ENDRUN(Failed("no use"))

    with Flow("f") as flow:
        failed = flowkiln.task(give_up, max_retries=5, retry_delay=dt.timedelta(hours=1))()
    final = flow.run(executor=any_executor)
    assert type(final) is Failed
    assert final.result[failed].message == "no use"


def test_d13_waiting_for_a_retry_holds_nothing_up(any_executor: Executor, tmp_path: Path) -> None:
    """Branches that do not depend on it go on meanwhile, on one thread too: here it fails until they are done."""
    log = tmp_path / "log"

    def note(what: str) -> None:
        with log.open("a") as file:
            file.write(f"{what}\n")

    def failing() -> None:
        note("failing")
        if context.task_run_count == 1 or "step 3" not in log.read_text().splitlines():
            raise ValueError

    def step(n: int, upstream: Any = None) -> None:
        note(f"step {n}")

    with Flow("f") as flow:
        flowkiln.task(failing, max_retries=100, retry_delay=dt.timedelta(seconds=0.5))()
        before: Any = None
        for n in range(4):
            before = flowkiln.task(step)(n, before)
    assert type(flow.run(executor=any_executor)) is Success
    noted = log.read_text().splitlines()
    assert noted[-1] == "failing"
    assert [line for line in noted if line != "failing"] == [f"step {n}" for n in range(4)]


class TestD14HardDeadlines:
    """TimedOut on every executor, whatever the body does."""

    def test_a_body_that_swallows_exceptions(self, any_executor: Executor) -> None:
        """It cannot talk itself out of its deadline."""

        def stubborn() -> str:
            try:
                end = time.monotonic() + 30
                while time.monotonic() < end:
                    time.sleep(0.01)
            except Exception:
                return "fine"
            return "too late"

        with Flow("f") as flow:
            slow = flowkiln.task(stubborn, timeout=1)()
        assert type(flow.run(executor=any_executor).result[slow]) is TimedOut

    def test_a_body_that_never_comes_back_to_python_in_a_process(self, dask_processes: DaskExecutor) -> None:
        """Its worker process is ended, and innocent neighbours come to their end."""
        with Flow("f") as flow:
            slow = flowkiln.task(lambda: time.sleep(3600), timeout=1)()
            neighbour = add.map(numbers())
        final = flow.run(executor=dask_processes)
        assert type(final.result[slow]) is TimedOut
        assert final.result[neighbour].result == [1, 2, 3]


class TestD15FinishedStatesStand:
    """Finished states given in task_states stand, Failed too."""

    def test_they_stand(self, executor: Executor) -> None:
        """Nothing runs again without being asked to."""
        with Flow("f") as flow:
            failed = add(1)
            after = add(failed)
        given = Failed("before")
        final = flow.run(executor=executor, task_states={failed: given})
        assert final.result[failed] is given
        assert type(final.result[after]) is TriggerFailed


def _die_once(marker: str) -> int:
    """End the worker's process on the first visit."""
    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return 1


class TestD16CachesBelongToTheirTask:
    """A cached state is for the task that it is given for, and nothing that is absent matches."""

    def test_another_task_that_looks_the_same_runs(self) -> None:
        """Name, function and inputs are equal: it is another task."""
        runs: list[int] = []
        options: dict[str, Any] = {"name": "t", "cache_for": dt.timedelta(hours=1)}
        one, two = (flowkiln.task(lambda: runs.append(1) or "ran", **options) for _ in range(2))
        final = Flow("f", tasks=[one, two]).run(task_states={one: Cached(result="cached")})
        assert (final.result[one].result, final.result[two].result) == ("cached", "ran")
        assert len(runs) == 1

    def test_inputs_that_the_cache_lacks_match_nothing(self) -> None:
        """The task runs."""
        with Flow("f") as flow:
            added = add(1, task_args={"cache_for": dt.timedelta(hours=1), "cache_validator": all_inputs})
        final = flow.run(task_states={added: Cached(result="cached")})
        assert final.result[added].result == 2


_ended = [threading.Event() for _ in range(8)]


def _begin(x: int) -> int:
    if x in (2, 3):  # time for the ends of 0 and 1 to reach the worker before it looks for more, on a busy machine too
        time.sleep(2)
    if x >= 4 and not _ended[x - 4].wait(timeout=30):
        raise TimeoutError(x)
    return x


def _end(x: int) -> int:
    _ended[x].set()
    return x


class TestD17MapsGoDepthFirst:
    """One element goes all the way before the next one starts, on executors that run one body after the other."""

    def test_chained_maps(self, one_by_one: Executor) -> None:
        """So that what is between two maps need not be kept for all elements at once."""
        seen: list[tuple[str, int]] = []

        def note(name: str) -> Task:
            return flowkiln.task(lambda x: seen.append((name, x)) or x, name=name)

        with Flow("f") as flow:
            last = note("c").map(note("b").map(note("a").map(numbers())))
        final = flow.run(executor=one_by_one)
        assert final.result[last].result == [0, 1, 2]
        assert seen == [(name, x) for x in range(3) for name in "abc"]

    def test_what_was_begun_goes_on_first(self, dask_threads: DaskExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where a unit was cut short: here late elements wait for the ends of early ones."""
        monkeypatch.setattr("flowkiln.engine.unit_runner.WORK_PER_UNIT", 0.0)
        for event in _ended:
            event.clear()
        with Flow("f") as flow:
            last = flowkiln.task(_end).map(flowkiln.task(_begin).map(list(range(len(_ended)))))
        state = Conductor(flow, dask_threads, return_tasks=(last,)).run()
        assert state.result[last].result == list(range(len(_ended)))

    def test_results_go_with_their_last_use(self, one_by_one: Executor) -> None:
        """Not with the end of the whole map: a few elements' values are there at a time, however many there are."""
        alive: set[int] = set()
        most: list[int] = []

        class Value:
            def __init__(self, x: int) -> None:
                self.x = x
                alive.add(x)
                most.append(len(alive))

            def __del__(self) -> None:
                alive.discard(self.x)

        with Flow("f") as flow:
            made = flowkiln.task(Value, name="make").map(list(range(50)))
            flowkiln.task(lambda value: value.x, name="use").map(made)
        assert Conductor(flow, one_by_one).run().is_successful()
        assert len(most) == 50
        assert max(most) < 10


class TestD20LostWorkers:
    """The loss of a worker is noticed, and the run ends."""

    def test_a_task_whose_worker_died_is_run_again(self, dask_processes: DaskExecutor, tmp_path: Path) -> None:
        """With what depends on it."""
        with Flow("f") as flow:
            dies = flowkiln.task(_die_once)(str(tmp_path / "marker"))
            after = add(dies)
        final = flow.run(executor=dask_processes)
        assert type(final) is Success
        assert final.result[after].result == 2

    def test_a_task_that_kills_every_worker_is_crashed(self, dask_processes: DaskExecutor) -> None:
        """Others are not blamed, and its downstream is run with that state."""
        with Flow("f") as flow:
            deadly = flowkiln.task(lambda: os._exit(1), name="deadly")()
            after = flowkiln.task(lambda x: "ran", trigger=all_finished)(deadly)
            other = add.map(numbers())
        final = flow.run(executor=dask_processes)
        assert type(final.result[deadly]) is Crashed
        assert final.result[after].result == "ran"
        assert final.result[other].result == [1, 2, 3]


class TestArgumentsOfTheCaller:
    """They are never modified."""

    def test_lists_of_handlers(self) -> None:
        """`on_failure` is appended to a copy."""
        handlers: list[Any] = []
        assert len(Task(state_handlers=handlers, on_failure=lambda *_: None).state_handlers) == 1
        assert handlers == []

    def test_states(self, executor: Executor) -> None:
        """Given states come out as they went in."""
        with Flow("f") as flow:
            one = add(1)
            mapped = add.map(numbers())
        children: list[State | None] = [Success(result=5), None]
        given: dict[Task, State] = {one: Pending("mine"), mapped: Mapped(map_states=children)}
        flow.run(executor=executor, task_states=given)
        assert given[one].message == "mine"
        assert given[one].cached_inputs is None  # type: ignore[attr-defined]
        assert given[mapped].map_states is children  # type: ignore[attr-defined]
        assert children == [Success(result=5), None]
        assert given[mapped].result == NoResult


def test_a_handler_chain_that_ends_with_no_state_makes_the_run_failed(executor: Executor) -> None:
    """Classic took whatever it was for the state."""
    with Flow("f") as flow:
        broken = flowkiln.task(lambda: 1, state_handlers=[lambda *_: "not a state"])()
    final = flow.run(executor=executor)
    assert type(final.result[broken]) is Failed
    assert isinstance(final.result[broken].result, AttributeError)


def test_all_inputs_compares_values() -> None:
    """Not wrappers: a checkpoint location alone makes no cache invalid."""
    assert all_inputs(Cached(cached_inputs={"x": Result(1, "here")}), {"x": Result(1, "there")}, None)


def test_an_element_keeps_its_upstreams_handler() -> None:
    """On its way to a mapped child."""
    seen: list[Any] = []
    mapped_task = flowkiln.task(lambda x: x, state_handlers=[lambda *_: None])
    edge = Edge(Task(), mapped_task, "x", True)

    class Looking(TaskRunner):
        def run(self, state: Any = None, upstream_states: Any = None, **kwargs: Any) -> State:  # type: ignore[override]
            seen.extend(s._result for s in (upstream_states or {}).values())
            return super().run(state, upstream_states, **kwargs)

    Looking(mapped_task).run(upstream_states={edge: Success(result=Result([1], "handler"))}, executor=LocalExecutor())
    assert Result(1, "handler") in seen


def test_the_parameter_of_a_flow_travels_everywhere(any_executor: Executor) -> None:
    """Also a falsy default."""
    with Flow("f") as flow:
        result = add(Parameter("a", default=0))
    assert flow.run(executor=any_executor).result[result].result == 1


def test_results_that_cannot_travel_do_not_hang_the_run(dask_processes: DaskExecutor) -> None:
    """Who needs them in another process sees a failure that says so."""

    def unpicklable() -> Any:
        import threading

        return threading.Lock()

    with Flow("f") as flow:
        lock = flowkiln.task(unpicklable)()
        users = flowkiln.task(lambda x, lock: time.sleep(0.2)).map(
            flowkiln.task(lambda: list(range(4)))(), flowkiln.unmapped(lock)
        )
    final = flow.run(executor=dask_processes)
    assert type(final.result[lock]) is Failed
    assert "lock" in str(final.result[lock].message)
    assert all(child.is_finished() for child in final.result[users].map_states)


class TwoArguments(Exception):
    """An exception that cannot be unpickled, as many are: its `args` do not fit its constructor."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_exceptions_that_cannot_travel_do_not_hang_the_run(dask_processes: DaskExecutor) -> None:
    """The task is Failed, with a message that says what it was."""

    def fail() -> None:
        raise TwoArguments(1, 2)

    with Flow("f") as flow:
        failed = flowkiln.task(fail)()
        after = flowkiln.task(lambda x: "ran", trigger=all_finished)(failed)
    final = flow.run(executor=dask_processes)
    assert type(final.result[failed]) is Failed
    assert "1 and 2" in str(final.result[failed].message)
    assert final.result[after].result == "ran"
