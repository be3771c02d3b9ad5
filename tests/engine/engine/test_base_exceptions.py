"""Whatever user code raises becomes the state of any other exception, on every executor."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flowkiln
from flowkiln import Flow, task
from flowkiln.engine import signals
from flowkiln.engine.bodies.interrupts import is_interrupt, marked_interrupts
from flowkiln.engine.executors import Executor, LocalExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.engine.state import Failed, Mapped, Skipped, State, Success, TriggerFailed
from flowkiln.triggers import all_finished
from flowkiln.utilities.debug import raise_on_exception
from tests.engine.engine.recorder import Recorder


class Panic(BaseException):
    """What a library raises that is not written in Python."""


class MuteError(Exception):
    """An error that cannot be shown."""

    def __repr__(self) -> str:
        raise KeyboardInterrupt

    __str__ = __repr__


class Stuck(Exception):
    """An error that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("stuck")
        self.lock = threading.Lock()


RAISED: dict[str, tuple[Callable[[], BaseException], str, str]] = {
    "KeyboardInterrupt": (KeyboardInterrupt, "Unexpected error: KeyboardInterrupt()", "KeyboardInterrupt"),
    "SystemExit": (lambda: SystemExit(3), "The task called sys.exit(3).", "SystemExit: 3"),
    "GeneratorExit": (GeneratorExit, "Unexpected error: GeneratorExit()", "GeneratorExit"),
    "CancelledError": (asyncio.CancelledError, "Unexpected error: CancelledError()", "CancelledError"),
    "StopIteration": (StopIteration, "Unexpected error: StopIteration()", "StopIteration"),
    "its own class": (lambda: Panic("boom"), "Unexpected error: Panic('boom')", "Panic: boom"),
    "no repr": (
        MuteError,
        "Unexpected error: <MuteError whose repr raises KeyboardInterrupt>",
        "MuteError: <exception str() failed>",
    ),
    "no pickle": (Stuck, "Unexpected error: Stuck('stuck')", "Stuck: stuck"),
}
"""How an exception is made, the message of a task run that raises it, and the last line of its traceback."""

ALL = pytest.mark.parametrize("name", RAISED)


def raising(name: str, *_: Any, **__: Any) -> Any:
    """Raise what is called `name`."""
    raise RAISED[name][0]()


def noting(path: Path, text: str) -> None:
    """Add a line to a file that worker processes share."""
    with path.open("a") as file:
        file.write(f"{text}\n")


def run(flow: Flow, executor: Executor, recorder: Recorder | None = None) -> dict[Any, State]:
    """Run a flow and give the states of its tasks by name."""
    final = Conductor(flow, executor, observer=recorder, return_tasks=tuple(flow.get_tasks())).run()
    assert isinstance(final.result, dict), final.message
    return {each.name: state for each, state in final.result.items()}


@ALL
def test_in_a_body_it_fails_the_task(name: str, any_executor: Executor, tmp_path: Path) -> None:
    """Failed with the traceback, tried again, `on_failure` told; the body runs once an attempt, the others run too."""
    noted = tmp_path / "noted"

    def body() -> None:
        noting(noted, "body")
        raise RAISED[name][0]()

    def told(_task: Any, state: State) -> None:
        noting(noted, f"told {type(state).__name__}")

    with Flow("f") as flow:
        failed = task(body, max_retries=1, retry_delay=dt.timedelta(0), on_failure=told)()
        task(lambda x: type(x).__name__, name="after", trigger=all_finished)(failed)
        task(lambda: "ran", name="other")()
    recorder = Recorder()
    states = run(flow, any_executor, recorder)
    _, message, last_line = RAISED[name]
    assert type(states["body"]) is Failed
    assert states["body"].message == message
    # On the way to another process a stand-in takes the place of what cannot be pickled.
    assert states["after"].result in ({_kind(name), "ForeignError"} if name == "no pickle" else {_kind(name)})
    assert states["other"].result == "ran"
    told_by = recorder.of("body")
    assert [record.state for record in told_by if record.state != "Pending"] == [
        *("Running", "Failed", "Retrying"),
        *("Running", "Failed"),
    ]
    assert told_by[-1].traceback.rstrip().endswith(last_line)
    assert "in body" in told_by[-1].traceback
    assert noted.read_text().splitlines() == ["body", "told Failed"] * 2


def _kind(name: str) -> str:
    return type(RAISED[name][0]()).__name__


@ALL
def test_in_a_trigger_it_is_a_trigger_failure(name: str, any_executor: Executor) -> None:
    """Like any other exception there."""
    with Flow("f") as flow:
        task(lambda x: x, name="down", trigger=lambda states: raising(name))(task(lambda: 1, name="up")())
    states = run(flow, any_executor)
    assert type(states["up"]) is Success
    assert type(states["down"]) is TriggerFailed
    assert str(states["down"].message).startswith("Unexpected error while checking the trigger: ")


