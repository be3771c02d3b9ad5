"""Documents that are too large to be read are refused before anything is made of them."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln.api.validation import parse_flow_run_spec, parse_flow_spec
from flowkiln.api.validation.weight import MAX_WEIGHT, is_too_heavy

from .tables import LOAD, calls_of

TOO_HEAVY = "holds too many values to be read; pass large data by reference, such as a URL"


@pytest.mark.parametrize(
    ("document", "weight"),
    [({}, 4), ([], 2), ([1, 2], 4), ({"a": 1}, 5), ({"a": [{}, "x"]}, 13), ("text", 0)],
)
def test_what_a_document_weighs(document: object, weight: int) -> None:
    """Mappings weigh more than lists, and values inside of both count."""
    assert not is_too_heavy(document, weight)
    assert is_too_heavy(document, weight - 1)


HEAVY: dict[str, Any] = {
    "empty lists": [[]] * 500_000,
    "empty mappings": [{}] * 300_000,
    "numbers": [0] * 700_000,
    "lists in lists": [[[[0]]]] * 200_000,
    "one mapping": {f"k{number}": number for number in range(150_000)},
}


@pytest.mark.parametrize("sentence", HEAVY)
def test_a_heavy_document_is_refused_after_little_work(sentence: str) -> None:
    """The API server takes 1.5 MB in any shape; to read that, and only then refuse it, would take too long."""
    flow = {"tasks": [LOAD], "context": {"rows": HEAVY[sentence]}}
    found: list[Any] = []
    calls = calls_of(lambda: found.append(parse_flow_run_spec({"flowSpec": flow})))
    assert calls < 6 * MAX_WEIGHT
    spec, problems = found[0]
    assert spec is None
    assert [problem.sentence for problem in problems] == [f"spec: {TOO_HEAVY}"]


def test_large_flows_are_read() -> None:
    """A thousand tasks with a dozen inputs each, or with sixty tasks before each."""
    names = [f"t{number}" for number in range(1000)]
    inputs = [{"name": f"a{number}", "value": number} for number in range(12)]
    wide = {"tasks": [{"name": name, "function": "m:f", "inputs": inputs} for name in names]}
    dense = {
        "tasks": [{"name": name, "function": "m:f", "after": names[max(0, i - 60) : i]} for i, name in enumerate(names)]
    }
    assert parse_flow_spec(wide)[1] == ()
    assert parse_flow_spec(dense)[1] == ()
