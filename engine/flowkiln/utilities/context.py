"""The public path of the context: `flowkiln.context` is the Context instance, and this is a module."""

from flowkiln.common.context import Context, context

__all__ = ["Context", "context"]
