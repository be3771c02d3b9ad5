"""From records to status: counts, texts, order and budget."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowkiln.api.limits import MAX_STATUS_BYTES
from flowkiln.api.status import FlowRunStatus, TaskStatus
from flowkiln.states.kinds import FINISHED, KNOWN
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord
from flowkiln_operator.agent.projection import table as table_module
from flowkiln_operator.agent.projection.flow_status import (
    Holder,
    RunSummary,
    current_summary,
    final_summary,
    flow_document,
)
from flowkiln_operator.agent.projection.table import RunTable
from flowkiln_operator.status.indexes import parse_indexes
from tests.operator.agent.records import NOON, child, mapped, plain, record_sequences

HOLDER = Holder("pod-uid", "Scheduler-1")


def tasks_of(table: RunTable, budget: int = MAX_STATUS_BYTES) -> dict[str, dict[str, Any]]:
    """`status.tasks` by name, checked against the custom resource's own model."""
    entries = json.loads(table.tasks_text(budget))
    for entry in entries:
        TaskStatus.model_validate(entry)
    return {entry["name"]: entry for entry in entries}


def task_run_states(entry: dict[str, Any]) -> Counter[str]:
    """How many task runs of one entry are in each state."""
    if "children" in entry:
        return Counter(entry["children"]["counts"])
    return Counter([entry["state"]])


@given(record_sequences())
def test_counts_always_add_up(sequence: tuple[list[str], list[TaskRunRecord]]) -> None:
    """Whatever is recorded, in whatever order: flow counts sum up the entries, and children's counts their total."""
    names, records = sequence
    table = RunTable(names)
    for record in records:
        table.apply([record])
        counts, entries = table.counts(), tasks_of(table)
        assert Counter(counts.by_state) == sum(map(task_run_states, entries.values()), Counter())
        assert set(counts.by_state) <= KNOWN
        assert all(count > 0 for count in counts.by_state.values())
        for entry in entries.values():
            if children := entry.get("children"):
                assert sum(children["counts"].values()) == children["total"]


def test_a_failure_of_a_class_of_the_flow() -> None:
    """It counts as the built-in state that it is, and its message begins with its own name."""
    table = RunTable(["check"])
    table.apply([plain("check", "Failed", message="3 rows are empty", traceback="here", state_class="QualityFailed")])
    entry = tasks_of(table)["check"]
    assert table.counts().by_state == {"Failed": 1}
    assert (entry["state"], entry["message"]) == ("Failed", "QualityFailed: 3 rows are empty")
    assert entry["traceback"] == "here"
    assert table.first_failure() == "check: QualityFailed: 3 rows are empty"


def test_states_of_the_flow_that_are_no_failures() -> None:
    """A wait, a pause, a skip and a success of the flow's own classes count as what they are."""
    table = RunTable(["wait", "pause", "skip", "ok", "map"])
    table.apply(
        [
            plain("wait", "Retrying", due=NOON, message="not yet", state_class="Later"),
            plain("pause", "Paused", message="ask the boss", state_class="WaitsForBoss"),
            plain("skip", "Skipped", message="sunday", state_class="NotToday"),
            plain("ok", "Success", state_class="Approved"),
            TaskRunRecord("map", NOT_MAPPED, "Mapped", map_size=2, state_class="Fanned"),
            child("map", 0, "Failed", message="3 rows", state_class="VeryPoor"),
            child("map", 1, "Cached", state_class="Reused"),
        ]
    )
    tasks = tasks_of(table)
    assert {name: task["state"] for name, task in tasks.items()} == {
        "wait": "Retrying",
        "pause": "Paused",
        "skip": "Skipped",
        "ok": "Success",
        "map": "Mapped",
    }
    assert tasks["map"]["children"]["counts"] == {"Cached": 1, "Failed": 1}
    assert tasks["map"]["message"] == "[0] VeryPoor: 3 rows"
    counts = table.counts()
    assert counts.paused == ("pause",)
    assert counts.next_due is not None
    assert counts.next_due.name == "wait"


@given(record_sequences())
def test_index_ranges_name_the_children_of_each_state(sequence: tuple[list[str], list[TaskRunRecord]]) -> None:
    """Read back, the ranges give each state as many children as its count says, and Success is what is left."""
    names, records = sequence
    table = RunTable(names)
    table.apply(records)
    for entry in tasks_of(table).values():
        if children := entry.get("children"):
            seen: set[int] = set()
            for ranges in children["indexes"]:
                indexes = {i for a, b in parse_indexes(ranges["indexes"]) for i in range(a, b + 1)}
                assert len(indexes) == children["counts"][ranges["state"]]
                assert not indexes & seen
                seen |= indexes
            assert children["total"] - len(seen) == children["counts"].get("Success", 0)