def test_a_trigger_whose_answer_is_no_truth_value(any_executor: Executor) -> None:
    """It has failed as well."""

    class Neither:
        def __bool__(self) -> bool:
            raise KeyboardInterrupt

    with Flow("f") as flow:
        task(lambda x: x, name="down", trigger=lambda states: Neither())(task(lambda: 1)())
    assert type(run(flow, any_executor)["down"]) is TriggerFailed


@ALL
@pytest.mark.parametrize("place", ["state_handlers", "on_failure"])
def test_in_a_handler_it_fails_the_task(name: str, place: str, any_executor: Executor) -> None:
    """Like any other exception there: without a retry."""

    def body() -> None:
        if place == "on_failure":
            raise ValueError("a first error")

    def handler(_task: Any, _old: State, new: State) -> State:
        return raising(name) if new.is_successful() else new

    how: dict[str, Any] = {"on_failure": lambda _task, _state: raising(name)}
    how = how if place == "on_failure" else {"state_handlers": [handler]}
    with Flow("f") as flow:
        task(body, max_retries=1, retry_delay=dt.timedelta(0), **how)()
    recorder = Recorder()
    states = run(flow, any_executor, recorder)
    assert type(states["body"]) is Failed
    assert states["body"].message == "Exception raised while calling state handlers."
    assert [record.state for record in recorder.of("body") if record.state == "Running"] == ["Running"]
    assert recorder.of("body")[-1].traceback


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "its own class"])
def test_in_a_retry_predicate_or_delay_it_fails_the_task(name: str, any_executor: Executor) -> None:
    """With that error, for what it was to decide is unknown."""

    def body() -> None:
        raise ValueError("a first error")

    with Flow("f") as flow:
        task(body, name="on", max_retries=1, retry_delay=dt.timedelta(0), retry_on=lambda cause: raising(name))()
        task(body, name="after", max_retries=1, retry_delay=lambda count: raising(name))()
    states = run(flow, any_executor)
    for each in ("on", "after"):
        assert type(states[each]) is Failed
        assert states[each].message == RAISED[name][1]


def test_in_a_cache_validator_it_fails_the_task(any_executor: Executor) -> None:
    """Before the body runs."""

    with Flow("f") as flow:
        cached = task(
            lambda: 2, cache_for=dt.timedelta(hours=1), cache_validator=lambda *_: raising("KeyboardInterrupt")
        )()
    final = flow.run(executor=any_executor, task_states={cached: flowkiln.engine.state.Cached(result=1)})
    assert type(final.result[cached]) is Failed
    assert "KeyboardInterrupt" in str(final.result[cached].message)


class Evil:
    """A sequence that ends the program when it is asked for anything."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        raise SystemExit(4)


class Sour:
    """A sequence of which one element cannot be taken."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> int:
        if index:
            raise KeyboardInterrupt
        return index


@pytest.mark.parametrize("made", [Evil, Sour])
def test_in_an_object_that_is_mapped_over_it_fails_those_who_take_from_it(made: Any, any_executor: Executor) -> None:
    """The map, or the one element."""
    with Flow("f") as flow:
        task(lambda x: x, name="mapped").map(task(lambda: made())())
    mapped = run(flow, any_executor)["mapped"]
    if made is Evil:
        assert type(mapped) is Failed
    else:
        assert isinstance(mapped, Mapped)
        assert [type(child) for child in mapped.map_states] == [Success, Failed]


def test_in_a_handler_of_a_mapped_parent_it_fails_the_parent(any_executor: Executor) -> None:
    """These handlers run beside the driver."""

    def handler(_task: Any, _old: State, new: State) -> State:
        return raising("SystemExit") if new.is_mapped() else new

    with Flow("f") as flow:
        task(lambda x: x, name="mapped", state_handlers=[handler]).map(task(lambda: [1, 2])())
    final = Conductor(flow, any_executor, return_tasks=tuple(flow.get_tasks())).run()
    assert type(final) is Failed
    states = {each.name: state for each, state in final.result.items()}
    assert states["mapped"].message == "Exception raised while calling state handlers."


@ALL
def test_in_a_handler_of_the_flow_it_fails_the_flow(name: str) -> None:
    """The run ends with a state, whoever's handler it was."""

    def handler(_flow: Any, _old: State, new: State) -> State:
        return raising(name) if new.is_finished() else new

    with Flow("f", state_handlers=[handler]) as flow:
        task(lambda: 1)()
    final = flow.run()
    assert type(final) is Failed
    assert final.message == "Exception raised while calling state handlers."


def test_around_the_tasks_it_fails_the_flow() -> None:
    """What an executor or a runner class raises ends the run, with a state."""

    class Broken(LocalExecutor):
        def open_session(self, *_: Any) -> Any:
            sys.exit(5)

    with Flow("f") as flow:
        task(lambda: 1)()
    final = flow.run(executor=Broken())
    assert type(final) is Failed
    assert isinstance(final.result, SystemExit)


