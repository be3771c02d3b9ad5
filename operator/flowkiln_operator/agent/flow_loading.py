"""Building the flow from the plan: the first moment at which user code runs here."""

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
    """The flow, or how the run ends because it cannot be built."""
    from flowkiln.loading import build_flow  # here, since it is the one import that takes the user's code along

    try:
        return build_flow(plan.spec, plan.flow.name)
    except (Exception, SystemExit) as error:
        logger.error("the flow cannot be loaded", exc_info=error)
        return RunSummary(FlowState.FAILED, FlowReason.FLOW_LOAD_FAILED, describe_load_error(error))


def describe_load_error(error: BaseException) -> str:
    """What is wrong in one sentence, then the end of the traceback of its cause as far as there is room.

    What loading itself found wrong has no cause, and its sentence says all: a traceback would only show our own code.
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
