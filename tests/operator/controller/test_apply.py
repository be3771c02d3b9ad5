"""Carrying out what was decided."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import Mock

import pytest

from flowkiln_operator.controller.actions import RequeueAt
from flowkiln_operator.controller.apply import apply
from flowkiln_operator.controller.memory import Memory
from tests.operator.builders import at, make_flow_run


@pytest.mark.parametrize(("asked", "given"), [(7, 7), (7.25, 8)])
async def test_a_look_is_taken_when_a_whole_second_has_come(asked: float, given: float) -> None:
    """A look sees the time in whole seconds: at 7.25 it would find 7, and look again at once, and again."""
    later = (RequeueAt(at(asked)), RequeueAt(at(60) + timedelta(days=1)))
    assert await apply(Mock(), Memory(), Mock(), make_flow_run().snapshot(), later) == at(given)
