"""Read the plan, even one of an unknown version."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

from pydantic import ValidationError

from flowkiln.api.plan import Plan, PlanError, PlanRun


@dataclass(frozen=True, slots=True)
class UnusablePlan:
    """A plan of an unknown version, and its run."""

    run: PlanRun
    why: str


def read_plan(data: bytes) -> Plan | UnusablePlan:
    """Read a plan. Raise PlanError if it does not identify its run.

    The run is at the same place in every version, so an agent can always report.
    """
    try:
        return Plan.decode(data)
    except PlanError as error:
        try:
            run = PlanRun.model_validate(json.loads(gzip.decompress(data))["run"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, ValidationError):
            raise error from None
        return UnusablePlan(run, str(error))
