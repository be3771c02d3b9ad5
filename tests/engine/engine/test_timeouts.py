"""Deadlines: the call ends, in any thread, and everything of other users is as before."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow
from flowkiln.engine import signals, timeouts
from flowkiln.engine.executors import Executor
from flowkiln.engine.signals import ENDRUN
from flowkiln.engine.state import Failed, Mapped, Paused, Skipped, Success, TimedOut
from flowkiln.engine.timeouts import DeadlineExceeded, call_in_time, call_with_deadline


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

    def test_a_body_that_goes_on_is_stopped_again(self, place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """A loop that catches everything does not outlive its deadline for long."""
        monkeypatch.setattr(timeouts, "AGAIN", 0.2)
        stops: list[int] = []

        def stubborn() -> None:
            while True:
                try:
                    busy()
                except Exception:
                    stops.append(1)
                    if len(stops) == 3:
                        raise

        with pytest.raises(DeadlineExceeded):
            place(lambda: call_with_deadline(stubborn, 0.05, {}))
        assert len(stops) == 3

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

    def test_side_effects_stay(self) -> None:
        """No throw-away process."""
        effects: list[int] = []
        with Flow("f") as flow:
            flowkiln.task(lambda: effects.append(1), timeout=60)()
        assert type(flow.run()) is Success
        assert effects == [1]
