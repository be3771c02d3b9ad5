"""From what people write to a `flowkiln.Flow`: Python files, YAML documents and resolved specs.

This package imports user code. The operator's controller must therefore never import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkiln.utilities.exceptions import FlowLoadError, InvalidSpecError

if TYPE_CHECKING:
    from flowkiln.loading.build import build_flow
    from flowkiln.loading.files import LoadedFlow, load_file

__all__ = ["FlowLoadError", "InvalidSpecError", "LoadedFlow", "build_flow", "load_file"]


def __getattr__(name: str) -> Any:
    # Documents bring the whole validation with them: an agent, which only builds, and a worker need not pay for it.
    if name == "build_flow":
        from flowkiln.loading.build import build_flow

        return build_flow
    if name in ("LoadedFlow", "load_file"):
        from flowkiln.loading import files

        return getattr(files, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
