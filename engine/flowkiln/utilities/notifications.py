"""The public path of state handlers that are made from callables."""

from flowkiln.states.handlers import callback_factory

__all__ = ["callback_factory"]
