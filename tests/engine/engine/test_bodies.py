"""Bodies of a process, and the runs that are over."""

from __future__ import annotations

import pytest

from flowkiln.engine.bodies import registry


def test_only_the_latest_runs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that serves runs for months does not grow with each of them."""
    monkeypatch.setattr(registry, "_over", {})
    monkeypatch.setattr(registry, "RUNS_REMEMBERED", 3)
    for number in (0, 1, 2, 1, 3):
        registry.interrupt(f"run-{number}")
    assert [number for number in range(4) if registry.is_over(f"run-{number}")] == [1, 2, 3]
