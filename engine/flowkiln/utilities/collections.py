"""The public path of mappings with attribute access, and of helpers for nested collections."""

from flowkiln.common.collections import DotDict, as_nested_dict, flatten_seq, merge_dicts

__all__ = ["DotDict", "as_nested_dict", "flatten_seq", "merge_dicts"]
