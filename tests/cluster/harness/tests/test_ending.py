"""The end of a test cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.harness.ending import end
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.kind import KindCluster

from .conftest import StandIns


@pytest.mark.parametrize("error", [HarnessError("no logs"), OSError("no space left")], ids=["harness", "system"])
def test_a_cluster_ends_though_its_logs_cannot_be_kept(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """What went wrong is said."""

    def failing(self: KindCluster) -> Path | None:
        raise error

    monkeypatch.setattr(KindCluster, "keep_logs", failing)
    assert end(KindCluster("mine"), keep_logs=True) is None
    assert [line.partition(" --")[0] for line in stand_ins.asked("kind")] == ["delete cluster"]
    assert f"logs of mine could not be kept: {error}" in capsys.readouterr().err


def test_a_cluster_ends_though_keeping_its_logs_is_interrupted(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second Ctrl-C ends the export, not the clean-up."""

    def interrupted(self: KindCluster) -> Path | None:
        raise KeyboardInterrupt

    monkeypatch.setattr(KindCluster, "keep_logs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        end(KindCluster("mine"), keep_logs=True)
    assert [line.partition(" --")[0] for line in stand_ins.asked("kind")] == ["delete cluster"]


def test_logs_are_kept_when_they_are_wanted(stand_ins: StandIns, tmp_path: Path) -> None:
    """A cluster that others use stays."""
    assert end(KindCluster("mine"), keep_logs=False, stop=False) is None
    assert stand_ins.asked("kind") == []
    assert end(KindCluster("mine"), keep_logs=True, stop=False) == tmp_path / "cache" / "kept-logs" / "mine"
    assert [line.partition(" --")[0] for line in stand_ins.asked("kind")] == ["export logs"]
