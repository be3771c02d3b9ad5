"""Help for debugging."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flowkiln.common.context import context


@contextmanager
def raise_on_exception() -> Iterator[None]:
    """Make runs inside the block raise the errors and signals of tasks, triggers and handlers."""
    with context(raise_on_exception=True):
        yield
