"""Reading the plan, also one that this version of flowkiln does not understand."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

from pydantic import ValidationError

from flowkiln.api.plan import Plan, PlanError, PlanRun


@dataclass(frozen=True, slots=True)
class UnusablePlan:
    """A plan that cannot be carried out here, and the run that has to be told so."""

    run: PlanRun
    why: str


def read_plan(data: bytes) -> Plan | UnusablePlan:
    """Read a plan. Raises PlanError if it does not even say which run it is for.

    Who the run is stands at the same place in every version, so that an agent can always report.
    """
    try:
        return Plan.decode(data)
    except PlanError as error:
        try:
            run = PlanRun.model_validate(json.loads(gzip.decompress(data))["run"])
        except (OSError, EOFError, ValueError, KeyError, TypeError, ValidationError):
            raise error from None
        return UnusablePlan(run, str(error))
