"""What a run gets in the cluster, as values."""

from __future__ import annotations

import datetime
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from flowkiln.api.flow import FlowSpec, Source
from flowkiln.api.names import RUN_LABEL
from flowkiln.api.plan import PLAN_KEY, Plan, PlanError, PlanFlow, PlanRun
from flowkiln_operator.resources import tls
from flowkiln_operator.resources.network_policy import network_policy
from flowkiln_operator.resources.plan import plan_config_map, read_plan_config_map
from flowkiln_operator.resources.rbac import role, role_binding, service_account
from flowkiln_operator.resources.run import RunIdentity, is_controlled_by, owned_by_role

UID = "0b54aa77-1c6e-4a3c-9d0e-000000000000"
RUN = RunIdentity("team", "monthly", UID)
DNS_LABEL = r"[a-z]([-a-z0-9]*[a-z0-9])?"
SOURCE = Source.model_validate(
    {"files": [{"path": "weather.py", "content": "a = 1\n"}, {"path": "lib/units.py", "content": "b = 2\n"}]}
)


def make_plan(spec: dict[str, Any] | None = None) -> Plan:
    """Return a small plan."""
    return Plan.make(
        run=PlanRun(namespace=RUN.namespace, name=RUN.name, uid=RUN.uid),
        flow=PlanFlow(name="weather", generation=3, inline=False),
        spec=FlowSpec.model_validate(spec or {"tasks": [{"name": "a", "function": "m:f"}]}),
        parameters={"year": 2015},
        context={},
    )


@given(st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True))
def test_names_of_children_are_dns_labels_whatever_the_run_is_called(name: str) -> None:
    """Pods, Services and labels take DNS labels only; dask-kubernetes takes at most 53 characters."""
    run = RunIdentity("team", name, UID)

    assert re.fullmatch(DNS_LABEL, run.base), run.base
    assert len(run.base) <= 43
    assert len(run.cluster_name(9_999_999)) <= 53
    assert run.labels[RUN_LABEL] == run.base


def test_two_runs_of_one_name_share_no_child() -> None:
    """A run that was deleted and made again has another uid."""
    assert RunIdentity("team", "monthly", "aaaaaa").base != RunIdentity("team", "monthly", "bbbbbb").base


def test_every_child_belongs_to_the_run() -> None:
    """Deleting the FlowRun deletes them all, and each can be found by its label."""
    certificates = tls.Certificates(b"a", b"b", b"c")
    children = [
        plan_config_map(RUN, make_plan(), SOURCE),
        service_account(RUN),
        role(RUN),
        role_binding(RUN),
        network_policy(RUN),
        tls.tls_secret(RUN, "tls", certificates),
    ]
    for child in children:
        assert is_controlled_by(child, RUN)
        assert child["metadata"]["namespace"] == "team"
        assert child["metadata"]["labels"][RUN_LABEL] == RUN.base
        reference = child["metadata"]["ownerReferences"][0]
        assert (reference["controller"], reference["blockOwnerDeletion"]) == (True, True)


@pytest.mark.parametrize(
    "references",
    [[], [{"uid": "another", "controller": True}], [{"uid": UID, "controller": False}], [{"uid": UID}]],
)
def test_what_has_another_controller_or_none_is_not_ours(references: list[dict[str, Any]]) -> None:
    """An owner that does not control is not enough."""
    assert not is_controlled_by({"metadata": {"ownerReferences": references}}, RUN)


def test_what_only_pods_need_belongs_to_the_role() -> None:
    """It goes when that is deleted: an object with two owners would stay as long as one of them."""
    child = owned_by_role(network_policy(RUN), RUN, "role-uid")
    (owner,) = child["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Role", RUN.service_account, "role-uid")
    assert is_controlled_by(child, RUN)
    assert not is_controlled_by(child, RunIdentity(RUN.namespace, RUN.name, "another-uid"))
    assert child["spec"] == network_policy(RUN)["spec"]


def test_the_plan_can_be_read_back_and_not_be_changed() -> None:
    """What the agent mounts is what the operator decided on."""
    plan = make_plan()
    config_map = plan_config_map(RUN, plan, SOURCE)
    assert config_map["immutable"] is True
    assert config_map["data"]["source-1"] == "b = 2\n"
    fixed = read_plan_config_map(config_map)
    assert fixed.source_paths == ("weather.py", "lib/units.py")
    assert fixed.plan.sha256 == plan.sha256


