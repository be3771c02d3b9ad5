"""Triggers, durations, source files, podTemplate and sizes."""

from __future__ import annotations

from typing import Any

import pytest

from flowkiln.api.flow import rules_with
from flowkiln.api.model import listed

from .tables import LOAD, flow_problems, problems_of_tasks, run_problems

COUNTING = listed(rules_with("at_least"))


@pytest.mark.parametrize(
    ("trigger", "sentences"),
    [
        ({"rule": "SomeSuccessful", "atLeast": "50%"}, []),
        ({"rule": "SomeFailed", "atLeast": 1, "atMost": 1}, []),
        ({"rule": "SomeFailed", "atLeast": 5, "atMost": "50%"}, []),
        ({"function": "a:b"}, []),
        (
            {"rule": "SomeSuccessful"},
            ["spec.tasks[0].trigger: SomeSuccessful needs atLeast or atMost"],
        ),
        (
            {"rule": "AllFailed", "atMost": 1},
            [f"spec.tasks[0].trigger.atMost: goes with the rules {COUNTING} only"],
        ),
        (
            {"atLeast": 1},
            [f"spec.tasks[0].trigger.atLeast: goes with the rules {COUNTING} only"],
        ),
        (
            {"rule": "SomeFailed", "atLeast": 3, "atMost": 2},
            ["spec.tasks[0].trigger.atLeast: 3 is more than atMost, 2"],
        ),
        (
            {"rule": "SomeFailed", "atLeast": "100%", "atMost": "99%"},
            ["spec.tasks[0].trigger.atLeast: 100% is more than atMost, 99%"],
        ),
        (
            {"rule": "AllFailed", "function": "a:b"},
            ["spec.tasks[0].trigger: rule and function exclude each other"],
        ),
        (
            {"rule": "NotAllSkipped"},
            [
                "spec.tasks[0].trigger.rule: NotAllSkipped needs skipOnUpstreamSkip: false, "
                "or one skipped upstream task skips this one too"
            ],
        ),
    ],
)
def test_triggers(trigger: dict[str, Any], sentences: list[str]) -> None:
    """Bounds go with the rules that count, and can be satisfied."""
    assert problems_of_tasks({"name": "a", "trigger": trigger}) == sentences


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"timeout": "0s"}, "spec.tasks[0].timeout: must be at least 1s; leave it out for no limit"),
        (
            {"timeout": "9000h"},
            "spec.tasks[0].timeout: 9000h is longer than a year (8784h); leave it out for no limit",
        ),
        (
            {"retries": {"max": 1, "delay": "10s", "maxDelay": "5s"}},
            "spec.tasks[0].retries.maxDelay: 5s is shorter than delay, 10s",
        ),
        (
            {"retries": {"max": 1, "backoffFactor": 2}},
            "spec.tasks[0].retries.backoffFactor: needs a delay that it can multiply",
        ),
        (
            {"retries": {"max": 1, "jitterPercent": 5}},
            "spec.tasks[0].retries.jitterPercent: needs a delay that it can vary",
        ),
    ],
)
def test_durations_of_tasks(parts: dict[str, Any], sentence: str) -> None:
    """Limits can be kept, and waits do not contradict each other."""
    assert problems_of_tasks({"name": "a", **parts}) == [sentence]


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"timeout": "0m"}, "spec.timeout: must be at least 1s; leave it out for no limit"),
        (
            {"cluster": {"startDeadline": "500ms"}},
            "spec.cluster.startDeadline: must be at least 1s, not 500ms",
        ),
        ({"cluster": {"workers": {"ttl": "0s"}}}, "spec.cluster.workers.ttl: must be at least 1s, not 0s"),
    ],
)
def test_durations_of_flows(parts: dict[str, Any], sentence: str) -> None:
    """A cluster has at least a second to start, and a run to run."""
    assert flow_problems({"tasks": [LOAD], **parts}) == [sentence]


