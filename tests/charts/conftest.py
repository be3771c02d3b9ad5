"""Helm, built once before the first test, whose time limit does not allow for that."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.harness.interface import HarnessError

from .helm import helm_path

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build Helm when tests of this folder are to run; what goes wrong is said again as the reason of their failure."""
    if session.config.option.collectonly or not any(item.path.is_relative_to(HERE) for item in session.items):
        return
    with suppress(HarnessError):
        helm_path()