def test_a_message_that_cannot_be_shown(any_executor: Executor) -> None:
    """A signal takes any object as its message."""

    def body() -> None:
        raise signals.SKIP(MuteError())

    with Flow("f") as flow:
        task(body)()
    recorder = Recorder()
    assert type(run(flow, any_executor, recorder)["body"]) is Skipped
    assert "MuteError" in recorder.of("body")[-1].message


@pytest.mark.parametrize("name", ["KeyboardInterrupt", "SystemExit", "CancelledError", "its own class"])
def test_with_raise_on_exception_it_goes_to_the_caller(name: str, any_executor: Executor) -> None:
    """Unchanged, through executors too; and the executor can be used afterwards."""

    with Flow("f") as flow:
        task(lambda: raising(name))()
    with raise_on_exception(), pytest.raises(type(RAISED[name][0]())):
        flow.run(executor=any_executor)
    with Flow("g") as flow:
        task(lambda: 1)()
    assert flow.run(executor=any_executor).is_successful()


class TestCtrlC:
    """SIGINT in the main thread ends the program, whatever the body makes of it."""

    @pytest.fixture
    def interrupt(self) -> Iterator[Callable[[], None]]:
        """Send the main thread a SIGINT, as a terminal does."""
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_in_a_body(self, executor: Executor, interrupt: Callable[[], None], tmp_path: Path) -> None:
        """It goes to the caller of `run`; nothing else starts. With Dask's threads the main thread waits meanwhile."""
        noted = tmp_path / "noted"

        def body() -> None:
            noting(noted, "body")
            interrupt()
            time.sleep(20 if threading.current_thread() is threading.main_thread() else 0.2)

        with Flow("f") as flow:
            task(lambda x: noting(noted, "after"))(task(body)())
        with pytest.raises(KeyboardInterrupt) as raised:
            flow.run(executor=executor)
        assert type(raised.value) is KeyboardInterrupt
        assert noted.read_text() == "body\n"

    def test_in_a_handler_or_trigger(self, interrupt: Callable[[], None]) -> None:
        """There as well."""
        for arguments in (
            {"trigger": lambda states: interrupt()},
            {"state_handlers": [lambda _task, _old, new: interrupt()]},
        ):
            with Flow("f") as flow:
                task(lambda x: x, **arguments)(task(lambda: 1)())
            with pytest.raises(KeyboardInterrupt):
                flow.run(executor=LocalExecutor())

    def test_what_a_body_raises_while_it_handles_one_goes_to_the_caller(self, interrupt: Callable[[], None]) -> None:
        """As in a program without flowkiln."""

        def body() -> None:
            try:
                interrupt()
                time.sleep(20)
            except KeyboardInterrupt:
                sys.exit(130)

        with Flow("f") as flow:
            task(body)()
        with pytest.raises(SystemExit):
            flow.run(executor=LocalExecutor())

    def test_a_body_may_end_its_own_work_by_it(self, interrupt: Callable[[], None]) -> None:
        """A loop that catches it goes on with the next thing, and the run with it."""

        def body() -> str:
            try:
                interrupt()
                time.sleep(20)
            except KeyboardInterrupt:
                return "saved"
            return "never interrupted"

        with Flow("f") as flow:
            saved = task(body)()
        assert flow.run(executor=LocalExecutor()).result[saved].result == "saved"

    def test_a_handler_of_the_programs_own_is_left_alone(self) -> None:
        """It is called, and there afterwards."""
        called: list[int] = []
        own = lambda number, frame: called.append(number)  # noqa: E731
        before = signal.signal(signal.SIGINT, own)
        try:
            with Flow("f") as flow:
                task(lambda: os.kill(os.getpid(), signal.SIGINT))()
            assert flow.run(executor=LocalExecutor()).is_successful()
            assert signal.getsignal(signal.SIGINT) is own
        finally:
            signal.signal(signal.SIGINT, before)
        assert called == [signal.SIGINT]

    def test_a_body_that_sets_a_handler_keeps_it(self) -> None:
        """Only our own is taken away."""
        with marked_interrupts():
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert callable(before)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def test_an_error_without_one_is_none(self) -> None:
        """Also with others behind it, in a ring."""
        first, second = ValueError(), KeyboardInterrupt()
        first.__context__, second.__context__ = second, first
        assert not is_interrupt(first)

    def test_the_program_ends_by_the_signal(self, tmp_path: Path) -> None:
        """As the shell expects of it: exit code -2."""
        script = tmp_path / "script.py"
        script.write_text(
            "import os, signal, time\n"
            "from flowkiln import Flow, task\n"
            "@task\n"
            "def body():\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "    time.sleep(20)\n"
            "with Flow('f') as flow: body()\n"
            "flow.run()\n"
            "print('still there')\n"
        )
        ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGINT
        assert "still there" not in ended.stdout