@pytest.mark.parametrize(
    ("paths", "sentences"),
    [
        (["a.py", "lib/b.py", "lib/c.py"], []),
        (
            ["/a.py"],
            [
                'spec.source.files[0].path: "/a.py" is absolute; '
                "paths are relative to the folder that modules are imported from"
            ],
        ),
        (
            ["lib/../../a.py"],
            ['spec.source.files[0].path: "lib/../../a.py" contains ".."; files cannot be outside of their folder'],
        ),
        (["lib//a.py"], ['spec.source.files[0].path: "lib//a.py" contains an empty part; write it like lib/units.py']),
        (["./a.py"], ['spec.source.files[0].path: "./a.py" contains an empty part; write it like lib/units.py']),
        (["lib/"], ['spec.source.files[0].path: "lib/" contains an empty part; write it like lib/units.py']),
        (["a.py", "a.py"], ['spec.source.files[1].path: source.files[0] has the path "a.py" already']),
        (["a", "a/b.py"], ['spec.source.files[1].path: "a" is a file, so nothing can be below it']),
        (["a/b.py", "a"], ['spec.source.files[1].path: "a" is a folder, since "a/b.py" is below it']),
        (
            ["..data/x.py"],
            ['spec.source.files[0].path: "..data/x.py" begins with "..", which Kubernetes keeps for itself'],
        ),
    ],
)
def test_source_paths_stay_in_their_folder(paths: list[str], sentences: list[str]) -> None:
    """Nothing can be written outside of the mounted folder, and each file has a place of its own."""
    files = [{"path": path, "content": ""} for path in paths]
    assert flow_problems({"tasks": [LOAD], "source": {"files": files}}) == sentences


def test_source_is_limited_in_bytes_of_all_files() -> None:
    """Two files that are each small enough can be too large together; letters count by their bytes."""
    files = [{"path": f"{number}.py", "content": "ä" * 40_000} for number in range(2)]
    assert flow_problems({"tasks": [LOAD], "source": {"files": files}}) == [
        "spec.source.files: 160000 bytes in all are more than 131072; put the code into the image (cluster.image)"
    ]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (
            {"labels": {"flowkiln.dev/run": "x"}},
            "labels.flowkiln.dev/run: is set by Flowkiln and Dask alone",
        ),
        (
            {"annotations": {"a.dask.org/b": "x"}},
            "annotations.a.dask.org/b: is set by Flowkiln and Dask alone",
        ),
        (
            {"labels": {"app.kubernetes.io/managed-by": "x"}},
            "labels.app.kubernetes.io/managed-by: is set by Flowkiln and Dask alone",
        ),
        *(
            (
                {"env": [{"name": name, "value": "x"}]},
                "env[0].name: names that start with FLOWKILN_ and DASK_DISTRIBUTED__COMM__ are taken",
            )
            for name in ("FLOWKILN_PLAN", "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION")
        ),
        ({"env": [{"name": "A"}]}, "env[0]: exactly one of value and valueFrom must be given, and none is"),
        (
            {"env": [{"name": "A", "valueFrom": {}}]},
            "env[0].valueFrom: exactly one of secretKeyRef, configMapKeyRef and fieldRef must be given, and none is",
        ),
        ({"envFrom": [{}]}, "envFrom[0]: exactly one of configMapRef and secretRef must be given, and none is"),
        (
            {"affinity": {"nodeAfinity": {}}},
            'affinity.nodeAfinity: there is no field "nodeAfinity"; did you mean "nodeAffinity"?',
        ),
        (
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"matchLabelKeys": []}]}}},
            "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys: "
            "dask-kubernetes does not know this field and would drop it",
        ),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1, "minDomains": 2}]},
            "topologySpreadConstraints[0].minDomains: dask-kubernetes does not know this field and would drop it",
        ),
        (
            {"nodeSelector": {"team": "has spaces"}},
            'nodeSelector.team: "has spaces" is not allowed: use letters, digits, dashes, dots and underscores, '
            "with a letter or digit at both ends",
        ),
        (
            {"volumes": [{"name": "flowkiln-x", "emptyDir": {}}]},
            "volumes[0].name: names that start with flowkiln- are taken",
        ),
        (
            {"volumes": [{"name": "x"}]},
            "volumes[0]: exactly one of persistentVolumeClaim, configMap, secret, emptyDir and csi must be given, "
            "and none is",
        ),
        ({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, 'volumeMounts[0].name: there is no volume "x"'),
    ],
)
def test_pod_template_takes_nothing_that_is_ours(template: dict[str, Any], sentence: str) -> None:
    """Names that Flowkiln uses are refused instead of being overwritten in silence."""
    document = {"tasks": [LOAD], "cluster": {"podTemplate": template}}
    assert flow_problems(document) == [f"spec.cluster.podTemplate.{sentence}"]


