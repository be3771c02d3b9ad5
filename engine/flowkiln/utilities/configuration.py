"""Change settings temporarily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flowkiln.common.configuration import Config, config


@contextmanager
def set_temporary_config(settings: Mapping[str, Any]) -> Iterator[None]:
    """Set dotted keys of `flowkiln.config` inside a `with` block; nestable.

    Everything is restored on exit, in place: `flowkiln.config` and its sections stay the same objects.
    """
    before = [(level, dict(level)) for level in _levels(config)]
    try:
        for key, value in settings.items():
            config.set_nested(key, value)
        yield
    finally:
        for level, items in before:
            level.clear()
            level.update(items)


def _levels(level: Config) -> Iterator[Config]:
    """Yield a level of settings and all levels in it."""
    yield level
    for value in level.values():
        if isinstance(value, Config):
            yield from _levels(value)
