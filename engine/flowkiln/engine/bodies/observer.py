"""Tells who takes the output of bodies when a body begins and ends in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from flowkiln.common.run_facts import RunFacts


class BodyObserver(Protocol):
    """Is called in the thread of the body."""

    def began(self, facts: RunFacts) -> None:
        """Take that a body begins."""

    def ended(self, facts: RunFacts) -> None:
        """Take that a body that began has ended."""


_watch: BodyObserver | None = None
"""One for a process, as its standard output is."""


def current_body_observer() -> BodyObserver | None:
    """Return who is to be told; nobody as a rule."""
    return _watch


@contextmanager
def observing_bodies(watch: BodyObserver) -> Iterator[None]:
    """Tell `watch` of all bodies of this process, inside the block."""
    global _watch
    before, _watch = _watch, watch
    try:
        yield
    finally:
        _watch = before