@given(record_sequences())
def test_the_last_record_of_a_task_run_is_what_counts(sequence: tuple[list[str], list[TaskRunRecord]]) -> None:
    """A table made record by record equals one that is written down after each, so nothing stale is kept."""
    names, records = sequence
    at_once, one_by_one = RunTable(names), RunTable(names)
    at_once.apply(records)
    for record in records:
        one_by_one.apply([record])
        one_by_one.tasks_text(MAX_STATUS_BYTES)
        one_by_one.counts()
    assert one_by_one.tasks_text(MAX_STATUS_BYTES) == at_once.tasks_text(MAX_STATUS_BYTES)
    assert one_by_one.counts() == at_once.counts()


@given(record_sequences(), st.integers(2, 4000))
def test_any_sequence_fits_any_budget(sequence: tuple[list[str], list[TaskRunRecord]], budget: int) -> None:
    """The text is valid, never longer than allowed, and what stays is in the order of the flow."""
    names, records = sequence
    table = RunTable(names)
    table.apply(records)
    text = table.tasks_text(budget)
    assert len(text.encode()) <= budget
    kept = [entry["name"] for entry in json.loads(text)]
    assert kept == [name for name in tasks_of(table) if name in kept]


@given(record_sequences(), st.sampled_from(["Crashed", "Cancelled"]))
def test_a_closed_run_has_nothing_unfinished(sequence: tuple[list[str], list[TaskRunRecord]], state: str) -> None:
    """After the end without an engine no task run looks as if it could still go on, and none has been lost."""
    names, records = sequence
    table = RunTable(names)
    table.apply(records)
    before = table.counts()
    table.close(state, NOON)
    after = table.counts()
    assert after.finished == after.total == before.total
    assert after.next_due is None
    assert after.paused == ()
    assert all(set(task_run_states(entry)) <= FINISHED for entry in tasks_of(table).values())


@given(record_sequences())
def test_the_whole_status_is_what_the_api_takes(sequence: tuple[list[str], list[TaskRunRecord]]) -> None:
    """flow and tasks pass the models that the CRD is generated from."""
    names, records = sequence
    table = RunTable(names)
    table.apply(records)
    counts = table.counts()
    summary = current_summary(counts, engine_state="Running")
    flow = flow_document(summary, counts, run_count=1, attempt=2, holder=HOLDER)
    status = FlowRunStatus.model_validate({"flow": flow, "tasks": json.loads(table.tasks_text(MAX_STATUS_BYTES))})
    assert status.flow is not None
    assert status.flow.holder is not None
    assert status.flow.holder.scheduler_id == HOLDER.scheduler_id


def test_a_run_in_the_middle_reads_as_people_expect() -> None:
    """Progress, counts and message of a run with mapped children that are at work."""
    table = RunTable(["extract", "summarise", "load"])
    table.apply(
        [plain("extract", "Success", start_time=NOON, end_time=NOON + 2.5, run_count=2), mapped("summarise", 30)]
    )
    table.apply([child("summarise", i, "Success", start_time=NOON, end_time=NOON + i) for i in range(12)])
    table.apply([child("summarise", i, "Running", start_time=NOON) for i in range(12, 16)])
    counts = table.counts()
    summary = current_summary(counts, engine_state="Running")
    flow = flow_document(summary, counts, run_count=1, attempt=1, holder=HOLDER)
    assert flow["progress"] == "13/32"
    assert flow["message"] == "waiting for 4 of 32 task runs"
    assert flow["counts"] == {"Success": 13, "Running": 4, "Pending": 15}
    assert tasks_of(table) == {
        "extract": {
            "name": "extract",
            "state": "Success",
            "startTime": "2026-01-01T12:00:00Z",
            "completionTime": "2026-01-01T12:00:02Z",
            "runCount": 2,
        },
        "summarise": {
            "name": "summarise",
            "state": "Mapped",
            "startTime": "2026-01-01T12:00:00Z",
            "children": {
                "total": 30,
                "counts": {"Success": 12, "Running": 4, "Pending": 14},
                "indexes": [{"state": "Running", "indexes": "12-15"}, {"state": "Pending", "indexes": "16-29"}],
            },
        },
        "load": {"name": "load", "state": "Pending"},
    }


