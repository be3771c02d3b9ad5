"""The flow that is being built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowkiln.common.context import context

if TYPE_CHECKING:
    from flowkiln.core.flow import Flow


def active_flow(flow: Flow | None, complaint: str) -> Flow:
    """Give `flow`, else the flow of the enclosing `with` block.

    Raises:
        ValueError: neither exists; with `complaint` as the message.
    """
    found: Flow | None = context.get("flow") if flow is None else flow
    if found is None:
        raise ValueError(complaint)
    return found
