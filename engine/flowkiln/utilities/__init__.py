"""Small helpers that the graph and the engine share; each module holds one thing."""

from flowkiln.utilities.lazy_modules import lazy_submodules

__getattr__, __dir__ = lazy_submodules(
    __name__,
    [
        "collections",
        "configuration",
        "context",
        "debug",
        "exceptions",
        "lazy_modules",
        "logging",
        "notifications",
        "retries",
        "serialization",
        "tasks",
    ],
)
