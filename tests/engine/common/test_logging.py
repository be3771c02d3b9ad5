from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flowkiln import Flow, context, get_run_logger, task
from flowkiln.common.log_text import TEXT_LIMIT, text_of
from flowkiln.common.run_facts import follow_threads
from flowkiln.engine.bodies.timeouts import DeadlineExceeded
from flowkiln.engine.executors import LocalExecutor
from flowkiln.utilities.logging import get_logger


class TestGetLogger:
    def test_names(self) -> None:
        """The package's logger, or its child."""
        assert get_logger().name == "flowkiln"
        assert get_logger("Task").name == "flowkiln.Task"


class TestRunLogger:
    def test_records_carry_the_run(self, caplog: pytest.LogCaptureFixture) -> None:
        """Run, task, map index and run count come from the context at the time of the call."""
        logger = get_run_logger()
        with caplog.at_level(logging.INFO, "flowkiln"):
            with context(run_id="r", task_name="t", map_index=3, task_run_count=2):
                logger.info("in %s", "side", extra={"mine": 1})
            logger.info("outside")
        inside, outside = caplog.records
        assert inside.getMessage() == "in side"
        facts = ("run", "task", "map_index", "run_count", "mine")
        assert [getattr(inside, fact) for fact in facts] == ["r", "t", 3, 2, 1]
        assert [getattr(outside, fact) for fact in facts[:4]] == [None] * 4

    def test_in_task_bodies(self, caplog: pytest.LogCaptureFixture) -> None:
        """A body, mapped or not, logs as the task run that it is."""

        @task
        def speak(x: int) -> None:
            get_run_logger().info("x is %s", x)

        with Flow("f") as flow:
            speak(0)
            speak.map([1, 2])
        with caplog.at_level(logging.INFO, "flowkiln"):
            assert flow.run().is_successful()
        said = {r.getMessage(): r for r in caplog.records if r.name == "flowkiln.run"}
        assert {text: record.__dict__["map_index"] for text, record in said.items()} == {
            "x is 0": None,
            "x is 1": 0,
            "x is 2": 1,
        }
        assert {record.__dict__["task"] for record in said.values()} == {"speak", "speak-2"}
        assert said["x is 0"].__dict__["task"] == "speak"
        assert all(record.__dict__["run_count"] == 1 for record in said.values())
        assert len({record.__dict__["run"] for record in said.values()}) == 1

    @pytest.mark.parametrize(
        ("extra", "expected"),
        [
            ({"name": 1, "message": 2, "mine": 3}, {"name_": 1, "message_": 2, "mine": 3}),
            ({5: 6}, {"5": 6}),
            ("text", {"extra": "'text'"}),
        ],
        ids=["taken names", "keys that are no text", "no mapping"],
    )
    def test_any_extra(self, caplog: pytest.LogCaptureFixture, extra: Any, expected: dict[str, Any]) -> None:
        """Whatever is given as extra, the call does not raise, and what was given is in the record."""
        with caplog.at_level(logging.INFO, "flowkiln"):
            get_run_logger().info("hello", extra=extra)
        assert vars(caplog.records[0]).items() >= expected.items()

    def test_where_it_was_called(self, caplog: pytest.LogCaptureFixture) -> None:
        """A record names the body's own file, not the adapter."""
        with caplog.at_level(logging.INFO, "flowkiln"):
            get_run_logger().info("hello")
        assert caplog.records[0].pathname == __file__


def start_thread(call: Callable[[], None]) -> None:
    """Call in a thread."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def start_timer(call: Callable[[], None]) -> None:
    """Call in a timer's thread."""
    timer = threading.Timer(0, call)
    timer.start()
    timer.join()


def submit(call: Callable[[], None]) -> None:
    """Call in a pool."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


def map_in_pool(call: Callable[[], None]) -> None:
    """Call in a pool, by map."""
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: call(), [1]))


def nest(call: Callable[[], None]) -> None:
    """Call in a thread of a thread of a thread."""
    start_thread(lambda: submit(lambda: start_timer(call)))


def use_asyncio(call: Callable[[], None]) -> None:
    """Call in a thread of asyncio's."""
    asyncio.run(asyncio.to_thread(call))


@pytest.mark.parametrize("start", [start_thread, start_timer, submit, map_in_pool, nest, use_asyncio])
class TestThreads:
    def test_of_a_body(self, caplog: pytest.LogCaptureFixture, start: Callable[[Callable[[], None]], None]) -> None:
        """What a thread that a body started logs carries the body's task run; the thread's context stays its own."""

        @task
        def body(x: int) -> None:
            start(lambda: get_run_logger().info("task of the context: %s", context.get("task_name")))

        with Flow("f") as flow:
            body.map([1])
        with caplog.at_level(logging.INFO, "flowkiln.run"):
            assert flow.run(executor=LocalExecutor()).is_successful()
        (record,) = (record for record in caplog.records if record.name == "flowkiln.run")
        facts = vars(record)
        assert (facts["task"], facts["map_index"], facts["run_count"]) == ("body", 0, 1)
        assert record.getMessage() == f"task of the context: {'body' if start is use_asyncio else None}"

    def test_outside_of_runs(
        self, caplog: pytest.LogCaptureFixture, start: Callable[[Callable[[], None]], None]
    ) -> None:
        """Where nothing is known, nothing is claimed, and logging works."""
        follow_threads()
        with caplog.at_level(logging.INFO, "flowkiln"):
            start(lambda: get_run_logger().info("hello"))
        assert vars(caplog.records[0])["task"] is None


