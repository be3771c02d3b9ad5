"""Records for tests: short to write, and hypothesis strategies for sequences of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from flowkiln.states.kinds import KNOWN
from flowkiln.states.records import NOT_MAPPED, TaskRunRecord

NOON = 1_767_268_800.0
"""2026-01-01T12:00:00Z."""
PLAIN_STATES = sorted(KNOWN - {"Mapped"})
"""Every state but Mapped."""


def plain(task: str, state: str, **known: Any) -> TaskRunRecord:
    """A record of a task run that is not mapped."""
    return TaskRunRecord(task=task, map_index=NOT_MAPPED, state=state, **known)


def child(task: str, index: int, state: str, **known: Any) -> TaskRunRecord:
    """A record of one mapped child."""
    return TaskRunRecord(task=task, map_index=index, state=state, **known)


def mapped(task: str, size: int) -> TaskRunRecord:
    """A record of a mapped parent."""
    return TaskRunRecord(task=task, map_index=NOT_MAPPED, state="Mapped", map_size=size, start_time=NOON, end_time=NOON)


_texts = st.text(max_size=3000)
_times = st.none() | st.floats(0, 4e9)


@st.composite
def record_sequences(draw: st.DrawFn) -> tuple[list[str], list[TaskRunRecord]]:
    """Names of the tasks of a flow, and records that their runs could leave; also ones no engine would send."""
    names = draw(st.lists(st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True), max_size=6, unique=True))
    task = st.sampled_from(names) if names else st.just("late")
    states = st.sampled_from(PLAIN_STATES)
    any_record = st.builds(
        TaskRunRecord,
        task=task | st.just("late"),
        map_index=st.just(NOT_MAPPED) | st.integers(0, 20),
        state=states,
        message=_texts,
        traceback=_texts,
        start_time=_times,
        end_time=_times,
        due=_times,
        run_count=st.integers(0, 5),
        visit=st.just(0),
        map_size=st.none(),
        worker=st.just(""),
        state_class=st.sampled_from(["", "QualityFailed"]),
    )
    parents = st.builds(mapped, task, st.integers(0, 30))
    return names, draw(st.lists(any_record | parents, max_size=40))
