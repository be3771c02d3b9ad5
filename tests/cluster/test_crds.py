"""The CustomResourceDefinitions on a real API server: what it accepts, what it refuses, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from flowkiln.api import API_VERSION
from flowkiln.api.crds import RESOURCES
from flowkiln.api.flow import FlowSpec, rules_with
from flowkiln.api.flow_run import MUTABLE_FIELDS, FlowRunSpec
from flowkiln.api.model import listed
from tests.charts.reading import kstatus
from tests.engine.api.documents import AGENT_STATUS, FULL_FLOW, OPERATOR_STATUS

from .flowkiln.controllers import without
from .flowkiln.installation import OPERATOR, SYSTEM_NAMESPACE, Installation
from .harness.api import api
from .harness.commands import CommandError, wait_until
from .harness.interface import Cluster

CRDS = Path(__file__).parents[2] / "crds"
REFERRING = {"flowRef": {"name": "weather"}}
TASK = {"name": "load", "function": "weather:load"}

UNSEEN = {"observedGeneration": 0}

pytestmark = pytest.mark.cluster


def flow(spec: dict[str, Any], name: str = "weather") -> dict[str, Any]:
    """Make a Flow."""
    return {"apiVersion": API_VERSION, "kind": "Flow", "metadata": {"name": name}, "spec": spec}


def flow_run(spec: dict[str, Any], name: str = "weather-2015") -> dict[str, Any]:
    """Make a FlowRun."""
    return {"apiVersion": API_VERSION, "kind": "FlowRun", "metadata": {"name": name}, "spec": spec}


class Namespace:
    """kubectl in one namespace."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.name = name
        self.api = api(cluster.kubeconfig)

    def kubectl(self, *arguments: str, input: object = None, check: bool = True) -> str:
        """Run kubectl; `input` is sent as JSON."""
        text = None if input is None else json.dumps(input)
        return self._cluster.kubectl(f"--namespace={self.name}", *arguments, input=text, check=check)

    def apply(self, document: dict[str, Any], *options: str) -> dict[str, Any]:
        """Apply a document and give what the API server made of it."""
        stored = json.loads(self.kubectl("apply", "--output=json", "--filename=-", *options, input=document))
        assert isinstance(stored, dict)
        return stored

    def refusal(self, *arguments: str, input: object = None) -> str:
        """Run kubectl, which has to fail, and give what it says."""
        with pytest.raises(CommandError) as raised:
            self.kubectl(*arguments, input=input)
        return raised.value.output


@pytest.fixture(scope="module")
def crds(cluster: Cluster) -> Iterator[Cluster]:
    """Install the CustomResourceDefinitions; an operator that other tests installed must not answer here."""
    files = [f"--filename={CRDS / resource.file_name}" for resource in RESOURCES]
    cluster.kubectl("apply", *files)
    names = [f"crd/{resource.name}" for resource in RESOURCES]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)
    found = ("get", "deployment", OPERATOR, f"--namespace={SYSTEM_NAMESPACE}", "--ignore-not-found", "--output=name")
    installed = bool(cluster.kubectl(*found))
    with without(Installation(cluster, cluster.images()), OPERATOR) if installed else nullcontext():
        yield cluster


@pytest.fixture
def team(crds: Cluster, namespace: str) -> Namespace:
    """Give a namespace of one's own."""
    return Namespace(crds, namespace)


def test_a_flow_with_every_field_is_stored_as_it_was_written(team: Namespace) -> None:
    """Nothing is pruned and no default is added: what people wrote is what they get, and what our models read."""
    stored = team.apply(flow(FULL_FLOW))
    written = FlowSpec.model_validate(FULL_FLOW).to_json()
    del written["context"]["nothing"]  # kubectl drops nulls
    assert stored["spec"] == written
    assert FlowSpec.model_validate(stored["spec"]).to_json() == written


