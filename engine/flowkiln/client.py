"""Secrets of the person or pod that runs a flow."""

from __future__ import annotations

from typing import Any

from flowkiln.common.configuration import config
from flowkiln.common.context import context


class Secret:
    """A named secret, read when needed: `Secret("TOKEN").get()`. Works inside tasks.

    The value comes from `context.secrets`, which a `with context(secrets={...})` or the configuration
    (`FLOWKILN__CONTEXT__SECRETS__TOKEN=…`) fills.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self) -> Any:
        """Return the secret's value, or None if there is none.

        Raises:
            ValueError: `config.cloud.use_local_secrets` is false, and there is no other source.
        """
        if not config.get_nested("cloud.use_local_secrets", True):
            raise ValueError(
                f"Secret {self.name!r} cannot be read: config.cloud.use_local_secrets is false, "
                "and flowkiln has no other source of secrets."
            )
        secrets = context.get("secrets") or {}
        return secrets.get(self.name)

    def __repr__(self) -> str:
        return f"<Secret: {self.name}>"