def test_a_wait_for_a_retry_names_task_and_time() -> None:
    """The earliest due task run is named, beside what is running; one that has begun again is not."""
    table = RunTable(["a", "b", "c"])
    table.apply([plain("a", "Running"), plain("b", "Retrying", due=NOON + 60), mapped("c", 3)])
    table.apply([child("c", 1, "Retrying", due=NOON + 5)])
    message = current_summary(table.counts(), engine_state="Running").message
    assert message == "waiting for 1 of 5 task runs; c[1] is retried at 2026-01-01T12:00:05Z"
    table.apply([child("c", 1, "Running"), plain("a", "Success")])
    table.apply([child("c", 1, "Success")])
    message = current_summary(table.counts(), engine_state="Running").message
    assert message == "b is retried at 2026-01-01T12:01:00Z"


def test_a_paused_run_says_who_waits() -> None:
    """Paused is the engine's word; the message names the task runs that wait for somebody."""
    table = RunTable([f"t{i}" for i in range(7)])
    table.apply([plain(f"t{i}", "Paused") for i in range(7)])
    summary = current_summary(table.counts(), engine_state="Paused")
    assert (summary.state, summary.reason) == ("Paused", "WaitingForInput")
    assert summary.message == "waiting for input: t0, t1, t2, t3, t4, …"


def test_failures_come_with_text_causes_first() -> None:
    """Ten tasks tell what went wrong; a failed trigger gives its place up to a failure of its own."""
    names = [f"t{i:02}" for i in range(25)]
    table = RunTable(names)
    table.apply([plain(name, "TriggerFailed", message="Trigger was all_successful") for name in names[:12]])
    table.apply([plain(name, "Failed", message=f"no rows in {name}", traceback="Traceback…") for name in names[12:20]])
    told = {name for name, entry in tasks_of(table).items() if "message" in entry}
    assert told == {"t00", "t01", *names[12:20]}
    table.apply([plain(name, "Failed", message="late") for name in names[20:]])
    told = {name for name, entry in tasks_of(table).items() if "message" in entry}
    assert told == set(names[12:22])


def test_the_first_failed_child_speaks_for_its_task() -> None:
    """A mapped task shows the text of one child, with its index; once that child is retried, the text is gone."""
    table = RunTable(["m"])
    table.apply([mapped("m", 5), child("m", 3, "Failed", message="ValueError: no rows", traceback="Traceback…")])
    table.apply([child("m", 1, "Failed", message="another")])
    assert tasks_of(table)["m"]["message"] == "[3] ValueError: no rows"
    table.apply([child("m", 3, "Retrying", due=NOON)])
    assert "message" not in tasks_of(table)["m"]


def test_the_first_cause_is_named_for_the_whole_run() -> None:
    """What a person reads of a failed run names the task run that failed first, and no trigger that follows from it."""
    table = RunTable(["a", "m", "b"])
    assert table.first_failure() == ""
    table.apply([plain("b", "TriggerFailed", message="Trigger was all_successful")])
    assert table.first_failure() == ""
    table.apply([mapped("m", 5), child("m", 3, "Failed", message="ValueError: no rows")])
    table.apply([plain("a", "Failed", message="late")])
    assert table.first_failure() == "m[3]: ValueError: no rows"
    assert "The first failure: m[3]: ValueError" in final_summary("Failed", "It failed.", table.first_failure()).message
    table.apply([child("m", 3, "Success")])
    assert table.first_failure() == "a: late"


def test_text_is_cut_and_cleaned() -> None:
    """A message keeps its beginning, a traceback its end; control characters and lone surrogates are replaced."""
    table = RunTable(["a", "b"])
    table.apply([plain("a", "Failed", message="é" * 5000, traceback="x" * 9000 + "the end\n")])
    table.apply([plain("b", "Failed", message="nul \x00 escape \x1b[31m surrogate \ud800 tab\t", traceback="")])
    tasks = tasks_of(table)
    assert len(tasks["a"]["message"].encode()) <= 1024
    assert tasks["a"]["message"].startswith("éé")
    assert len(tasks["a"]["traceback"].encode()) <= 4096
    assert tasks["a"]["traceback"].endswith("xthe end\n")
    assert tasks["b"]["message"] == "nul \ufffd escape \ufffd[31m surrogate \ufffd tab\t"


def test_what_matters_stays_when_the_budget_is_short() -> None:
    """Failed before paused before running before retrying before the others; Pending goes first."""
    order = ["Failed", "Paused", "Running", "Retrying", "Success", "Pending"]
    names = [f"task-{i:03}" for i in range(600)]
    table = RunTable(names)
    states = {name: order[i % len(order)] for i, name in enumerate(names)}
    table.apply([plain(name, state) for name, state in states.items()])
    for budget in (8_000, 15_000, 22_000):
        kept = tasks_of(table, budget)
        worst = max(order.index(states[name]) for name in kept)
        for name, state in states.items():
            if order.index(state) < worst:
                assert name in kept
    assert not any(states[name] == "Pending" for name in tasks_of(table, 15_000))


