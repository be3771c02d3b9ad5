"""The way by kind, as far as it can be followed without a Docker engine: what it asks docker, kind and kubectl to do.

Stand-ins on the PATH record their arguments. A real kind runs the cluster tests themselves: `make test-kind`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.cluster.harness.commands import CommandError
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.kind import KindCluster, clean_up

from .conftest import StandIns


def test_a_cluster_is_created_and_deleted(stand_ins: StandIns, tmp_path: Path) -> None:
    """Under a name of its own, with a kubeconfig of its own: a person's clusters and contexts are not touched."""
    cluster = KindCluster("mine")
    cluster.start()
    folder = tmp_path / "cache" / "kind" / "mine"
    named = f"--name=flowkiln-mine --kubeconfig={folder}/kubeconfig"
    assert stand_ins.asked("kind") == [f"create cluster {named} --config={folder}/config.yaml --wait=300s --retain"]
    assert cluster.kubeconfig == folder / "kubeconfig"
    with pytest.raises(HarnessError, match=r"a cluster named mine already.* down --name mine"):
        KindCluster("mine").start()
    cluster.stop()
    assert stand_ins.asked("kind")[1:] == [f"delete cluster {named}"]
    assert not folder.exists()


def test_its_settings_are_respected(stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's image is passed on; the configuration is taken as it is, with the audit log added."""
    given = {"networking": {"ipFamily": "ipv4"}, "nodes": [{"role": "control-plane"}, {"role": "worker"}]}
    (tmp_path / "kind.yaml").write_text(yaml.safe_dump(given))
    monkeypatch.setenv("FLOWKILN_KIND_NODE_IMAGE", "node:v1.34.0")
    monkeypatch.setenv("FLOWKILN_KIND_CONFIG", str(tmp_path / "kind.yaml"))
    KindCluster("mine").start()
    assert stand_ins.asked("kind")[0].endswith(" --image=node:v1.34.0")
    used = yaml.safe_load((tmp_path / "cache" / "kind" / "mine" / "config.yaml").read_text())
    assert used["networking"] == given["networking"]
    assert [node["role"] for node in used["nodes"]] == ["control-plane", "worker"]
    assert "audit-log-path" in json.dumps(used["nodes"][0])


def test_a_start_waits_for_all_nodes(stand_ins: StandIns) -> None:
    """`kind create --wait` knows the control plane only: pods on workers, and Services there, need more than that."""
    KindCluster("mine").start()
    asked = [line.partition(" ")[2] for line in stand_ins.asked("kubectl")]  # without --kubeconfig
    nodes = "wait --for=condition=Ready nodes --all --timeout=240s"
    pods = "wait --for=condition=Ready pods --all --namespace=kube-system --timeout=240s"
    assert asked[-3] == nodes
    assert asked[-1] == pods
    stand_ins.answer({"kubectl * nodes *": "echo timed out waiting for worker2 >&2; exit 1"})
    with pytest.raises(HarnessError, match="timed out waiting for worker2"):
        KindCluster("other").start()
    assert stand_ins.asked("kind")[-1].startswith("delete cluster --name=flowkiln-other")


def test_what_kind_does_is_told_as_it_comes(stand_ins: StandIns, capsys: pytest.CaptureFixture[str]) -> None:
    """It pulls the nodes' image for minutes, say; and an error repeats all that it printed."""
    told = "echo ' • Ensuring node image (node:1)' >&2"
    stand_ins.answer({"kind create *": told})
    KindCluster("mine").start()
    said = capsys.readouterr().err.splitlines()
    begun = said.index("flowkiln test cluster: kind creates the cluster flowkiln-mine …")
    assert said[begun + 1] == "flowkiln test cluster: • Ensuring node image (node:1)"
    assert said[begun + 2 :][0] == "flowkiln test cluster: all nodes become ready …"
    stand_ins.answer({"kind create *": f"{told}; echo no space left; exit 1"})
    with pytest.raises(CommandError, match=r"(?s)Ensuring node image.*no space left"):
        KindCluster("other").start()


def test_a_start_that_fails_keeps_its_logs_and_leaves_nothing(
    stand_ins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first error is the one that is told, even when nothing else works either."""
    stand_ins.answer({"kind create *": "echo no space left >&2; exit 1", "kind delete *": "exit 1"})
    with pytest.raises(HarnessError, match="no space left"):
        KindCluster("mine").start()
    kept = tmp_path / "cache" / "kept-logs" / "mine"
    assert stand_ins.asked("kind")[1:] == [
        f"export logs --name=flowkiln-mine {kept}",
        f"delete cluster --name=flowkiln-mine --kubeconfig={tmp_path}/cache/kind/mine/kubeconfig",
    ]
    stand_ins.answer({"kind create *": "exit 1"})
    with pytest.raises(HarnessError, match="kind create"):
        KindCluster("other").start()
    assert f"logs of the failed start are kept in {kept.with_name('other')}" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "kind" / "other").exists()


def test_kubernetes_must_be_new_enough(stand_ins: StandIns, tmp_path: Path) -> None:
    """An old kind makes an old Kubernetes, on which nothing could be installed; the message says what to set."""
    old = {"major": "1", "minor": "29", "gitVersion": "v1.29.2"}
    stand_ins.answer({"kubectl * get --raw=/version": f"echo '{json.dumps(old)}'"})
    with pytest.raises(HarnessError, match=r"v1\.29\.2.* 1\.30 or later.*FLOWKILN_KIND_NODE_IMAGE"):
        KindCluster("mine").start()
    assert not (tmp_path / "cache" / "kind" / "mine").exists()


def test_a_configuration_that_is_none_is_told_before_anything_is_made(
    stand_ins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a cluster nor a folder of one is there then."""
    monkeypatch.setenv("FLOWKILN_KIND_CONFIG", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(HarnessError, match="FLOWKILN_KIND_CONFIG="):
        KindCluster("mine").start()
    assert stand_ins.asked("kind") == []
    assert not (tmp_path / "cache" / "kind").exists()


def test_logs_that_are_not_all_there_are_kept(stand_ins: StandIns, capsys: pytest.CaptureFixture[str]) -> None:
    """kind ends with an error when it could not export some of them; the others are still worth their folder."""
    stand_ins.answer({"kind export logs *": 'echo here > "$4/some.log"; echo gone >&2; exit 1'})
    kept = KindCluster("mine").keep_logs()
    assert kept is not None
    assert [file.name for file in kept.iterdir()] == ["some.log"]
    assert "kind could not export all logs: gone" in capsys.readouterr().err


def test_clusters_of_sessions_that_are_gone_are_deleted(stand_ins: StandIns, tmp_path: Path) -> None:
    """Those of running sessions, and those that nobody owns, stay."""
    for name in ("ours", "orphan"):
        KindCluster(name).start()
    KindCluster("for-good", owned=False).start()
    folder = tmp_path / "cache" / "kind"
    (folder / "orphan" / "owner.json").write_text(json.dumps({"pid": os.getpid(), "started": 0}))
    clean_up()
    assert {path.name for path in folder.iterdir()} == {"ours", "for-good"}
    assert [line for line in stand_ins.asked("kind") if line.startswith("delete")] == [
        f"delete cluster --name=flowkiln-orphan --kubeconfig={folder}/orphan/kubeconfig"
    ]


def test_the_audit_log_is_read_line_by_line(stand_ins: StandIns) -> None:
    """A line that is being written is left out; a log that cannot be read is an error with what was said."""
    reading = "docker exec flowkiln-mine-control-plane cat /var/log/kubernetes/flowkiln-audit.log"
    stand_ins.answer({reading: """printf '{"verb": "get"}\\n{"verb": "list"}\\n{"verb": "wa'"""})
    cluster = KindCluster("mine")
    assert [event["verb"] for event in cluster.audit_events()] == ["get", "list"]
    stand_ins.answer({reading: "echo no such file >&2; exit 1"})
    with pytest.raises(CommandError, match="no such file"):
        list(cluster.audit_events())
