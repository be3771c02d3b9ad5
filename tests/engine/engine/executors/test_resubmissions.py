"""How often bodies run when worker processes die: as often as it is announced, and no more than the documents say."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowkiln import Flow, task, unmapped
from flowkiln.engine.executors import DaskExecutor
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.states.records import FlowRunRecord, TaskRunRecord
from flowkiln.triggers import all_finished
from tests.engine.engine.recorder import Recorder

LARGE = 100_000
"""Bytes of a result that does not travel with its unit's report."""


class CallLog:
    """A file in which bodies note that they run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, word: str) -> None:
        """Write a line."""
        with self.path.open("a") as file:
            file.write(word + "\n")

    def counts(self) -> Counter[str]:
        """How often each word was written."""
        return Counter(self.path.read_text().split())

    def wait_for(self, word: str, times: int = 1) -> None:
        """Return once a word has been written so often."""
        until = time.monotonic() + 240
        while not self.path.exists() or self.counts()[word] < times:
            assert time.monotonic() < until, f"nobody wrote {word}"
            time.sleep(0.02)


@pytest.fixture
def call_log(tmp_path: Path) -> CallLog:
    """Make an empty one."""
    return CallLog(tmp_path / "call_log")


@pytest.fixture(scope="module", params=[(1, 1), (2, 1), (1, 2)], ids=["one worker", "two workers", "two threads"])
def processes(request: pytest.FixtureRequest) -> Iterator[DaskExecutor]:
    """Start a cluster whose workers may be killed."""
    workers, threads = request.param
    executor = DaskExecutor(local_processes=True, n_workers=workers, threads_per_worker=threads)
    with executor.start():
        yield executor


@task
def end_process(call_log: CallLog, seconds: float) -> None:
    """End the worker process, after some time."""
    call_log.note("kill")
    time.sleep(seconds)
    os._exit(1)


@task
def innocent(call_log: CallLog, x: int) -> int:
    """Be queued beside it."""
    call_log.note(f"innocent-{x}")
    return x


@task(trigger=all_finished)
def count(*, pages: Any, killed: Any) -> int:
    """Use a result when its neighbours have done their worst."""
    return len(pages)


@pytest.mark.parametrize("seconds", [0.0, 0.3], ids=["at once", "later"])
def test_a_body_that_ends_its_process_runs_three_times(
    processes: DaskExecutor, call_log: CallLog, seconds: float
) -> None:
    """Also when it does so before its beginning was told; what was queued beside it runs well."""
    with Flow("killer") as flow:
        killed = end_process(call_log, seconds)
        mapped = innocent.map(x=list(range(6)), call_log=unmapped(call_log))
    recorder = Recorder()
    state = Conductor(flow, processes, observer=recorder, return_tasks=(killed, mapped)).run()
    assert type(state.result[killed]).__name__ == "Crashed"
    assert state.result[mapped].result == list(range(6))
    counts = call_log.counts()
    assert counts["kill"] == 3
    _assert_announced(recorder, "innocent", {n: counts[f"innocent-{n}"] for n in range(6)})


def _assert_announced(recorder: Recorder, name: str, ran: dict[int, int]) -> None:
    """Each run of a body but the first was announced: a record says that it runs again."""
    for index, times in ran.items():
        again = [r for r in recorder.of(name) if r.map_index == index and r.state == "Pending"]
        assert len(again) >= times - 1, (index, times)


def test_a_body_alone_runs_three_times(processes: DaskExecutor, call_log: CallLog) -> None:
    """Its visits are counted, and each new one is announced."""
    with Flow("alone") as flow:
        killed = end_process(call_log, 0.2)
    recorder = Recorder()
    state = Conductor(flow, processes, observer=recorder, return_tasks=(killed,)).run()
    assert type(state.result[killed]).__name__ == "Crashed"
    assert call_log.counts()["kill"] == 3
    records = recorder.of("end-process")
    assert [r.state for r in records] == ["Running", "Pending", "Running", "Pending", "Running", "Crashed"]
    assert len({r.visit for r in records if r.state == "Running"}) == 3
    assert {r.message for r in records if r.state == "Pending"} == {"Its worker died, so it runs again."}


@pytest.mark.parametrize(("size", "times"), [(3, 1), (LARGE, 2)], ids=["small", "large"])
def test_a_success_runs_again_only_if_its_result_is_lost_and_large(call_log: CallLog, size: int, times: int) -> None:
    """A small one is known; that a large one is lost is announced, and what waited for it gets it after all."""

    @task
    def pay() -> bytes:
        call_log.note("paid")
        return b"x" * size

    @task
    def kill_once() -> str:
        call_log.note("began")
        if call_log.counts()["began"] == 1:
            call_log.wait_for("done")
            os._exit(1)
        return "survived"

    with Flow("payments") as flow:
        paid = pay()
        killed = kill_once(upstream_tasks=[paid])
        counted = count(pages=paid, killed=killed)
    recorder = RecordingObserver(call_log)
    executor = DaskExecutor(local_processes=True, n_workers=1, threads_per_worker=1)
    state = Conductor(flow, executor, observer=recorder, return_tasks=(counted, killed)).run()
    assert state.result[counted].result == size
    assert state.result[killed].result == "survived"
    assert call_log.counts()["paid"] == times
    again = [r.message for r in recorder.of("pay") if r.state == "Pending"]
    assert again == ["Its result was lost with a worker, so it runs again."] * (times - 1)
    assert [r.visit for r in recorder.of("pay") if r.state == "Running"] == list(range(1, times + 1))


class RecordingObserver(Recorder):
    """Lets bodies wait until the driver has heard of the first success."""

    def __init__(self, call_log: CallLog) -> None:
        super().__init__()
        self._call_log = call_log

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Keep them, and note a success."""
        super().on_task_runs(records)
        if any((record.task, record.state) == ("pay", "Success") for record in records):
            self._call_log.note("done")


def test_a_wanted_result_that_is_lost_at_the_end_is_made_again(call_log: CallLog) -> None:
    """The worker dies between the end of the run and the fetching of its result."""

    @task
    def pay() -> bytes:
        call_log.note("paid")
        return b"x" * LARGE

    with Flow("payments") as flow:
        paid = pay()
    recorder = Recorder()
    executor = DaskExecutor(local_processes=True, n_workers=1, threads_per_worker=1)
    with executor.start() as client:
        conductor = Conductor(flow, executor, observer=Killing(recorder, client), return_tasks=(paid,))
        state = conductor.run()
    assert len(state.result[paid].result) == LARGE
    assert call_log.counts()["paid"] == 2
    assert [r.state for r in recorder.records] == ["Running", "Success", "Pending", "Running", "Success"]


class Killing:
    """Kills the one worker at the first success."""

    def __init__(self, recorder: Recorder, client: Any) -> None:
        self._recorder, self._client, self._has_killed = recorder, client, False

    def on_task_runs(self, records: Sequence[TaskRunRecord]) -> None:
        """Kill once."""
        self._recorder.on_task_runs(records)
        if not self._has_killed and any(record.state == "Success" for record in records):
            self._has_killed = True
            (pid,) = self._client.run(os.getpid).values()
            os.kill(pid, signal.SIGKILL)

    def on_flow_run(self, record: FlowRunRecord) -> None:
        """Of no interest here."""
