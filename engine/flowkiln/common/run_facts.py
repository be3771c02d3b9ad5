"""The task run of the calling thread, also in threads that a body started.

`flowkiln.context` has separate content in each thread, so a thread that a body starts has an empty context. Its log
records and output still belong to the body: `follow_threads` passes the facts of the task run, and nothing else, to
threads and to calls submitted to thread pools.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from flowkiln.common.context import context

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


class RunFacts(NamedTuple):
    """The task run of log records. Unknown values, as outside a run, are None."""

    run: str | None
    task: str | None
    map_index: int | None
    run_count: int | None


_inherited: ContextVar[RunFacts | None] = ContextVar("flowkiln_inherited_run_facts", default=None)
_starts_for_pool: ContextVar[bool] = ContextVar("flowkiln_starts_for_pool", default=False)
_following = threading.Lock()


def run_facts() -> RunFacts:
    """Return the facts of the task run of the calling thread."""
    facts = RunFacts(
        context.get("run_id") or context.get("flow_name"),
        context.get("task_local_id") or context.get("task_name"),
        context.get("map_index"),
        context.get("task_run_count"),
    )
    if facts.task is None and facts.run is None:
        return _inherited.get() or facts
    return facts


def follow_threads() -> None:
    """Pass the facts of a task run to the threads that it starts, from now on in this process.

    Wraps `Thread.start` and `ThreadPoolExecutor.submit` once. Outside task runs both are unchanged.
    """
    # Only a program that runs flows needs thread pools.
    from concurrent.futures import ThreadPoolExecutor

    with _following:
        if not hasattr(threading.Thread.start, "_follows"):
            threading.Thread.start = _following_start(threading.Thread.start)  # type: ignore[method-assign, assignment]
            ThreadPoolExecutor.submit = _following_submit(ThreadPoolExecutor.submit)  # type: ignore[method-assign]


def _following_start(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    @wraps(start)
    def start_with_facts(thread: threading.Thread) -> None:
        facts = run_facts()
        if facts.task is not None and not _starts_for_pool.get():
            run = thread.run

            def run_with_facts() -> None:
                vars(thread).pop("run", None)
                _inherited.set(facts)
                run()

            thread.run = run_with_facts  # type: ignore[method-assign]
        start(thread)

    start_with_facts._follows = True  # type: ignore[attr-defined]
    return start_with_facts


def _following_submit(submit: Callable[..., Future[Any]]) -> Callable[..., Future[Any]]:
    @wraps(submit)
    def submit_with_facts(
        pool: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        facts = run_facts()
        if facts.task is None:
            return submit(pool, fn, *args, **kwargs)

        def call_with_facts() -> Any:
            before = _inherited.set(facts)
            try:
                return fn(*args, **kwargs)
            finally:
                _inherited.reset(before)

        # A pool thread later runs other calls: the facts belong to this call, not to the thread.
        before = _starts_for_pool.set(True)
        try:
            return submit(pool, call_with_facts)
        finally:
            _starts_for_pool.reset(before)

    return submit_with_facts
