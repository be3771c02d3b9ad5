"""Notify an observer when bodies start and end in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from flowkiln.common.run_facts import RunFacts


class BodyObserver(Protocol):
    """An observer of bodies, called in the thread of the body."""

    def began(self, facts: RunFacts) -> None:
        """Handle the start of a body."""

    def ended(self, facts: RunFacts) -> None:
        """Handle the end of a body that started."""


_watch: BodyObserver | None = None
"""One per process, like standard output."""


def current_body_observer() -> BodyObserver | None:
    """Return the current observer, if any."""
    return _watch


@contextmanager
def observing_bodies(watch: BodyObserver) -> Iterator[None]:
    """Notify `watch` of all bodies of this process inside the block."""
    global _watch
    before, _watch = _watch, watch
    try:
        yield
    finally:
        _watch = before
