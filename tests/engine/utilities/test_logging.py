from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from flowkiln import Flow, context, get_run_logger, task
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

    def test_threads_without_a_run(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where nothing is known, nothing is claimed, and logging works."""
        with caplog.at_level(logging.INFO, "flowkiln"), context(task_name="t"):
            thread = threading.Thread(target=lambda: get_run_logger().info("hello"))
            thread.start()
            thread.join()
        assert caplog.records[0].__dict__["task"] is None


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
