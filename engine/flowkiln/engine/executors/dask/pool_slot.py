"""The place of a thread in the pool of a Dask worker, for another thread that runs a body for it.

Dask knows by the thread which task runs, and takes a thread out of the pool that waits for other tasks
(`worker_client`, `secede`). What it keeps for the thread of the pool must be there for the thread of the body.
"""

from __future__ import annotations

import threading

from distributed.threadpoolexecutor import thread_state as pool_state
from distributed.worker import thread_state as task_state


class PoolSlot:
    """The place of the thread that makes it; threads that belong to no pool have none to give."""

    def __init__(self) -> None:
        # Two of Dask's: what the pool keeps for each thread, and the worker for the one that runs a task.
        self._states = [(each, dict(vars(each))) for each in (pool_state, task_state)]
        self._pool = vars(pool_state).get("executor")
        self._lender = threading.current_thread()
        self._borrower: threading.Thread | None = None

    def take(self) -> None:
        """Be in the pool, instead of the thread that made this."""
        self._borrower = threading.current_thread()
        for each, values in self._states:
            vars(each).update(values)
        self._replace(self._lender, self._borrower)

    def give_back(self) -> None:
        """Be in the pool again; unless the body has left it, and somebody else took the place."""
        if self._pool is not None and self._borrower is not None and not self._replace(self._borrower, self._lender):
            pool_state.proceed = False

    def forget(self) -> None:
        """Leave the pool for good, where a body joined it again after it had been left behind."""
        current = threading.current_thread()
        if self._pool is not None and current in self._pool._threads:
            self._pool._threads.discard(current)
            self._pool._adjust_thread_count()

    def _replace(self, old: threading.Thread, new: threading.Thread) -> bool:
        # Without the pool's lock: while it shuts down, it holds that until its threads have ended.
        if self._pool is None or old not in self._pool._threads:
            return False
        self._pool._threads.remove(old)
        self._pool._threads.add(new)
        return True