def test_a_pool_of_several_bodies(caplog: pytest.LogCaptureFixture) -> None:
    """A pool that is older than the bodies works for whoever submits."""
    follow_threads()
    with ThreadPoolExecutor(1) as pool, caplog.at_level(logging.INFO, "flowkiln"):
        for name in ("a", "b"):
            with context(task_name=name):
                pool.submit(get_run_logger().info, "hello").result()
        pool.submit(get_run_logger().info, "hello").result()
    assert [vars(record)["task"] for record in caplog.records] == ["a", "b", None]


class TestConfigureLogging:
    def _said(self, before: str) -> str:
        source = (
            f"import logging; {before}\nimport flowkiln\nfrom flowkiln.utilities.logging import configure_logging\n"
            "configure_logging(); configure_logging()\nflowkiln.get_run_logger().info('hello')"
        )
        done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        return done.stderr

    def test_sends_the_log_to_standard_error_once(self) -> None:
        """A program that set up nothing sees the log as configured, once however often it is called."""
        assert self._said("").count("hello") == 1
        assert "INFO" in self._said("")

    def test_respects_what_the_program_set_up(self) -> None:
        """A program with handlers of its own keeps them."""
        assert self._said("logging.basicConfig(level='INFO', format='mine %(message)s')") == "mine hello\n"

    @pytest.mark.parametrize(
        ("setting", "expected"),
        [
            ("LEVEL=WARNING", ""),
            ("LEVEL=debug", "hello"),
            ("LEVEL=LOUD", "hello"),
            ("LEVEL=50", ""),
            ("FORMAT=mine %(message)s", "mine hello"),
            ("FORMAT=%(no such", "hello"),
        ],
    )
    def test_settings(self, monkeypatch: pytest.MonkeyPatch, setting: str, expected: str) -> None:
        """Level and format come from the environment; what cannot be used is told, and the default taken."""
        name, _, value = setting.partition("=")
        monkeypatch.setenv(f"FLOWKILN__LOGGING__{name}", value)
        lines = self._said("").splitlines()
        assert (lines[-1] if lines else "").endswith(expected)
        assert bool(lines) == bool(expected)
        assert len(lines) == (2 if value in ("LOUD", "%(no such") else bool(expected))


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Panic(BaseException):
    pass


class Panicking:
    def __str__(self) -> str:
        raise Panic("gone")


class TestTextOf:
    @pytest.mark.parametrize(
        ("message", "arguments", "expected"),
        [
            ("%s of %s", (1,), "TypeError: not enough arguments for format string"),
            ("%d", ("x",), "TypeError: %d format: a real number is required, not str"),
            ("no place", (1,), "TypeError: not all arguments converted during string formatting"),
            ("%r", (Unspeakable(),), "RuntimeError: no text"),
            ("%s", (Panicking(),), "Panic: gone"),
            (Panicking(), (), "Panic: gone"),
            ("100%", (1,), "ValueError: incomplete format"),
        ],
        ids=["too few", "a wrong kind", "too many", "repr raises", "str panics", "message panics", "half a format"],
    )
    def test_a_record_without_a_text(self, message: Any, arguments: tuple[Any, ...], expected: str) -> None:
        """What is wrong with a record, its parts and the place of the call are its text."""
        record = logging.LogRecord("n", logging.INFO, "/flow.py", 7, message, arguments, None, func="body")
        lines = text_of(record).splitlines()
        assert lines[:2] == ["--- Logging error ---", expected]
        assert lines[-1] == "Logged at /flow.py:7 in body"

    def test_what_utf_8_cannot_encode(self) -> None:
        """A lone surrogate, as in names of files, is shown as an escape."""
        record = logging.LogRecord("n", logging.INFO, "", 0, "found %s", (os.fsdecode(b"caf\xe9"),), None)
        assert text_of(record) == "found caf\\udce9"

    def test_an_enormous_message(self) -> None:
        """A message of megabytes is cut, and says so."""
        record = logging.LogRecord("n", logging.INFO, "", 0, "x" * 10**7, (), None)
        text = text_of(record)
        assert len(text) < TEXT_LIMIT + 100
        assert text.endswith("[cut: 10000000 characters]")

    def test_an_exception(self) -> None:
        """The traceback follows the message."""
        try:
            raise ValueError("wrong")
        except ValueError:
            record = logging.LogRecord("n", logging.INFO, "", 0, "failed", (), sys.exc_info())
        assert text_of(record).startswith("failed\nTraceback")
        assert text_of(record).endswith("ValueError: wrong")

    def test_what_ends_the_body_is_not_caught(self) -> None:
        """A deadline that passes in a log call ends the body."""

        class Late:
            def __str__(self) -> str:
                raise DeadlineExceeded

        record = logging.LogRecord("n", logging.INFO, "", 0, "%s", (Late(),), None)
        with pytest.raises(DeadlineExceeded):
            text_of(record)
