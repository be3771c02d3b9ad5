"""Tasks made from operators, collections, functions and constants."""

from flowkiln.common.lazy_modules import lazy_submodules

__getattr__, __dir__ = lazy_submodules(__name__, ["collections", "command", "constants", "function", "operators"])
