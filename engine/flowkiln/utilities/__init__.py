"""Helpers for authors of flows."""

from flowkiln.common.lazy_modules import lazy_submodules

__getattr__, __dir__ = lazy_submodules(
    __name__,
    [
        "collections",
        "configuration",
        "context",
        "debug",
        "exceptions",
        "logging",
        "notifications",
        "serialization",
        "tasks",
    ],
)
