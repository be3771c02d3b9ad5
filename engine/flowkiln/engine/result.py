"""The public path of results."""

from flowkiln.states.result import NoResult, NoResultType, Result

__all__ = ["NoResult", "NoResultType", "Result"]