@pytest.mark.parametrize(
    "change",
    [
        {"binaryData": {}},
        {"binaryData": None},
        {"binaryData": {PLAN_KEY: "no base64!"}},
        {"binaryData": {PLAN_KEY: "AAAA"}},
        {"data": {}},
        {"data": {"source-paths.json": "{}"}},
        {"data": {"source-paths.json": "[1]"}},
        {"data": {"source-paths.json": "no JSON"}},
    ],
)
def test_what_is_no_plan_is_told(change: dict[str, Any]) -> None:
    """Somebody with rights in the namespace may have put anything there."""
    with pytest.raises(PlanError):
        read_plan_config_map({**plan_config_map(RUN, make_plan(), None), **change})


def test_the_agent_may_look_at_its_own_run_and_report_on_it() -> None:
    """Nothing else, and nobody else's."""
    assert role(RUN)["rules"] == [
        {
            "apiGroups": ["flowkiln.dev"],
            "resources": ["flowruns"],
            "resourceNames": ["monthly"],
            "verbs": ["get", "watch"],
        },
        {
            "apiGroups": ["flowkiln.dev"],
            "resources": ["flowruns/status"],
            "resourceNames": ["monthly"],
            "verbs": ["patch"],
        },
    ]
    binding = role_binding(RUN)
    assert binding["roleRef"]["name"] == role(RUN)["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [RUN.service_account]
    assert RUN.service_account.startswith("flowrun-")


def test_the_service_account_carries_what_clouds_and_registries_need() -> None:
    """Annotations and pull secrets are the user's; the token is mounted nowhere by itself."""
    made = service_account(RUN, annotations={"iam.example/role": "reader"}, pull_secrets=["pull"])
    assert made["metadata"]["annotations"] == {"iam.example/role": "reader"}
    assert made["imagePullSecrets"] == [{"name": "pull"}]
    assert made["automountServiceAccountToken"] is False


def test_the_certificate_opens_its_own_cluster_only(tmp_path: Path) -> None:
    """It is signed by the CA beside it, serves and calls; another cluster's CA does not know it."""
    now = datetime.datetime.now(datetime.UTC)
    one, other = tls.issue("one-c1", now=now), tls.issue("one-c1", now=now)
    certificate = x509.load_pem_x509_certificate(one.certificate)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(one.ca))
    with pytest.raises(InvalidSignature):
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(other.ca))
    assert certificate.not_valid_before_utc < now < certificate.not_valid_after_utc
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {name._name for name in usage} == {"serverAuth", "clientAuth"}
    for name, content in (("ca", one.ca), ("cert", one.certificate), ("key", one.key)):
        (tmp_path / name).write_bytes(content)
    for purpose in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH):
        context = ssl.create_default_context(purpose, cafile=str(tmp_path / "ca"))
        context.load_cert_chain(str(tmp_path / "cert"), str(tmp_path / "key"))


def test_the_ca_cannot_sign_another_certificate() -> None:
    """Its key is not in the Secret, and nowhere else."""
    certificates = tls.issue("one-c1", now=datetime.datetime.now(datetime.UTC))
    ca = x509.load_pem_x509_certificate(certificates.ca)
    certificate = x509.load_pem_x509_certificate(certificates.certificate)
    assert ca.public_key() != certificate.public_key()
    secret = tls.tls_secret(RUN, "tls", certificates)
    assert set(secret["data"]) == {"ca.crt", "tls.crt", "tls.key"}
    assert secret["immutable"] is True


def test_secrets_of_one_cluster_have_different_names() -> None:
    """Creating one never meets an older one, so none has to be read."""
    assert tls.secret_name("one-c1") != tls.secret_name("one-c1")


POLICY_TABLE = [
    ({RUN_LABEL: RUN.base}, True),
    ({RUN_LABEL: "another-run"}, False),
    ({}, False),
    ({"app.kubernetes.io/name": "flowkiln-operator"}, False),
]


@pytest.mark.parametrize(("labels", "allowed"), POLICY_TABLE)
def test_only_the_runs_own_pods_reach_its_pods(labels: dict[str, str], allowed: bool) -> None:
    """The policy selects the run's pods, and lets in only those with the same label, of its own namespace."""
    spec = network_policy(RUN)["spec"]
    assert spec["podSelector"]["matchLabels"] == {RUN_LABEL: RUN.base}
    assert spec["policyTypes"] == ["Ingress"]
    peers = [peer for rule in spec["ingress"] for peer in rule["from"]]
    assert all(set(peer) == {"podSelector"} for peer in peers), "no peer of another namespace"
    matches = [peer["podSelector"]["matchLabels"].items() <= labels.items() for peer in peers]
    assert any(matches) is allowed