def test_a_run_with_every_field_is_stored_as_it_was_written(team: Namespace) -> None:
    """A run that says everything survives the way to the API server and back."""
    spec = {
        **REFERRING,
        "parameters": {"year": 2015, "unit": "celsius", "nested": {"list": [1, {"deep": True}]}},
        "context": {"why": "backfill"},
        "startTime": "2030-01-01T00:00:00Z",
        "startDeadline": "10m",
        "timeout": "2h",
        "terminate": "Immediate",
        "ttlAfterFinished": "24h",
    }
    stored = team.apply(flow_run(spec))
    assert stored["spec"] == spec
    assert FlowRunSpec.model_validate(stored["spec"]).to_json() == spec


def test_an_inline_flow_is_a_whole_flow(team: Namespace) -> None:
    """FlowRun.spec.flowSpec takes what Flow.spec takes."""
    inline = {key: value for key, value in FULL_FLOW.items() if key != "context"}
    stored = team.apply(flow_run({"flowSpec": inline}))
    assert stored["spec"]["flowSpec"] == inline


REFUSED = [
    ("neither tasks nor entrypoint", flow({}), "exactly one of tasks and entrypoint must be given"),
    (
        "both tasks and entrypoint",
        flow({"tasks": [TASK], "entrypoint": "a:b"}),
        "exactly one of tasks and entrypoint must be given",
    ),
    (
        "what only tasks can have, beside an entrypoint",
        flow({"entrypoint": "a:b", "referenceTasks": ["load"]}),
        "referenceTasks and stateHandlers go with tasks only",
    ),
    ("a task that does nothing", flow({"tasks": [{"name": "a"}]}), "exactly one of function and command must be given"),
    (
        "a task that is two things",
        flow({"tasks": [TASK | {"command": ["true"]}]}),
        "exactly one of function and command must be given",
    ),
    (
        "an input that is nothing",
        flow({"tasks": [TASK | {"inputs": [{"name": "x"}]}]}),
        '"spec.tasks[0].inputs[0]" must validate one and only one schema (oneOf). Found none valid',
    ),
    (
        "an input that is two things",
        flow({"tasks": [TASK | {"inputs": [{"name": "x", "parameter": "p", "task": "load"}]}]}),
        "parameter, task and valueFrom exclude each other",
    ),
    (
        "a value that is something else too",
        flow({"tasks": [TASK | {"inputs": [{"name": "x", "value": 1, "task": "load"}]}]}),
        '"spec.tasks[0].inputs[0]" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ),
    (
        "a mapped parameter",
        flow({"tasks": [TASK | {"inputs": [{"name": "x", "parameter": "p", "map": True}]}]}),
        "map goes with task only",
    ),
    (
        "bounds for a rule that does not count",
        flow({"tasks": [TASK | {"trigger": {"rule": "AllFailed", "atLeast": 1}}]}),
        f"atLeast goes with the rules {listed(rules_with('at_least'))} only",
    ),
    (
        "a rule and a function",
        flow({"tasks": [TASK | {"trigger": {"rule": "AllFailed", "function": "a:b"}}]}),
        "rule and function exclude each other",
    ),
    ("a misspelt field", flow({"tasks": [TASK | {"retires": {}}]}), 'unknown field "spec.tasks[0].retires"'),
    ("two tasks of one name", flow({"tasks": [TASK, TASK]}), "Duplicate value"),
    ("a name that is none", flow({"tasks": [TASK | {"name": "Load_It"}]}), "spec.tasks[0].name"),
    ("a dot instead of a colon", flow({"tasks": [TASK | {"function": "weather.load"}]}), "spec.tasks[0].function"),
    ("a timeout in milliseconds", flow({"tasks": [TASK], "timeout": "1500ms"}), "spec.timeout"),
    ("a number in quotes", flow({"tasks": [TASK], "cluster": {"workers": {"replicas": "4"}}}), "replicas"),
    (
        "a share above all",
        flow({"tasks": [TASK | {"trigger": {"rule": "SomeFailed", "atLeast": "150%"}}]}),
        "spec.tasks[0].trigger.atLeast",
    ),
    (
        "a quantity that is none",
        flow({"tasks": [TASK], "cluster": {"workers": {"resources": {"limits": {"memory": "2Gb"}}}}}),
        "spec.cluster.workers.resources.limits.memory",
    ),
    (
        "a volume of no kind",
        flow({"tasks": [TASK], "cluster": {"podTemplate": {"volumes": [{"name": "x"}]}}}),
        "exactly one of persistentVolumeClaim, configMap, secret, emptyDir and csi must be given",
    ),
    (
        "a host path",
        flow({"tasks": [TASK], "cluster": {"podTemplate": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}}}),
        'unknown field "spec.cluster.podTemplate.volumes[0].hostPath"',
    ),
    (
        "the host's network",
        flow({"tasks": [TASK], "cluster": {"podTemplate": {"hostNetwork": True}}}),
        'unknown field "spec.cluster.podTemplate.hostNetwork"',
    ),
    ("no flow", flow_run({}), "exactly one of flowRef and flowSpec must be given"),
    (
        "two flows",
        flow_run(REFERRING | {"flowSpec": {"tasks": [TASK]}}),
        "exactly one of flowRef and flowSpec must be given",
    ),
    (
        "a way to terminate that does not exist",
        flow_run(REFERRING | {"terminate": "Graceful"}),
        'Unsupported value: "Graceful": supported values: "Immediate"',
    ),
    ("a time without zone", flow_run(REFERRING | {"startTime": "2030-01-01T00:00:00"}), "spec.startTime"),
    ("a feature of later versions", flow_run(REFERRING | {"suspend": True}), 'unknown field "spec.suspend"'),
]


