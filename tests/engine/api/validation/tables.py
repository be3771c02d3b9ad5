"""Short ways to say a flow and to ask what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from flowkiln.api.validation import check_flow, check_flow_run, parse_flow_run_spec, parse_flow_spec

LOAD = {"name": "load", "function": "weather:load"}


def flow_problems(document: dict[str, Any]) -> list[str]:
    """Read a flow and check it, as the operator does; give the sentences."""
    spec, problems = parse_flow_spec(document)
    return [problem.sentence for problem in (problems if spec is None else check_flow(spec))]


def problems_of_tasks(*tasks: dict[str, Any], **parts: Any) -> list[str]:
    """Give the sentences about a flow of these tasks; a task without function or command gets a function."""
    runnable = [task if {"function", "command"} & task.keys() else {"function": "a:b", **task} for task in tasks]
    return flow_problems({"tasks": runnable, **parts})


def run_problems(document: dict[str, Any], flow: dict[str, Any] | None = None) -> list[str]:
    """Read a run and check it against its flow; give the sentences."""
    run, problems = parse_flow_run_spec(document)
    if run is None:
        return [problem.sentence for problem in problems]
    spec = None
    if flow is not None:
        spec, flow_errors = parse_flow_spec(flow)
        assert not flow_errors
    return [problem.sentence for problem in check_flow_run(run, spec)]


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls of functions that some work makes, Python's and C's."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
