"""The plan on its way from operator to agent."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from flowkiln.api.flow import FlowSpec, TaskInput, TaskSpec
from flowkiln.api.plan import MAX_DOCUMENT_BYTES, Plan, PlanError, PlanFlow, PlanRun

from .documents import FULL_FLOW

RUN = PlanRun(namespace="team", name="weather-2015", uid="8c2f")
FLOW = PlanFlow(name="weather", generation=3)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)
tasks = st.builds(
    TaskSpec,
    name=names,
    function=st.just("a:b"),
    inputs=st.lists(st.builds(TaskInput, name=names, value=values.filter(lambda value: value is not None))).map(tuple),
    skip_on_upstream_skip=st.booleans(),
)


def make_plan(spec: FlowSpec, **parts: Any) -> Plan:
    """Make a plan of a spec."""
    return Plan.make(run=RUN, flow=FLOW, spec=spec, **({"parameters": {}, "context": {}} | parts))


@given(
    spec=st.builds(FlowSpec, tasks=st.lists(tasks, min_size=1, max_size=3).map(tuple)),
    parameters=st.dictionaries(st.text(), values, max_size=3),
    context=st.dictionaries(st.text(), values, max_size=3),
)
@settings(max_examples=50, deadline=None)
def test_a_plan_survives_the_way(
    spec: FlowSpec, parameters: dict[str, JsonValue], context: dict[str, JsonValue]
) -> None:
    """What the agent reads is what the operator wrote, to the last null and float, and so is its digest."""
    plan = make_plan(spec, parameters=parameters, context=context)
    read = Plan.decode(plan.encode())
    assert read.spec == plan.spec
    assert read.spec.to_json() == plan.spec.to_json()
    assert (read.parameters, read.context) == (parameters, plan.context)
    assert read.sha256 == plan.sha256


def test_a_whole_flow_survives_the_way_without_its_source() -> None:
    """Every field of a flow arrives but the contents of files, which are mounted beside the plan."""
    spec = FlowSpec.model_validate(FULL_FLOW)
    read = Plan.decode(make_plan(spec).encode())
    assert read.spec.to_json() == {key: value for key, value in FULL_FLOW.items() if key != "source"}
    assert read.run == RUN
    assert read.flow == FLOW


def test_encoding_is_deterministic() -> None:
    """Equal plans are equal bytes, whatever order their maps were filled in, so that creating one twice is harmless."""
    spec = FlowSpec(entrypoint="a:b")
    one = make_plan(spec, parameters={"a": 1, "b": 2})
    other = make_plan(spec, parameters={"b": 2, "a": 1})
    assert one.encode() == other.encode()
    assert one.sha256 == other.sha256
    assert one.sha256 != make_plan(spec, parameters={"a": 1, "b": 3}).sha256


def test_the_runs_context_wins_over_the_flows() -> None:
    """Context is the flow's, with the run's laid over it key by key."""
    plan = make_plan(FlowSpec(entrypoint="a:b", context={"a": 1, "b": 1}), context={"b": 2})
    assert plan.context == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "damaged", id="empty"),
        pytest.param(b"{}", "damaged", id="not compressed"),
        pytest.param(gzip.compress(b"{"), "damaged", id="half a document"),
        pytest.param(gzip.compress(b"[" * 100_000), "damaged", id="nested too deeply"),
        pytest.param(gzip.compress(b"[]"), "version None", id="a list"),
        pytest.param(
            gzip.compress(b'{"version": 2}'), "version 2, and this flowkiln understands only 1", id="another version"
        ),
        pytest.param(gzip.compress(b'{"version": 1}'), "damaged", id="a version alone"),
        pytest.param(gzip.compress(b" " * (MAX_DOCUMENT_BYTES + 1)), "longer than", id="too long"),
        pytest.param(make_plan(FlowSpec(entrypoint="a:b")).encode()[:-9], "damaged", id="cut off"),
    ],
)
def test_a_plan_that_cannot_be_read_is_one_kind_of_error(data: bytes, message: str) -> None:
    """Whatever is wrong with the bytes, the reader gets a PlanError that says what."""
    with pytest.raises(PlanError, match=message):
        Plan.decode(data)


def test_the_document_is_plain_json() -> None:
    """The plan can be looked at with kubectl, base64 and gunzip."""
    document = json.loads(gzip.decompress(make_plan(FlowSpec(entrypoint="a:b")).encode()))
    assert document["version"] == 1
    assert document["spec"] == {"entrypoint": "a:b"}
