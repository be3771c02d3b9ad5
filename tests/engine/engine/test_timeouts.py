"""Deadlines: the call ends, in any thread, and everything of other users is as before."""

from __future__ import annotations

import logging
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import get_worker, worker_client

import flowkiln
from flowkiln import Flow
from flowkiln.engine import signals
from flowkiln.engine.bodies import alarms, threads
from flowkiln.engine.bodies.timeouts import DeadlineExceeded, call_in_time, call_with_deadline
from flowkiln.engine.executors import DaskExecutor, Executor, LocalExecutor
from flowkiln.engine.signals import ENDRUN
from flowkiln.engine.state import Failed, Mapped, Paused, Skipped, Success, TimedOut
from flowkiln.triggers import all_finished


def busy(seconds: float = 60.0) -> None:
    """Work in Python for a while, unless stopped."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.005)


def in_thread(fn: Callable[[], Any]) -> Any:
    """Call in another thread and give, or raise, what comes of it."""
    found: list[Any] = []

    def call() -> None:
        try:
            found.append((fn(), None))
        except BaseException as error:
            found.append((None, error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    value, error = found[0]
    if error is not None:
        raise error
    return value


def busy_until(holds: Callable[[], bool]) -> None:
    """Work in Python until something holds, which a test finds out afterwards if it never does."""
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)


PLACES = pytest.mark.parametrize("place", [lambda fn: fn(), in_thread], ids=["main thread", "other thread"])


@PLACES
class TestDeadline:
    """The same in the main thread and in others."""

    def test_without_a_timeout_it_is_a_plain_call(self, place: Any) -> None:
        """Value and arguments pass through."""
        assert place(lambda: call_with_deadline(lambda x: x + 1, None, {"x": 1})) == 2

    def test_what_ends_in_time_is_untouched(self, place: Any) -> None:
        """Its value, and its exceptions."""
        assert place(lambda: call_with_deadline(lambda x: x + 1, 60, {"x": 1})) == 2
        with pytest.raises(ZeroDivisionError):
            place(lambda: call_with_deadline(lambda: 1 // 0, 60, {}))

    def test_what_takes_longer_is_stopped(self, place: Any) -> None:
        """The error says how long was allowed."""
        with pytest.raises(DeadlineExceeded, match=r"0\.1 s"):
            place(lambda: call_with_deadline(busy, 0.1, {}))

    def test_a_body_that_swallows_the_exception_has_timed_out_all_the_same(self, place: Any) -> None:
        """Whatever it returns."""

        def swallow() -> str:
            try:
                busy()
            except Exception:
                return "never mind"
            return "in time"

        with pytest.raises(DeadlineExceeded):
            place(lambda: call_with_deadline(swallow, 0.1, {}))

    @pytest.mark.parametrize("caught", [Exception, BaseException])
    def test_a_body_that_goes_on_is_stopped_again(
        self, place: Any, caught: type[BaseException], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A loop that catches all errors does not outlive its deadline for long; with BaseException it may be left."""
        for module in (alarms, threads):
            monkeypatch.setattr(module, "GRACE", 0.2)
        monkeypatch.setattr(alarms, "STOP_INTERVAL", 0.02)
        is_over = threading.Event()

        def stubborn() -> None:
            while not is_over.is_set():
                try:
                    time.sleep(0.005)
                except caught:
                    continue

        with pytest.raises(DeadlineExceeded):
            place(lambda: call_with_deadline(stubborn, 0.05, {}))
        is_over.set()

    def test_cleanups_run_before_that(self, place: Any) -> None:
        """What is raised first is a TimeoutError, and there is time to clean up."""
        cleaned: list[str] = []

        def careful() -> None:
            try:
                busy()
            except TimeoutError as error:
                cleaned.append(str(error))
                raise
            finally:
                time.sleep(0.05)
                cleaned.append("finally")

        with pytest.raises(DeadlineExceeded):
            place(lambda: call_with_deadline(careful, 0.1, {}))
        assert cleaned == ["the deadline was exceeded", "finally"]

    def test_another_error_after_the_deadline_counts_as_exceeded(self, place: Any) -> None:
        """The error is its cause."""

        def convert() -> None:
            try:
                busy()
            except Exception as error:
                raise ValueError("converted") from error

        with pytest.raises(DeadlineExceeded) as raised:
            place(lambda: call_with_deadline(convert, 0.1, {}))
        assert isinstance(raised.value.__cause__, ValueError)

    @pytest.mark.parametrize("raised", [signals.SKIP("x"), ENDRUN(Success())])
    def test_signals_keep_their_meaning(self, place: Any, raised: Exception) -> None:
        """Even after the deadline."""

        def body() -> None:
            try:
                busy()
            except TimeoutError:
                raise raised from None

        with pytest.raises(type(raised)):
            place(lambda: call_with_deadline(body, 0.1, {}))

    def test_deadlines_can_be_nested(self, place: Any) -> None:
        """The earlier one ends the call, whether it is the inner or the outer."""

        def inner_first() -> Any:
            return call_with_deadline(lambda: call_with_deadline(busy, 0.1, {}), 60, {})

        def outer_first() -> Any:
            return call_with_deadline(lambda: call_with_deadline(busy, 60, {}), 0.1, {})

        for nested in (inner_first, outer_first):
            with pytest.raises(DeadlineExceeded):
                place(nested)

    def test_nothing_rings_afterwards(self, place: Any) -> None:
        """Many calls that end just about in time leave nothing behind."""

        def many() -> int:
            for _ in range(30):
                try:
                    call_with_deadline(lambda: busy(0.01), 0.01, {})
                except DeadlineExceeded:
                    continue
            busy(0.1)
            return 1

        assert place(many) == 1

    def test_the_public_form(self, place: Any) -> None:
        """`timeout_handler` of executors."""
        assert place(lambda: call_in_time(lambda x, y: x + y, 1, y=2, timeout=60)) == 3
        with pytest.raises(TimeoutError):
            place(lambda: call_in_time(busy, timeout=0.1))


