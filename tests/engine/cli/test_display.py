from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from flowkiln.cli.display import MAX_ROWS, print_outcome, watching
from flowkiln.cli.progress import RunProgress
from flowkiln.cli.root_causes import root_causes
from flowkiln.cli.tables import TaskTable
from flowkiln.engine.driver.driver import TERMINATED
from flowkiln.states.records import FlowRunRecord, TaskRunRecord

from .builders import record


def lines(*records: TaskRunRecord) -> list[str]:
    """What is printed about records where there is no terminal, without the time of day."""
    text = io.StringIO()
    with watching(Console(file=text, width=80), "flow", RunProgress(["a", "m"])) as observer:
        for one in records:
            observer.on_task_runs([one])
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in text.getvalue().splitlines()]


def rendered(run: RunProgress, width: int) -> list[str]:
    """The lines of the table."""
    console = Console(file=io.StringIO(), width=width)
    console.print(TaskTable(run.shown(), root_causes(run.tasks)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def table(run: RunProgress, width: int = 120) -> list[list[str]]:
    """The cells of the table that are not empty."""
    return [re.split(r" {2,}", line.strip()) for line in rendered(run, width)]


class TestLines:
    def test_a_task_that_is_retried(self) -> None:
        """Each step is a line, with the wait, the reason and the attempt."""
        said = lines(
            record("a", "Pending"),
            record("a", "Running", run_count=1),
            record("a", "Retrying", run_count=1, due=time.time() + 60, message="cold"),
            record("a", "Running", run_count=2),
            record("a", "Success", run_count=2),
        )
        assert said[0] == "a: Running"
        assert re.fullmatch(r"a: Retrying, again in (59|60) s \(cold\)", said[1])
        assert said[2:] == ["a: Running, attempt 2", "a: Success"]

    def test_children_are_counted(self) -> None:
        """Of children only failures and waits are lines of their own."""
        said = lines(
            record("m", "Mapped", map_size=3),
            record("m", "Running", 0),
            record("m", "Success", 0),
            record("m", "Failed", 1, message="cold"),
            record("m", "Success", 2),
        )
        assert said == ["m: mapped over 3", "m[1]: Failed (cold)", "m: 2 Success, 1 Failed of 3"]

    def test_nothing_to_map_over(self) -> None:
        """It is said once, and no children are counted."""
        assert lines(record("m", "Mapped", map_size=0)) == ["m: Success, there was nothing to map over"]

    def test_a_new_visit(self) -> None:
        """A body that runs again because its worker was lost is another attempt, with the reason before it."""
        said = lines(
            record("a", "Running", run_count=1, visit=1),
            record("a", "Success", run_count=1, visit=1),
            record("a", "Pending", visit=1, message="Its result was lost with a worker, so it runs again."),
            record("a", "Running", run_count=1, visit=2),
        )
        assert said[2:] == [
            "a: Pending (Its result was lost with a worker, so it runs again.)",
            "a: Running, attempt 2",
        ]

    def test_a_class_of_the_flow(self) -> None:
        """Its name stands beside the state that it is."""
        said = lines(record("a", "Failed", message="3 rows are empty", state_class="QualityFailed"))
        assert said == ["a: Failed (QualityFailed: 3 rows are empty)"]

    def test_what_did_not_run(self) -> None:
        """The tasks in its way are named in place of the trigger's advice, for children too; a skip has its reason."""
        text = io.StringIO()
        run = RunProgress(["a", "b", "m", "n", "s", "t"], {"b": ["a"], "n": ["a", "m"], "t": ["s"]})
        with watching(Console(file=text), "flow", run) as observer:
            for one in (
                record("a", "Failed", run_count=1, message="Unexpected error: ValueError('x')\nmore"),
                record("b", "TriggerFailed", message="Trigger was no"),
                record("m", "Mapped", map_size=4),
                record("n", "Mapped", map_size=4),
                record("m", "Failed", 1, run_count=1),
                record("n", "TriggerFailed", 1, message="Trigger was no"),
                record("n", "TriggerFailed", 2, message="Trigger was no"),
                record("m", "TriggerFailed", 2, message="of its own"),
                record("s", "Skipped", run_count=1, message="no rows"),
                record("t", "Skipped", message="An upstream task was skipped"),
            ):
                observer.on_task_runs([one])
        assert [line[9:] for line in text.getvalue().splitlines()] == [
            "a: Failed (ValueError('x'))",
            "b: TriggerFailed (because of a)",
            "m: mapped over 4",
            "n: mapped over 4",
            "m[1]: Failed",
            "n[1]: TriggerFailed (because of a, m[1])",
            "n[2]: TriggerFailed (because of a)",
            "m[2]: TriggerFailed (of its own)",
            "s: Skipped (no rows)",
            "t: Skipped (because of s)",
        ]

    def test_what_nobody_wrote(self) -> None:
        """A constant or an index is told of only when it fails."""
        text = io.StringIO()
        with watching(Console(file=text, width=80), "flow", RunProgress(["a", "i"], implicit=["i"])) as observer:
            observer.on_task_runs([record("i", "Running"), record("i", "Success")])
            assert text.getvalue() == ""
            observer.on_task_runs([record("i", "Failed", message="KeyError('rows')")])
        assert text.getvalue().endswith("i: Failed (KeyError('rows'))\n")

    def test_brackets_are_no_markup(self) -> None:
        """Messages are printed as they are."""
        assert lines(record("a", "Failed", message="[red]x[/red] [0]")) == ["a: Failed ([red]x[/red] [0])"]

    def test_the_flow(self) -> None:
        """Its states are lines too; that it runs needs no reason."""
        text = io.StringIO()
        with watching(Console(file=text), "flow", RunProgress([])) as observer:
            observer.on_flow_run(FlowRunRecord("Running", "Running flow."))
            observer.on_flow_run(FlowRunRecord("Success", "fine"))
        assert [line[9:] for line in text.getvalue().splitlines()] == ["flow run: Running", "flow run: Success (fine)"]


class TestPrintOutcome:
    def test_a_terminal(self) -> None:
        """They begin below ^C and do not break within words."""
        console = Console(file=io.StringIO(), width=12, force_terminal=True)
        assert print_outcome(console, "Left at once: killed.") == "\nLeft at\nonce:\nkilled.\n"

    def test_elsewhere(self) -> None:
        """They are one line."""
        assert (
            print_outcome(Console(file=io.StringIO(), width=12), "Left at once: killed.") == "Left at once: killed.\n"
        )


class TestTable:
    def test_rows(self) -> None:
        """A row has state, children, attempts, time and what there is to say."""
        run = RunProgress(["a", "m", "w"])
        run.on_task_runs(
            [
                record("a", "Success", start_time=1.0, end_time=3.5, run_count=1),
                record("m", "Mapped", map_size=2),
                record("m", "Success", 0, run_count=1),
                record("m", "Failed", 1, run_count=2, message="cold\nvery"),
                record("w", "Retrying", run_count=1, due=time.time() + 60, message="wet"),
            ]
        )
        heading, a, m, w = table(run)
        assert heading == ["TASK", "STATE", "CHILDREN", "ATTEMPTS", "TIME", "NOTE"]
        assert a == ["a", "Success", "1", "2.5 s"]
        assert m == ["m", "Failed", "2/2: 1 Success, 1 Failed", "2", "[1] cold"]
        assert w[:3] == ["w", "Retrying", "1"]
        assert re.fullmatch(r"again in (59|60) s: wet", w[3])

    def test_all_is_well(self) -> None:
        """Where all children succeeded their number is enough."""
        run = RunProgress(["m"])
        run.on_task_runs([record("m", "Mapped", map_size=1), record("m", "Success", 0)])
        assert table(run)[1] == ["m", "Success", "1/1"]

    def test_what_the_end_cut_off(self) -> None:
        """Tasks that are Cancelled with the run have nothing more to say."""
        run = RunProgress(["a", "m"])
        run.on_task_runs(
            [
                record("a", "Cancelled", message=TERMINATED),
                record("m", "Mapped", map_size=2),
                record("m", "Cancelled", 0, message=TERMINATED),
                record("m", "Cancelled", 1, message="too late"),
            ]
        )
        assert table(run)[1:] == [["a", "Cancelled"], ["m", "Cancelled", "2/2: 2 Cancelled", "[1] too late"]]

    def test_columns_that_say_nothing(self) -> None:
        """Where nothing is mapped, nothing was tried twice and nothing is to be noted there are no columns for it."""
        run = RunProgress(["a"])
        run.on_task_runs([record("a", "Success", start_time=1.0, end_time=126.0, run_count=1)])
        assert table(run) == [["TASK", "STATE", "TIME"], ["a", "Success", "2 min 05 s"]]

    def test_a_class_of_the_flow(self) -> None:
        """The state is the one that it is, and its name is noted."""
        run = RunProgress(["a", "b"])
        run.on_task_runs([record("a", "Failed", message="empty", state_class="QualityFailed")])
        run.on_task_runs([record("b", "Success", state_class="Approved")])
        assert table(run)[1:] == [["a", "Failed", "QualityFailed: empty"], ["b", "Success", "Approved"]]

    @pytest.mark.parametrize("width", [79, 60, 40])
    def test_a_narrow_terminal(self, width: int) -> None:
        """Each task is a line, details are below it, no word is broken and no line is too long."""
        run = RunProgress(["extract-stations", "clean", "report"], {"report": ["clean"]})
        words = "the station file has neither a temperature nor a name"
        run.on_task_runs(
            [
                record("extract-stations", "Success", start_time=1.0, end_time=3.5, run_count=1),
                record("clean", "Mapped", map_size=2),
                record("clean", "Success", 0, run_count=1),
                record("clean", "Failed", 1, run_count=2, message=words),
                record("report", "TriggerFailed", message="Trigger was ..."),
            ]
        )
        shown = rendered(run, width)
        assert shown[0] == "extract-stations  Success        2.5 s"
        assert shown[1] == "clean             Failed"
        assert shown[2] == "    2/2: 1 Success, 1 Failed, 2 attempts"
        assert " ".join(line.strip() for line in shown[3:-2]) == f"[1] {words}"
        assert shown[-2:] == ["report            TriggerFailed", "    because of clean"]
        assert max(map(len, shown)) <= width

    def test_a_narrow_terminal_where_all_is_well(self) -> None:
        """The number of children that succeeded stays in the task's line."""
        run = RunProgress(["a", "m"])
        run.on_task_runs([record("a", "Success"), record("m", "Mapped", map_size=1), record("m", "Success", 0)])
        assert rendered(run, 40) == ["a  Success", "m  Success  1/1"]

    def test_a_name_that_is_too_long_for_one_line(self) -> None:
        """It has a line of its own."""
        name = "n" * 35
        run = RunProgress([name])
        run.on_task_runs([record(name, "Success", start_time=1.0, end_time=3.5)])
        assert rendered(run, 40) == [name, "    Success  2.5 s"]


class TestLive:
    def render(self, run: RunProgress) -> str:
        """All that is written to a terminal while two tasks change."""
        text = io.StringIO()
        console = Console(file=text, force_terminal=True, width=100, height=200, color_system=None)
        with watching(console, "kiln", run) as observer:
            observer.on_flow_run(FlowRunRecord("Running", ""))
            observer.on_task_runs([record("t0", "Running"), record("t1", "Success")])
        return text.getvalue()

    def test_a_terminal_shows_the_table(self) -> None:
        """Flow, state, and how much is done stand above the tasks."""
        assert re.search(r"kiln {2}Running {2}1/3 task runs", self.render(RunProgress(["t0", "t1", "t2"])))

    def test_what_the_end_waits_for(self) -> None:
        """After Ctrl-C the running bodies stand in the header, though their task runs are Cancelled already."""
        run = RunProgress(["t0", "m"])
        run.on_task_runs([record("t0", "Running"), record("m", "Mapped", map_size=2), record("m", "Running", 1)])
        run.begin_to_end()
        run.on_task_runs([record("t0", "Cancelled"), record("m", "Cancelled", 1)])
        text = io.StringIO()
        with watching(Console(file=text, force_terminal=True, width=100, color_system=None), "kiln", run):
            pass
        assert "kiln  Ending the run; Ctrl-C again to leave at once. It waits for t0, m[1]." in text.getvalue()

    def test_many_tasks(self) -> None:
        """Of more tasks than fit only those that go on are shown."""
        shown = self.render(RunProgress([f"t{number}" for number in range(MAX_ROWS + 1)]))
        last = shown[shown.rindex("task runs") :]
        assert "t0 " in last
        assert "t1 " not in last
        assert "t2 " not in last
