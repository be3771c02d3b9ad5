"""Which tests run beside which, and that the lists of `tests.lanes` fit the tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from . import lanes
from .lanes import ALL_DISTURBING, DISTURBING, LONG, OWN, Lane, choose

CHECKOUT = Path(__file__).parents[1]
UNIT, OTHER_UNIT = "tests/engine/core/test_flow.py", "tests/test_lanes.py"
SHARED, OTHER_SHARED = "tests/cluster/flowkiln/test_hello.py", "tests/cluster/flowkiln/test_weather.py"
(OWN_CLUSTER,) = OWN

CASES = [
    ("nothing waits", [], [[UNIT]], None),
    ("the order of the files counts", [UNIT, OTHER_UNIT], [[SHARED]], UNIT),
    ("what disturbs comes first", [UNIT, SHARED, OWN_CLUSTER, ALL_DISTURBING], [[], [], []], ALL_DISTURBING),
    ("a cluster of its own is beside it", [UNIT, SHARED, OWN_CLUSTER], [[ALL_DISTURBING], [], []], OWN_CLUSTER),
    ("half of the processes are on clusters", [SHARED, UNIT], [[ALL_DISTURBING], [OWN_CLUSTER], []], UNIT),
    ("the session's cluster is disturbed", [SHARED, UNIT], [[ALL_DISTURBING], [UNIT], [UNIT]], UNIT),
    ("it is disturbed, and nothing else is left", [SHARED], [[ALL_DISTURBING]], None),
    ("it is shared", [UNIT, SHARED], [[OTHER_SHARED], [UNIT], [UNIT]], SHARED),
    ("only tests on the cluster are left", [SHARED], [[OTHER_SHARED], [OTHER_SHARED], [OTHER_SHARED]], SHARED),
    ("only tests without one are left", [UNIT], [[], [], []], UNIT),
    ("two processes", [UNIT, SHARED], [[UNIT]], SHARED),
    ("what takes long comes first", [SHARED, LONG[0]], [[]], LONG[0]),
]


@pytest.mark.parametrize(("waiting", "others", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_the_next_tests_of_a_process(waiting: list[str], others: list[list[str]], expected: str | None) -> None:
    """No test shares the cluster with one that disturbs it, and each kind has its part of the processes."""
    assert choose(waiting, others) == expected


def test_files_stay_together_and_so_does_what_disturbs() -> None:
    """Fixtures of a module are made once, and two tests that disturb the cluster never run at once."""
    assert lanes.scope(f"{UNIT}::TestFlow::test_name[a::b]") == UNIT
    assert {lanes.scope(f"{path}::test") for path in DISTURBING} == {ALL_DISTURBING}
    assert lanes.lane("tests/cluster/harness/tests/test_kind.py") is Lane.NONE


def test_the_lists_name_files_that_exist() -> None:
    """A file that was renamed does not lose its place."""
    assert [path for path in (*DISTURBING, *OWN, *LONG) if not (CHECKOUT / path).is_file()] == []


def test_whatever_takes_something_away_from_the_cluster_is_listed() -> None:
    """A test that stops the API server or a controller does not do so under the feet of others."""
    takes_away = re.compile(r"\.api_server_down\(|^from \.(flowkiln\.)?controllers import", re.MULTILINE)
    files = [*(CHECKOUT / "tests/cluster").glob("*.py"), *(CHECKOUT / "tests/cluster/flowkiln").glob("*.py")]
    found = {str(file.relative_to(CHECKOUT)) for file in files if takes_away.search(file.read_text())}
    assert found == set(DISTURBING)