def test_index_ranges_go_before_tasks_do() -> None:
    """Mapped tasks keep their counts when there is no room for all ranges; important ones keep their ranges longest."""
    names = [f"m{i}" for i in range(5)]
    table = RunTable([*names, *(f"t{i:03}" for i in range(100))])
    for name in names:
        table.apply([mapped(name, 4000)])
        table.apply([child(name, i, "Running") for i in range(0, 4000, 2)])
    table.apply([child("m3", 1, "Failed", message="no")])
    kept = tasks_of(table, 16_000)
    assert len(kept) == 105
    assert "indexes" in kept["m3"]["children"]
    bare = [name for name in names if "indexes" not in kept[name]["children"]]
    assert bare
    assert all(kept[name]["children"]["counts"]["Running"] == 2000 for name in bare)


@pytest.mark.parametrize("order", ["scattered", "in turn"])
def test_a_hundred_thousand_children_fit(order: str) -> None:
    """Every child in a state of its own, in the worst order: still below the budget, each text within its bounds."""
    size = 100_000
    table = RunTable(["before", "many", "after"])
    table.apply([mapped("many", size)])
    rng = random.Random(7)
    indexes = list(range(size))
    if order == "scattered":
        rng.shuffle(indexes)
    states = ["Success", "Running", "Failed", "Retrying", "Skipped", "Cached", "TriggerFailed", "Pending", "Cancelled"]
    table.apply(child("many", i, states[i % len(states)], message="boom" * 500, traceback="t" * 5000) for i in indexes)
    text = table.tasks_text(MAX_STATUS_BYTES)
    assert len(text.encode()) < MAX_STATUS_BYTES
    children = TaskStatus.model_validate(json.loads(text)[1]).children
    assert children is not None
    assert children.total == sum(children.counts.values()) == size
    assert all(entry.truncated for entry in children.indexes)


def test_writing_down_again_costs_nothing_when_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are rendered once for each change, however often they are written."""
    rendered: list[str] = []
    real = table_module.render
    monkeypatch.setattr(
        table_module, "render", lambda entry, failure: rendered.append(entry.name) or real(entry, failure)
    )
    table = RunTable([f"t{i}" for i in range(50)])
    table.apply([mapped("t1", 1000)])
    for _ in range(5):
        table.tasks_text(MAX_STATUS_BYTES)
    assert len(rendered) == 50
    table.apply([child("t1", 7, "Running")])
    table.tasks_text(MAX_STATUS_BYTES)
    assert rendered[50:] == ["t1"]


@settings(max_examples=30)
@given(st.sampled_from(sorted(KNOWN)), st.text(max_size=50))
def test_every_final_state_has_a_summary(state: str, message: str) -> None:
    """Whatever the engine ends with, the run is over and carries the message."""
    summary = final_summary(state, message)
    assert summary.state not in ("Running", "Paused")
    assert summary.message == message


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("Success", ("Success", "Succeeded")),
        ("Failed", ("Failed", "TaskFailed")),
        ("Cancelled", ("Cancelled", "Terminated")),
        ("TimedOut", ("Failed", "TimedOut")),
        ("Crashed", ("Crashed", "ClusterLost")),
    ],
)
def test_final_states_and_reasons(state: str, expected: tuple[str, str]) -> None:
    """The engine's word for the end, and what status.flow says."""
    summary: RunSummary = final_summary(state, "")
    assert (summary.state, summary.reason) == expected


def test_a_map_that_grows_keeps_what_its_children_did() -> None:
    """A task that is mapped again, over more elements, adds Pending children and keeps the states of the others."""
    table = RunTable(["m"])
    table.apply([mapped("m", 2), child("m", 0, "Success"), mapped("m", 4)])
    assert tasks_of(table)["m"]["children"]["counts"] == {"Success": 1, "Pending": 3}
    table.apply([TaskRunRecord("m", NOT_MAPPED, "TriggerFailed", message="Trigger failed")])
    assert "children" not in tasks_of(table)["m"]
    assert table.counts().by_state == {"TriggerFailed": 1}


@given(st.permutations(["Running", "Success"]), st.sampled_from([NOT_MAPPED, 2]))
def test_a_beginning_that_comes_after_its_end_is_no_news(order: list[str], index: int) -> None:
    """Beginnings and ends take different ways from the worker; either order leaves the same state."""
    table = RunTable(["m"])
    table.apply([TaskRunRecord("m", index, state, visit=3, run_count=1) for state in order])
    assert table.counts().by_state.get("Running") is None
    table.apply([TaskRunRecord("m", index, "Running", visit=4, run_count=2)])
    assert table.counts().by_state["Running"] == 1
