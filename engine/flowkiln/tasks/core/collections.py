"""The public path of collections as tasks."""

from flowkiln.core.values.collections import Dict, List, Set, Tuple

__all__ = ["Dict", "List", "Set", "Tuple"]
