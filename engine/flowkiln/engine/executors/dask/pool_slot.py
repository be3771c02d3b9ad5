"""The slot of a thread in the pool of a Dask worker, lent to another thread that runs a body for it.

Dask identifies the running task by its thread, and removes a thread from the pool while it waits for other tasks
(`worker_client`, `secede`). The thread of the body needs the thread-local state of the pool thread.
"""

from __future__ import annotations

import threading

from distributed.threadpoolexecutor import thread_state as pool_state
from distributed.worker import thread_state as task_state


class PoolSlot:
    """The slot of the creating thread; threads outside a pool have none."""

    def __init__(self) -> None:
        # Two thread-local objects of Dask: one of the pool, and one of the worker for the running task.
        self._states = [(each, dict(vars(each))) for each in (pool_state, task_state)]
        self._pool = vars(pool_state).get("executor")
        self._lender = threading.current_thread()
        self._borrower: threading.Thread | None = None

    def take(self) -> None:
        """Take the slot of the creating thread in the pool."""
        self._borrower = threading.current_thread()
        for each, values in self._states:
            vars(each).update(values)
        self._replace(self._lender, self._borrower)

    def give_back(self) -> None:
        """Return to the pool, unless the body has left it and another thread has the slot."""
        if self._pool is not None and self._borrower is not None and not self._replace(self._borrower, self._lender):
            pool_state.proceed = False

    def forget(self) -> None:
        """Leave the pool, if the body rejoined it after it was left behind."""
        current = threading.current_thread()
        if self._pool is not None and current in self._pool._threads:
            self._pool._threads.discard(current)
            self._pool._adjust_thread_count()

    def _replace(self, old: threading.Thread, new: threading.Thread) -> bool:
        # Without the pool's lock, which the pool holds during shutdown until its threads have ended.
        if self._pool is None or old not in self._pool._threads:
            return False
        self._pool._threads.remove(old)
        self._pool._threads.add(new)
        return True