@pytest.mark.parametrize(("document", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_is_wrong_is_refused_with_its_reason(team: Namespace, document: dict[str, Any], reason: str) -> None:
    """kubectl shows a sentence, or a path, that tells what to change."""
    assert reason in team.refusal("apply", "--dry-run=server", "--filename=-", input=document)


VALUES: dict[str, tuple[Any, Any]] = {
    "parameters": ({"year": 2015}, {"year": 2016}),
    "context": ({"team": "climate"}, {"team": "weather"}),
    "startTime": ("2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"),
    "startDeadline": ("10m", "20m"),
    "timeout": ("1h", "2h"),
    "flowRef": ({"name": "weather"}, {"name": "climate"}),
    "flowSpec": ({"tasks": [TASK]}, {"tasks": [TASK | {"function": "weather:other"}]}),
}
"""A value of each immutable field, and another."""

MUTABLE_VALUES = {"terminate": "Immediate", "ttlAfterFinished": "24h"}


def variants() -> dict[str, dict[str, Any]]:
    """Return specs by name: each optional field alone, none of them, all of them; with a flow by name and inline."""
    optional = [field for field in FlowRunSpec.immutable_fields() if field not in ("flowRef", "flowSpec")]
    sets = {"none": [], **{field.lower(): [field] for field in optional}, "all": optional}
    mutable = {"fresh": [], **{field.lower(): [field] for field in MUTABLE_FIELDS}, "settled": list(MUTABLE_FIELDS)}
    specs = {}
    for kind, (name, fields), (state, given) in product(("flowRef", "flowSpec"), sets.items(), mutable.items()):
        spec = {field: VALUES[field][0] for field in (kind, *fields)}
        specs[f"{kind.lower()}-{name}-{state}"] = spec | {field: MUTABLE_VALUES[field] for field in given}
    return specs


def create_all(team: Namespace, specs: dict[str, dict[str, Any]]) -> None:
    """Create runs of all specs at once."""
    items = [flow_run(spec, name) for name, spec in specs.items()]
    team.kubectl("create", "--filename=-", input={"apiVersion": "v1", "kind": "List", "items": items})


def patched(team: Namespace, name: str, patch: dict[str, Any]) -> str:
    """Try a merge patch of a run's spec; give what the API server says against it, or nothing."""
    return team.api.try_patch("flowruns.flowkiln.dev", name, team.name, {"spec": patch})


def test_mutable_fields_can_be_set_whatever_else_is_there(team: Namespace) -> None:
    """Each optional field, absent and present, with a patch of each mutable field: what is absent trips no rule."""
    specs = variants()
    create_all(team, specs)
    wrong = []
    for name, field in product(specs, MUTABLE_FIELDS):
        said = patched(team, name, {field: MUTABLE_VALUES[field]})
        if said:
            wrong.append((name, field, said))
    assert wrong == []


def test_ttl_can_be_changed_and_removed_but_terminate_only_set(team: Namespace) -> None:
    """The end of a run cannot be taken back; how long it is kept can."""
    create_all(team, {"settled": REFERRING | MUTABLE_VALUES})
    assert patched(team, "settled", {"ttlAfterFinished": "1h"}) == ""
    assert patched(team, "settled", {"ttlAfterFinished": None}) == ""
    assert "terminate cannot be changed or taken back" in patched(team, "settled", {"terminate": None})


def test_nothing_else_can_be_changed_added_or_removed(team: Namespace) -> None:
    """Every other field stays as it was created, and the refusal names it."""
    base = {"flowRef": {"flowRef": VALUES["flowRef"][0]}, "flowSpec": {"flowSpec": VALUES["flowSpec"][0]}}
    create_all(
        team,
        {
            f"{field.lower()}-{state}": base.get(field, REFERRING) | ({field: VALUES[field][0]} if present else {})
            for field in FlowRunSpec.immutable_fields()
            for state, present in (("present", True), ("absent", False))
        },
    )
    wrong = []
    for field in FlowRunSpec.immutable_fields():
        patches = [(f"{field.lower()}-present", {field: VALUES[field][1]})]
        if field not in ("flowRef", "flowSpec"):
            patches.append((f"{field.lower()}-absent", {field: VALUES[field][0]}))
            patches.append((f"{field.lower()}-present", {field: None}))
        for name, patch in patches:
            if f"{field} cannot be changed" not in patched(team, name, patch):
                wrong.append((name, patch))
    assert wrong == []


def test_one_flow_cannot_be_exchanged_for_another_kind(team: Namespace) -> None:
    """A reference does not become an inline flow."""
    create_all(team, {"a": REFERRING})
    assert "flowRef cannot be changed" in patched(team, "a", {"flowRef": None, "flowSpec": {"tasks": [TASK]}})


def apply_status(team: Namespace, manager: str, status: dict[str, Any]) -> None:
    """Apply a part of a run's status by server-side apply."""
    document = {"apiVersion": API_VERSION, "kind": "FlowRun", "metadata": {"name": "weather-2015"}, "status": status}
    team.kubectl(
        *("apply", "--server-side", "--subresource=status", f"--field-manager={manager}", "--filename=-"),
        input=document,
    )


def test_operator_and_agent_write_status_side_by_side(team: Namespace) -> None:
    """Two field managers apply their parts without a conflict; nothing is pruned; columns and waiting work."""
    team.apply(flow_run(REFERRING))
    apply_status(team, "flowkiln-operator", OPERATOR_STATUS)
    apply_status(team, "flowkiln-agent", AGENT_STATUS)
    stored = json.loads(team.kubectl("get", "flowrun", "weather-2015", "--output=json"))
    assert stored["status"] == OPERATOR_STATUS | AGENT_STATUS
    team.kubectl("wait", "--for=condition=Finished", "--timeout=5s", "flowrun/weather-2015")

    narrow = team.kubectl("get", "fkr").splitlines()
    assert narrow[0].split() == ["NAME", "STATE", "PROGRESS", "REASON", "AGE"]
    assert narrow[1].split()[:4] == ["weather-2015", "Failed", "14/37", "TaskFailed"]
    wide = team.kubectl("get", "fkr", "--output=wide").splitlines()
    assert wide[0].split()[5:] == ["FLOW", "STARTED", "COMPLETED", "MESSAGE"]
    assert wide[1].split()[5] == "weather"
    assert wide[1].endswith("load failed: no rows")


def test_status_is_a_subresource(team: Namespace) -> None:
    """Who may only create runs cannot say how they went."""
    stored = team.apply(flow_run(REFERRING) | {"status": {"state": "Success"}})
    assert stored["status"] == UNSEEN


def test_a_new_run_is_in_progress_before_anybody_has_seen_it(team: Namespace) -> None:
    """The API server itself gives it a status, which kstatus reads as one to wait for.

    It belongs to nobody: tools that apply the run own nothing of it, and whoever writes a status meets no conflict.
    """
    run = flow_run(REFERRING)
    created = team.apply(run, "--server-side", "--field-manager=kustomize-controller")
    read = json.loads(team.kubectl("get", "flowrun", "weather-2015", "--output=json", "--show-managed-fields"))
    for seen in (created, read):
        assert seen["status"] == UNSEEN
        assert kstatus(seen) == "InProgress"
    assert not any("f:status" in entry["fieldsV1"] for entry in read["metadata"]["managedFields"])
    apply_status(team, "flowkiln-agent", AGENT_STATUS)
    claimed = json.loads(team.kubectl("get", "flowrun", "weather-2015", "--output=json"))
    assert claimed["status"] == UNSEEN | AGENT_STATUS
    apply_status(team, "flowkiln-operator", OPERATOR_STATUS)
    again = team.apply(run, "--server-side", "--field-manager=kustomize-controller")
    assert again["status"] == OPERATOR_STATUS | AGENT_STATUS


def test_a_status_of_words_that_do_not_exist_is_refused(team: Namespace) -> None:
    """States are a closed list for the run as a whole."""
    team.apply(flow_run(REFERRING))
    with pytest.raises(CommandError, match="Unsupported value"):
        apply_status(team, "flowkiln-agent", {"flow": {"state": "Fine", "reason": "Running"}})


def test_a_large_status_fits(team: Namespace) -> None:
    """Thousands of task runs in one atomic list are accepted."""
    team.apply(flow_run(REFERRING))
    tasks = [{"name": f"task-{number}", "state": "Pending"} for number in range(8000)]
    apply_status(team, "flowkiln-agent", {"tasks": tasks})
    stored = json.loads(team.kubectl("get", "flowrun", "weather-2015", "--output=json"))
    assert len(stored["status"]["tasks"]) == 8000


def test_short_names_and_category(team: Namespace) -> None:
    """`kubectl get fkf`, `fkr` and `flowkiln` find the objects."""
    team.apply(flow(FULL_FLOW))
    team.apply(flow_run(REFERRING))
    assert team.kubectl("get", "fkf", "--output=name").split() == ["flow.flowkiln.dev/weather"]
    assert set(team.kubectl("get", "flowkiln", "--output=name").split()) == {
        "flow.flowkiln.dev/weather",
        "flowrun.flowkiln.dev/weather-2015",
    }
    header, row = team.kubectl("get", "flows.flowkiln.dev").splitlines()
    assert header.split() == ["NAME", "DESCRIPTION", "AGE"]
    assert "Monthly summaries" in row


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("flows.flowkiln.dev", "A flow: tasks that depend on each other"),
        ("flows.flowkiln.dev.spec.cluster.workers.ttl", "Default: 60s."),
        ("flows.flowkiln.dev.spec.tasks.inputs.valueFrom.secretKeyRef", "Workers read it just before the task's body"),
        ("flowruns.flowkiln.dev.spec.terminate", "It cannot be changed or taken back."),
        ("flowruns.flowkiln.dev.status.tasks.children.indexes.indexes", "1,3-5,7"),
    ],
)
def test_kubectl_explain_is_documentation(crds: Cluster, path: str, words: str) -> None:
    """Each field explains itself, with its default."""

    def explained() -> bool:
        return words in " ".join(crds.kubectl("explain", path, check=False).split())

    # The API server publishes the schema of a new definition a moment after it serves the objects.
    wait_until(f"kubectl explains {path} with {words!r}", explained, seconds=30)
