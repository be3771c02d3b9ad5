"""From what people write to a `flowkiln.Flow`: Python files, YAML documents and resolved specs.

This package imports user code. The operator's controller must therefore never import it.
"""

from __future__ import annotations

from flowkiln.loading.build import build_flow
from flowkiln.loading.files import LoadedFlow, load_file
from flowkiln.utilities.exceptions import FlowLoadError, InvalidSpecError

__all__ = ["FlowLoadError", "InvalidSpecError", "LoadedFlow", "build_flow", "load_file"]
