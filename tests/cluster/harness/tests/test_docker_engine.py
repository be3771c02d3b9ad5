"""Whether a cluster by kind can be had, and what is said when not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.harness import docker_engine
from tests.cluster.harness.docker_engine import docker_answers, require_docker
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.kind import KindCluster

from .conftest import StandIns


def test_all_is_there(stand_ins: StandIns) -> None:
    """Then nothing is said."""
    assert docker_answers()
    require_docker()
    assert stand_ins.asked("docker") == ["info", "info"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        pytest.param((), "needs docker and kind", id="neither"),
        pytest.param(("docker",), "needs kind on the PATH: install it", id="no kind"),
        pytest.param(("kind",), "needs docker on the PATH: install it", id="no docker"),
    ],
)
def test_a_missing_program_is_named_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], said: str
) -> None:
    """Before anything is built, however the way was chosen."""
    for name in there:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FLOWKILN_CACHE", str(tmp_path / "cache"))
    assert not docker_answers()
    for do in (KindCluster("mine").prepare, KindCluster("mine").start):
        with pytest.raises(HarnessError, match=said) as caught:
            do()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", ["exit 1", "exec sleep 60"], ids=["down", "hanging"])
def test_an_engine_that_does_not_answer_is_told(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Nothing is pulled or built for a cluster that cannot be."""
    monkeypatch.setattr(docker_engine, "PATIENCE", 1)
    stand_ins.answer({"docker info": answer})
    assert not docker_answers()
    with pytest.raises(HarnessError, match="needs a Docker engine, and none answers"):
        KindCluster("mine").prepare()
    assert set(stand_ins.asked("docker")) == {"info"}
