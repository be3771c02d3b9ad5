"""A task's function with the inputs of the spec that are not edges of the graph."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from flowkiln.api.flow import SecretKeyRef
from flowkiln.loading.secrets import read_secret


class BoundFunction:
    """Call `function` with constants and secrets added to its keywords.

    It holds references to secrets only; their values exist while the function is called. For `inspect`, the bound
    arguments are gone from the signature, so that edges are checked against what is left.
    """

    def __init__(
        self, function: Callable[..., Any], constants: Mapping[str, Any], secrets: Mapping[str, SecretKeyRef]
    ) -> None:
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self.constants = dict(constants)
        self.secrets = dict(secrets)

    @property
    def __signature__(self) -> inspect.Signature:
        signature = inspect.signature(self.__wrapped__)
        bound = {*self.constants, *self.secrets}
        return signature.replace(
            parameters=[parameter for name, parameter in signature.parameters.items() if name not in bound]
        )

    def __call__(self, /, **inputs: Any) -> Any:
        """Read the secrets, then call the function with copies of the constants, which it may change."""
        constants = copy.deepcopy(self.constants)
        secrets = {name: read_secret(reference) for name, reference in self.secrets.items()}
        return self.__wrapped__(**constants, **secrets, **inputs)

    def __repr__(self) -> str:
        return f"<{self.__name__} with {', '.join([*self.constants, *self.secrets])}>"