def test_settings_of_flowkiln_are_for_users() -> None:
    """A level of logging, or a recording for a report, may be set for the pods of a run."""
    variable = {"name": "FLOWKILN__ENGINE__DRIVER__RECORD", "value": "/tmp/recordings"}
    assert flow_problems({"tasks": [LOAD], "cluster": {"podTemplate": {"env": [variable]}}}) == []


@pytest.mark.parametrize("path", ["/data", "/tmp/cache", "/etc/flow", "/var/run/flowkiln-x", "/opt/../x"])
def test_mount_paths(path: str) -> None:
    """Volumes may be mounted beside Flowkiln's own; only absolute paths without .. count."""
    problems = mount_problems(path)
    assert bool(problems) is (".." in path)


@pytest.mark.parametrize(
    "path", ["/", "data", "/tmp", "/tmp/", "/etc", "/etc/flowkiln", "/etc/flowkiln/source/lib", "/var/run/secrets/x"]
)
def test_mounts_hide_nothing_of_ours(path: str) -> None:
    """Plan, certificates, source, tokens and the writable folder cannot be covered, nor their parents."""
    (problem,) = mount_problems(path)
    assert problem.startswith("spec.cluster.podTemplate.volumeMounts[0].mountPath: ")


def mount_problems(path: str) -> list[str]:
    """Give the problems of a flow that mounts a volume at a path."""
    template = {"volumes": [{"name": "x", "emptyDir": {}}], "volumeMounts": [{"name": "x", "mountPath": path}]}
    return flow_problems({"tasks": [LOAD], "cluster": {"podTemplate": template}})


@pytest.mark.parametrize(
    ("request_", "limit", "fits"),
    [
        ("500m", 1, True),
        ("1500m", 1, False),
        ("1Gi", "1G", False),
        ("1G", "1Gi", True),
        ("1024Mi", "1Gi", True),
        ("0.5", "500m", True),
        ("1k", "1Ki", True),
    ],
)
def test_requests_fit_into_limits(request_: str | int, limit: str | int, fits: bool) -> None:
    """Quantities are compared as Kubernetes compares them, so that a pod is not refused much later."""
    resources = {"requests": {"memory": request_}, "limits": {"memory": limit}}
    for part in ("workers", "scheduler", "agent"):
        problems = flow_problems({"tasks": [LOAD], "cluster": {part: {"resources": resources}}})
        field = f"spec.cluster.{part}.resources.requests.memory"
        assert problems == ([] if fits else [f"{field}: {request_} is more than its limit, {limit}"])


def test_annotations_of_an_account_that_nobody_has_are_refused() -> None:
    """With a ServiceAccount of their own, workers do not see annotations of the run's."""
    cluster = {"serviceAccountName": "own", "serviceAccountAnnotations": {"a": "b"}}
    assert flow_problems({"tasks": [LOAD], "cluster": cluster}) == [
        "spec.cluster.serviceAccountAnnotations: are put on the run's own ServiceAccount, "
        "which workers do not have with a serviceAccountName"
    ]


def test_values_are_limited() -> None:
    """What does not fit into the plan is refused with a way out."""
    run = {"flowRef": {"name": "x"}, "parameters": {"rows": "x" * 300_000}}
    assert run_problems(run, {"entrypoint": "a:b"}) == [
        "spec.parameters: 300011 bytes of JSON are more than 262144; pass large data by reference, such as a URL"
    ]
    context = {"rows": "x" * 600_000}
    (sentence,) = flow_problems({"tasks": [LOAD], "context": context})
    assert sentence.startswith("spec: 600")


def test_flow_and_run_together_fit_into_a_plan() -> None:
    """Parts that are each small enough can be too large together; what counts twice in a plan is counted twice."""
    flow = {"tasks": [LOAD], "context": {"rows": "x" * 400_000}}
    assert flow_problems(flow) == []
    assert run_problems({"flowRef": {"name": "x"}}, flow) == [
        "spec: 800092 bytes of JSON are more than 786432; pass large data by reference, such as a URL"
    ]
