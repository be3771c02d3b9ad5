"""What a whole test session has, in one process or in several (`pytest -n 4`)."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from .cluster.sharing import KEPT, Host


def pytest_configure(config: pytest.Config) -> None:
    """Have the first of several processes own the test cluster, and SIGINT as Python has it.

    A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no":
        config.pluginmanager.register(Host(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests by their lanes, unless `--dist` says otherwise."""
    if config.getoption("dist") != "load":
        return None
    from .scheduling import LaneScheduling  # needs pytest-xdist, which a session of one process does without

    return LaneScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that need Flowkiln on the cluster last, so that none before them has to take it away."""
    items.sort(key=lambda item: item.nodeid.startswith("tests/cluster/flowkiln/"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the folders with the clusters' logs after a failure."""
    for kept in config.stash.get(KEPT, []):
        terminalreporter.write_line(f"logs of the test cluster: {kept}")
