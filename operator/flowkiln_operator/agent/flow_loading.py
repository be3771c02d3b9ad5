"""Build the flow from the plan; this is the first time that user code runs in the agent."""

from __future__ import annotations

import logging

from flowkiln.api.limits import MAX_MESSAGE
from flowkiln.api.plan import Plan
from flowkiln.api.reasons import FlowReason, FlowState
from flowkiln.common.exceptions import FlowLoadError
from flowkiln.common.tracebacks import user_traceback
from flowkiln.core.flow import Flow
from flowkiln_operator.agent.projection.flow_status import RunSummary
from flowkiln_operator.status.text import head, tail

logger = logging.getLogger("flowkiln.agent")


def load_flow(plan: Plan) -> Flow | RunSummary:
    """Return the flow, or the final summary if it cannot be built."""
    from flowkiln.loading import build_flow  # here, because this import allows user code

    try:
        return build_flow(plan.spec, plan.flow.name)
    except (Exception, SystemExit) as error:
        logger.error("the flow cannot be loaded", exc_info=error)
        return RunSummary(FlowState.FAILED, FlowReason.FLOW_LOAD_FAILED, describe_load_error(error))


def describe_load_error(error: BaseException) -> str:
    """Return the error in one sentence, followed by the end of its cause's traceback, if it fits.

    Errors found by the loading code have no cause and need no traceback: it would only show flowkiln's code.
    """
    found_by_us = isinstance(error, FlowLoadError)
    if found_by_us and error.__cause__ is None:
        return head(str(error), MAX_MESSAGE)
    sentence = head(str(error) or type(error).__name__, MAX_MESSAGE // 2)
    if not found_by_us:
        sentence = head(f"{type(error).__name__}: {sentence}", MAX_MESSAGE // 2)
    frames = user_traceback(error.__cause__ or error).strip()
    room = MAX_MESSAGE - len(sentence.encode()) - 1
    return f"{sentence}\n{tail(frames, room)}"
