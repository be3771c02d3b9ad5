"""Which Helm the tests take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.charts.helm import helm_path
from tests.cluster.harness.interface import HarnessError


@pytest.mark.parametrize(("version", "taken"), [("v3.22.0", True), ("v4.0.1", False)])
def test_a_helm_of_another_generation_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    """Then one is built, and where that cannot be, the message says what to install."""
    program = tmp_path / "helm"
    program.write_text(f'#!/bin/sh\n[ "$*" = "version --template={{{{.Version}}}}" ] && echo {version}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    find = helm_path.__wrapped__  # it remembers what it found
    if taken:
        assert find() == program
    else:
        with pytest.raises(HarnessError, match="Helm 3 is missing"):
            find()
