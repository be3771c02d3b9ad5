from __future__ import annotations

import io

import pytest
from rich.console import Console

from flowkiln.cli.progress import RunProgress
from flowkiln.cli.root_causes import root_causes
from flowkiln.cli.summary import SHOWN_CHILDREN, SHOWN_FAILURES, print_summary
from flowkiln.states.records import FlowRunRecord, TaskRunRecord

from .builders import record

CHAIN = {"b": ["a"], "c": ["b"], "d": ["c"]}
TRACEBACK = 'Traceback (most recent call last):\n  File "f.py", line 1, in a\n    boom()\nValueError: cold\n'


def summary(run: RunProgress, flow: FlowRunRecord, *, width: int = 100) -> str:
    """What is printed about a run, without spaces at the ends of lines."""
    text = io.StringIO()
    print_summary(Console(file=text, width=width), "kiln", flow, run, 12.34)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def blamed(upstream: dict[str, list[str]], *records: TaskRunRecord) -> dict[str, tuple[str, ...]]:
    """Which tasks did not run because of which."""
    names = sorted({*upstream, *(name for above in upstream.values() for name in above)})
    run = RunProgress(names, upstream)
    run.on_task_runs(records)
    return root_causes(run.tasks)


class TestReasons:
    def test_a_failure_far_upstream(self) -> None:
        """What failed is to blame, not what it kept from running."""
        failed = blamed(CHAIN, record("a", "Failed", run_count=1), *(record(name, "TriggerFailed") for name in "bcd"))
        assert failed == {"b": ("a",), "c": ("a",), "d": ("a",)}

    def test_a_skip(self) -> None:
        """What skipped itself is no consequence; what was skipped with it is."""
        skipped = blamed(CHAIN, record("a", "Success"), record("b", "Skipped", run_count=1), record("c", "Skipped"))
        assert skipped == {"c": ("b",)}

    def test_a_trigger_that_wants_failures(self) -> None:
        """Where nothing upstream failed the trigger itself is the reason."""
        assert blamed(CHAIN, record("a", "Success"), record("b", "TriggerFailed")) == {}

    def test_children(self) -> None:
        """A map whose children did not run is a consequence; one with a child that failed by itself is not."""
        children = [record("b", "Mapped", map_size=2), record("b", "Success", 0), record("b", "TriggerFailed", 1)]
        assert blamed(CHAIN, record("a", "Failed", 1, run_count=1), *children) == {"b": ("a",)}
        assert blamed(CHAIN, record("a", "Failed", 1, run_count=1), *children, record("b", "Failed", 0)) == {}


