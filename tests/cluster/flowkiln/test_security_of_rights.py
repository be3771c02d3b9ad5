"""Who may do what: our two controllers, and the ServiceAccount of a run by RBAC alone."""

from __future__ import annotations

import json
from itertools import product

import pytest

from .installation import SYSTEM_NAMESPACE, Installation
from .rest import Right, allowed

OPERATOR = f"system:serviceaccount:{SYSTEM_NAMESPACE}:flowkiln-operator"
DASK_KUBERNETES = f"system:serviceaccount:{SYSTEM_NAMESPACE}:dask-kubernetes"
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
EVERYTHING = (*READ, *WRITE)
ANYWHERE = "team"

FORBIDDEN_TO_BOTH = [
    *product(EVERYTHING, ["rbac.authorization.k8s.io/clusterroles", "rbac.authorization.k8s.io/clusterrolebindings"]),
    *product(["escalate", "bind"], ["rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/clusterroles"]),
    *product(["update", "patch"], ["rbac.authorization.k8s.io/roles", "rbac.authorization.k8s.io/rolebindings"]),
    *product([*READ, "update", "patch", "delete", "deletecollection"], ["/secrets"]),
    *product(WRITE, ["/namespaces", "/nodes", "/pods", "/persistentvolumes", "/persistentvolumeclaims"]),
    *product(["get", "create"], ["/pods/exec", "/pods/attach", "/pods/portforward", "/pods/log", "/services/proxy"]),
    *product(["create"], ["/serviceaccounts/token", "/pods/ephemeralcontainers", "/pods/eviction"]),
    *product(["impersonate"], ["/users", "/groups", "/serviceaccounts"]),
    *product(WRITE, ["apiextensions.k8s.io/customresourcedefinitions"]),
    *product(WRITE, ["admissionregistration.k8s.io/validatingadmissionpolicies"]),
    *product(WRITE, ["admissionregistration.k8s.io/validatingadmissionpolicybindings"]),
    *product(WRITE, ["admissionregistration.k8s.io/mutatingwebhookconfigurations"]),
    *product(WRITE, ["apps/daemonsets", "apps/statefulsets", "apps/replicasets", "batch/jobs", "batch/cronjobs"]),
    *product(["update", "patch", "delete"], ["/configmaps", "/serviceaccounts", "networking.k8s.io/networkpolicies"]),
    *product(["create", "update", "patch"], ["flowkiln.dev/flowruns"]),
    *product(WRITE, ["flowkiln.dev/flows"]),
]
FORBIDDEN_TO_OPERATOR = [
    *product(WRITE, ["apps/deployments", "/services"]),
    *product(["update", "patch"], ["kubernetes.dask.org/daskclusters", "kubernetes.dask.org/daskworkergroups"]),
    *product(["list", "watch"], ["/configmaps", "/serviceaccounts"]),
    *product(["update", "patch", "delete", "list"], ["/events"]),
]
FORBIDDEN_TO_DASK_KUBERNETES = [
    *product(EVERYTHING, ["flowkiln.dev/flowruns", "flowkiln.dev/flows", "flowkiln.dev/flowruns/status"]),
    *product(EVERYTHING, ["/configmaps", "/serviceaccounts", "/secrets", "rbac.authorization.k8s.io/roles"]),
    *product(["create", "delete", "deletecollection"], ["kubernetes.dask.org/daskclusters"]),
    *product(["update", "patch", "delete"], ["apps/deployments"]),
]
NEEDED_BY_OPERATOR = [
    ("patch", "flowkiln.dev/flowruns/status"),
    ("create", "/secrets"),
    ("create", "kubernetes.dask.org/daskclusters"),
]
NEEDED_BY_DASK_KUBERNETES = [("create", "apps/deployments"), ("create", "/services")]


@pytest.mark.parametrize(
    ("user", "forbidden", "needed"),
    [
        (OPERATOR, [*FORBIDDEN_TO_BOTH, *FORBIDDEN_TO_OPERATOR], NEEDED_BY_OPERATOR),
        (DASK_KUBERNETES, [*FORBIDDEN_TO_BOTH, *FORBIDDEN_TO_DASK_KUBERNETES], NEEDED_BY_DASK_KUBERNETES),
    ],
    ids=["operator", "dask-kubernetes"],
)
def test_a_controller_may_do_its_work_and_nothing_more(
    flowkiln: Installation, user: str, forbidden: list[tuple[str, str]], needed: list[tuple[str, str]]
) -> None:
    """Not in a namespace of users, and not in the controllers' own: no Secrets read, no pods made, no rights given."""
    rights = [
        Right(verb, resource, namespace)
        for (verb, resource), namespace in product([*forbidden, *needed], [ANYWHERE, SYSTEM_NAMESPACE])
    ]
    answers = allowed(flowkiln.cluster, user, rights)
    wrong = [right for right, may in answers.items() if may != ((right.verb, right.resource) in needed)]
    assert wrong == []


def test_people_get_their_rights_by_the_roles_that_every_cluster_has(flowkiln: Installation) -> None:
    """The role view reads runs, edit and admin start them too, and nobody of them writes a status."""
    names = {"view": READ, "edit": EVERYTHING, "admin": EVERYTHING}
    for role, verbs in names.items():
        document = json.loads(flowkiln.cluster.kubectl("get", "clusterrole", role, "--output=json"))
        found = {
            (resource, verb)
            for rule in document["rules"]
            if "flowkiln.dev" in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        assert found == set(product(("flows", "flowruns"), verbs)), role
