"""Load flows from Python files, YAML documents and resolved specs.

This package imports user code. The operator's controller must therefore never import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowkiln.common.exceptions import FlowLoadError, InvalidSpecError

if TYPE_CHECKING:
    from flowkiln.loading.build import build_flow
    from flowkiln.loading.flow_files import load_file
    from flowkiln.loading.loaded_flow import LoadedFlow

__all__ = ["FlowLoadError", "InvalidSpecError", "LoadedFlow", "build_flow", "load_file"]


def __getattr__(name: str) -> Any:
    # Imported lazily: an agent only builds flows, and a worker needs none of these modules.
    if name == "build_flow":
        from flowkiln.loading.build import build_flow

        return build_flow
    if name == "LoadedFlow":
        from flowkiln.loading.loaded_flow import LoadedFlow

        return LoadedFlow
    if name == "load_file":
        from flowkiln.loading.flow_files import load_file

        return load_file
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