class TestThreadsLeftBehind:
    """Outside of the main thread, a body that never comes back to Python does not hold its caller."""

    def test_the_caller_goes_on_and_says_so(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The warning names the task, the thread and the line; what the thread does later has no effect."""
        monkeypatch.setattr(threads, "GRACE", 0.05)
        lock = threading.Lock()
        ended = threading.Event()
        left: list[threading.Thread] = []

        def stuck() -> str:
            left.append(threading.current_thread())
            try:
                with lock:
                    return "too late"
            finally:
                ended.set()

        with lock:
            with caplog.at_level(logging.WARNING), pytest.raises(DeadlineExceeded, match="left behind"):
                in_thread(lambda: call_with_deadline(stuck, 0.05, {}, name="load[3]"))
            assert left[0].daemon
            assert left[0].is_alive()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        for named in ("load[3]", left[0].name, __file__, "in stuck"):
            assert named in record.getMessage()
        assert ended.wait(20)
        left[0].join(20)

    def test_the_context_goes_in_and_comes_back(self) -> None:
        """The body sees that of its caller, who sees what it changed."""

        def call() -> Any:
            with flowkiln.context(given=1):
                value = call_with_deadline(lambda: flowkiln.context.update(made=flowkiln.context.given + 1), 60, {})
                return value, flowkiln.context.made

        assert in_thread(call) == (None, 2)

    def test_an_enclosing_deadline_stops_what_is_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bodies that run flows are bodies too: both threads end."""
        monkeypatch.setattr(threads, "POLL_INTERVAL", 0.01)
        ended = threading.Event()

        def inner() -> None:
            try:
                busy()
            finally:
                ended.set()

        def outer() -> None:
            with Flow("inner") as flow:
                flowkiln.task(inner, timeout=60)()
            flow.run(executor=LocalExecutor())

        with pytest.raises(DeadlineExceeded):
            in_thread(lambda: call_with_deadline(outer, 2, {}))
        assert ended.wait(20)

    def test_workers_clients_work_in_it(self, single_thread: DaskExecutor) -> None:
        """A body that waits for other work of its worker gives up its place, whatever thread it runs in."""

        def body() -> int:
            with worker_client() as client:
                return int(client.submit(int, "7", pure=False).result()) + len(get_worker().address[:0])

        with Flow("f") as flow:
            made = [flowkiln.task(body, timeout=60)() for _ in range(3)]
        final = flow.run(executor=single_thread)
        assert [final.result[each].result for each in made] == [7, 7, 7]

    def test_the_pool_keeps_its_threads(self, single_thread: DaskExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bodies that are left behind, also in the middle of waiting for others, take no thread of it along."""
        monkeypatch.setattr(threads, "GRACE", 0.05)

        def stuck() -> None:
            with worker_client():
                time.sleep(3)

        with Flow("f") as flow:
            left = [flowkiln.task(body, timeout=1)() for body in (stuck, lambda: time.sleep(3))]
            fine = flowkiln.task(lambda x: x, timeout=60).map(flowkiln.task(lambda: [1, 2, 3])())
        final = flow.run(executor=single_thread)
        assert [type(final.result[each]) for each in left] == [TimedOut, TimedOut]
        assert final.result[fine].result == [1, 2, 3]

    def test_the_program_ends_without_it(self, tmp_path: Path) -> None:
        """Neither the end of the run nor that of the interpreter waits."""
        script = tmp_path / "script.py"
        script.write_text(
            "import threading\n"
            "from flowkiln import Flow, task\n"
            "from flowkiln.engine.executors import DaskExecutor\n"
            "@task(timeout=1)\n"
            "def body():\n"
            "    lock = threading.Lock()\n"
            "    lock.acquire()\n"
            "    lock.acquire()\n"
            "with Flow('f') as flow: left = body()\n"
            "final = flow.run(executor=DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=1))\n"
            "print(type(final.result[left]).__name__)\n"
        )
        ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=240)
        assert (ended.returncode, ended.stdout) == (0, "TimedOut\n")


@pytest.fixture(scope="module")
def single_thread() -> Iterator[DaskExecutor]:
    """A started executor with one thread in this process."""
    executor = DaskExecutor(local_processes=False, n_workers=1, threads_per_worker=1)
    with executor.start():
        yield executor


class TestAlarmsOfOthers:
    """The process has one alarm clock, and others use it too."""

    @pytest.fixture
    def alarm(self) -> Any:
        """Somebody's handler, and a way to set their alarm; everything is put back."""
        rung: list[float] = []
        before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
        timer = signal.setitimer(signal.ITIMER_REAL, 0)
        yield rung
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)

    def test_a_later_alarm_still_rings(self, alarm: list[float]) -> None:
        """Handler and remaining time are restored: that of their alarm, not what it was once set to."""
        handler = signal.getsignal(signal.SIGALRM)
        signal.setitimer(signal.ITIMER_REAL, 1000)
        with pytest.raises(DeadlineExceeded):
            call_with_deadline(busy, 0.05, {})
        assert signal.getsignal(signal.SIGALRM) is handler
        assert not alarm
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert 0 < left <= 999.95
        assert interval == 0

    def test_an_earlier_alarm_rings_on_time(self, alarm: list[float]) -> None:
        """While the call goes on."""
        signal.setitimer(signal.ITIMER_REAL, 0.05)

        def until_it_rings() -> int:
            busy_until(lambda: bool(alarm))
            return len(alarm)

        assert call_with_deadline(until_it_rings, 60, {}) == 1
        assert len(alarm) == 1

    def test_a_repeated_alarm_goes_on(self, alarm: list[float]) -> None:
        """During the call and after it."""
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        call_with_deadline(lambda: busy_until(lambda: len(alarm) >= 2), 60, {})
        during = len(alarm)
        busy_until(lambda: len(alarm) > during)
        assert 2 <= during < len(alarm)

    def test_a_body_with_an_alarm_of_its_own_has_timed_out_all_the_same(self, alarm: list[float]) -> None:
        """The body's alarm takes the place of ours, so the body ends late by itself."""

        def with_own_alarm() -> None:
            signal.alarm(0)
            busy(0.2)

        with pytest.raises(DeadlineExceeded):
            call_with_deadline(with_own_alarm, 0.05, {})

    def test_without_others_no_alarm_is_left(self, alarm: list[float]) -> None:
        """The timer is off."""
        call_with_deadline(lambda: None, 60, {})
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def sleep_long() -> None:
    """Sleep in Python, stoppable."""
    busy(60)


class TestTasks:
    """`timeout` of tasks, on every executor."""

    def test_a_task_that_takes_too_long(self, any_executor: Executor) -> None:
        """It is TimedOut; a downstream task is not run."""
        with Flow("f") as flow:
            slow = flowkiln.task(sleep_long, timeout=1)()
            after = flowkiln.task(lambda x: x)(slow)
        final = flow.run(executor=any_executor)
        assert type(final) is Failed
        assert type(final.result[slow]) is TimedOut
        assert "timed out" in str(final.result[slow].message)
        assert isinstance(final.result[slow].result, TimeoutError)
        assert final.result[after].is_failed()

    def test_a_single_mapped_child(self, any_executor: Executor) -> None:
        """Its siblings go on."""

        def body(x: int) -> int:
            if x == 1:
                sleep_long()
            return x

        with Flow("f") as flow:
            mapped = flowkiln.task(body, timeout=1).map(flowkiln.task(lambda: [0, 1, 2])())
        states = flow.run(executor=any_executor).result[mapped]
        assert type(states) is Mapped
        assert [type(child) for child in states.map_states] == [Success, TimedOut, Success]

    def test_signals_inside_keep_their_meaning(self, any_executor: Executor) -> None:
        """The body runs where it would run without a timeout."""

        def skip() -> None:
            raise signals.SKIP("enough")

        def pause() -> None:
            raise signals.PAUSE("wait")

        with Flow("f") as flow:
            skipped = flowkiln.task(skip, timeout=60)()
            paused = flowkiln.task(pause, timeout=60)()
        final = flow.run(executor=any_executor)
        assert type(final.result[skipped]) is Skipped
        assert type(final.result[paused]) is Paused

    @pytest.mark.parametrize("stuck", [sleep_long, lambda: time.sleep(5)], ids=["in Python", "in C"])
    def test_who_is_downstream_gets_the_error(self, stuck: Callable[[], None], any_executor: Executor) -> None:
        """Plain and in the list of a reducer: a TimeoutError with its message, which can be pickled."""

        def told(one: Any, several: Any) -> list[str]:
            errors = [pickle.loads(pickle.dumps(error)) for error in (one, *several)]
            return [f"{isinstance(error, TimeoutError)} {error}" for error in errors]

        with Flow("f") as flow:
            one = flowkiln.task(stuck, timeout=1)()
            several = flowkiln.task(lambda x: stuck(), timeout=1).map(flowkiln.task(lambda: [0])())
            reducer = flowkiln.task(told, trigger=all_finished)(one, several)
        final = flow.run(executor=any_executor)
        assert type(final.result[one]) is TimedOut
        assert isinstance(final.result[one].result, TimeoutError)
        assert len(final.result[reducer].result) == 2
        for text in final.result[reducer].result:
            assert text.startswith("True took longer than 1 s")

    def test_its_own_timeout_error_is_a_failure(self, any_executor: Executor) -> None:
        """With a deadline or without."""

        def body() -> None:
            raise TimeoutError("my own")

        with Flow("f") as flow:
            made = [flowkiln.task(body)(), flowkiln.task(body, timeout=60)()]
        final = flow.run(executor=any_executor)
        for each in made:
            assert type(final.result[each]) is Failed
            assert final.result[each].message == "Unexpected error: TimeoutError('my own')"

    def test_side_effects_stay(self) -> None:
        """No throw-away process."""
        effects: list[int] = []
        with Flow("f") as flow:
            flowkiln.task(lambda: effects.append(1), timeout=60)()
        assert type(flow.run()) is Success
        assert effects == [1]
