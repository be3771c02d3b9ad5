"""Tasks that come with flowkiln."""

from flowkiln.common.lazy_modules import lazy_submodules

__getattr__, __dir__ = lazy_submodules(__name__, ["control_flow", "core"])