class TestFailures:
    def test_the_cause_comes_first_and_the_rest_is_one_line(self) -> None:
        """A failure with its traceback, then how many tasks did not run; no advice for each of them."""
        run = RunProgress("abcd", CHAIN)
        run.on_task_runs(
            [
                record("a", "Failed", message="Unexpected error: ValueError('cold')", traceback=TRACEBACK, run_count=3),
                *(record(name, "TriggerFailed", message="Trigger was no") for name in "bcd"),
            ]
        )
        assert summary(run, FlowRunRecord("Failed", "Some reference tasks failed.")).splitlines() == [
            "TASK  STATE          ATTEMPTS  TIME  NOTE",
            "a     Failed         3               ValueError('cold')",
            "b     TriggerFailed                  because of a",
            "c     TriggerFailed                  because of a",
            "d     TriggerFailed                  because of a",
            "",
            "a: Failed after 3 attempts",
            *TRACEBACK.splitlines(),
            "",
            "3 tasks did not run because of it: b, c, d",
            "",
            "kiln: Failed in 12.3 s  Some reference tasks failed.",
        ]

    def test_a_message_that_the_traceback_does_not_have(self) -> None:
        """It stands beside the name."""
        run = RunProgress("a")
        run.on_task_runs([record("a", "Failed", message="a state handler raised", traceback=TRACEBACK)])
        assert "\na: Failed: a state handler raised\nTraceback" in summary(run, FlowRunRecord("Failed"))

    def test_a_state_that_says_nothing(self) -> None:
        """A class of the flow's own without message is named, and no colon waits for more."""
        run = RunProgress("a")
        run.on_task_runs([record("a", "Failed", state_class="QualityFailed")])
        assert "a: Failed (QualityFailed)" in summary(run, FlowRunRecord("Failed")).splitlines()

    def test_who_failed_first(self) -> None:
        """Causes are told in the order in which they happened."""
        run = RunProgress("ab")
        run.on_task_runs(
            [record("a", "Failed", message="x", end_time=9.0), record("b", "Failed", message="y", end_time=5.0)]
        )
        text = summary(run, FlowRunRecord("Failed"))
        assert text.index("b: Failed") < text.index("a: Failed")

    def test_children(self) -> None:
        """The first child is told in full, some others in a line each, and the rest is a number."""
        run = RunProgress("m")
        run.on_task_runs([record("m", "Mapped", map_size=20)])
        run.on_task_runs(
            [record("m", "Failed", i, message=f"Unexpected error: {i}", traceback=TRACEBACK) for i in range(20)]
        )
        text = summary(run, FlowRunRecord("Failed"))
        assert text.count("Traceback") == 1
        assert "m[4]: Failed: 4\n" in text
        assert "m[5]: Failed" not in text
        assert f"… and {20 - SHOWN_CHILDREN} more of the 20 children of m failed." in text

    def test_a_map_of_which_a_part_ran(self) -> None:
        """The line about what did not run says how many children did."""
        run = RunProgress("abc", {"b": ["a"], "c": ["b"]})
        for name in "ab":
            run.on_task_runs([record(name, "Mapped", map_size=2), record(name, "Success", 0, run_count=1)])
        run.on_task_runs(
            [record("a", "Failed", 1, run_count=1), record("b", "TriggerFailed", 1), record("c", "TriggerFailed")]
        )
        line = "\n2 tasks did not run, or only in part, because of it: b (ran 1 of 2 children), c\n"
        assert line in summary(run, FlowRunRecord("Failed"))

    def test_very_many(self) -> None:
        """Of more failures only the number is told."""
        names = [f"t{number}" for number in range(SHOWN_FAILURES + 3)]
        run = RunProgress(names)
        run.on_task_runs([record(name, "Failed", message="cold") for name in names])
        assert "… and 3 more tasks failed." in summary(run, FlowRunRecord("Failed"))

    @pytest.mark.parametrize("width", [60, 40])
    def test_a_narrow_terminal(self, width: int) -> None:
        """Lines end with a word, and marks below a source line that does not fit are left out."""
        source = "x = " + "value + " * 12 + "1"
        frames = f'Traceback:\n  File "f.py", line 1\n    {source}\n    {"^" * len(source)}\nValueError: cold'
        names = [f"task-{number}" for number in range(8)]
        run = RunProgress(["a", *names], {name: ["a"] for name in names})
        run.on_task_runs([record("a", "Failed", message="handlers raised " * 5, traceback=frames)])
        run.on_task_runs([record(name, "TriggerFailed") for name in names])
        text = io.StringIO()
        console = Console(file=text, width=width, force_terminal=True, color_system=None)
        print_summary(console, "kiln", FlowRunRecord("Failed", "Some reference tasks failed."), run, 1.0)
        lines = text.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        tail = " ".join(" ".join(lines[lines.index("") :]).split())
        assert tail == (
            f"a: Failed: {'handlers raised ' * 5}"
            f'Traceback: File "f.py", line 1 {source} ValueError: cold '
            f"8 tasks did not run because of it: {', '.join(names)} "
            "kiln: Failed in 1.0 s Some reference tasks failed."
        )

    def test_markup(self) -> None:
        """Brackets are text, in the table and below it."""
        run = RunProgress("a")
        run.on_task_runs([record("a", "Failed", message="[red]x[/red] [0]")])
        assert summary(run, FlowRunRecord("Failed", "[/]")).count("[red]x[/red] [0]") == 2

    def test_an_empty_flow(self) -> None:
        """There is nothing but its end."""
        assert summary(RunProgress([]), FlowRunRecord("Success", "fine")) == "kiln: Success in 12.3 s  fine"
