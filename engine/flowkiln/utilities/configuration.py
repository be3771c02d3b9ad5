"""Change settings temporarily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flowkiln.common.configuration import config


@contextmanager
def set_temporary_config(settings: Mapping[str, Any]) -> Iterator[None]:
    """Set dotted keys of `flowkiln.config` inside a `with` block; nestable.

    Everything is restored on exit, in place: `flowkiln.config` stays the same object.
    """
    before = config.copy()
    try:
        for key, value in settings.items():
            config.set_nested(key, value)
        yield
    finally:
        config.clear()
        config.update(before)
