"""podTemplate: what it adds may not take the place of what Flowkiln puts into the pods itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from flowkiln.api.cluster import ClusterSpec, Resources
from flowkiln.api.flow import FlowSpec
from flowkiln.api.model import JsonValue, listed
from flowkiln.api.names import is_reserved_key
from flowkiln.api.pod_template import PodTemplate
from flowkiln.api.pods import (
    RESERVED_NAME,
    RESERVED_VARIABLES,
    is_reserved_path,
    is_reserved_variable,
    is_reserved_volume,
)
from flowkiln.api.quantities import parse_quantity
from flowkiln.api.validation.problem import Problem, no_such

_AFFINITIES = ("nodeAffinity", "podAffinity", "podAntiAffinity")
# What the schema of DaskClusters knows; it drops the rest without a word.
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
_AFFINITY_FIELDS = (_REQUIRED, _PREFERRED)
_POD_AFFINITY_TERM_FIELDS = ("labelSelector", "namespaceSelector", "namespaces", "topologyKey")
_SPREAD_FIELDS = ("labelSelector", "maxSkew", "topologyKey", "whenUnsatisfiable")


def check_pod_template(spec: FlowSpec) -> Iterator[Problem]:
    """Check podTemplate and the resources of the cluster."""
    yield from _check_template("cluster.podTemplate", spec.cluster.pod_template)
    yield from _check_cluster(spec.cluster)


def _check_template(field: str, template: PodTemplate) -> Iterator[Problem]:
    for name, labels in {"labels": template.labels, "annotations": template.annotations}.items():
        for key in labels:
            if is_reserved_key(key):
                yield Problem(f"{field}.{name}.{key}", "is set by Flowkiln and Dask alone")
    for index, variable in enumerate(template.env):
        if is_reserved_variable(variable.name):
            prefixes = listed(RESERVED_VARIABLES)
            yield Problem(f"{field}.env[{index}].name", f"names that start with {prefixes} are taken")
    yield from _check_placement(field, template)
    yield from _check_volumes(field, template)


def _check_placement(field: str, template: PodTemplate) -> Iterator[Problem]:
    for kind, affinity in template.affinity.items():
        where = f"{field}.affinity.{kind}"
        if kind not in _AFFINITIES:
            yield Problem(where, no_such("field", kind, _AFFINITIES))
            continue
        yield from _unknown(where, affinity, _AFFINITY_FIELDS)
        if kind != "nodeAffinity" and isinstance(affinity, dict):
            for index, term in enumerate(_objects(affinity.get(_REQUIRED))):
                yield from _unknown(f"{where}.{_REQUIRED}[{index}]", term, _POD_AFFINITY_TERM_FIELDS)
            for index, weighted in enumerate(_objects(affinity.get(_PREFERRED))):
                at = f"{where}.{_PREFERRED}[{index}].podAffinityTerm"
                yield from _unknown(at, weighted.get("podAffinityTerm"), _POD_AFFINITY_TERM_FIELDS)
    for index, constraint in enumerate(template.topology_spread_constraints):
        yield from _unknown(f"{field}.topologySpreadConstraints[{index}]", constraint, _SPREAD_FIELDS)


def _unknown(field: str, given: object, known: Sequence[str]) -> Iterator[Problem]:
    for key in given if isinstance(given, Mapping) else ():
        if key not in known:
            yield Problem(f"{field}.{key}", "dask-kubernetes does not know this field and would drop it")


def _objects(given: object) -> list[dict[str, JsonValue]]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []


def _check_volumes(field: str, template: PodTemplate) -> Iterator[Problem]:
    volumes = {volume.name for volume in template.volumes}
    for index, volume in enumerate(template.volumes):
        if is_reserved_volume(volume.name):
            yield Problem(f"{field}.volumes[{index}].name", f"names that start with {RESERVED_NAME} are taken")
    for index, mount in enumerate(template.volume_mounts):
        where = f"{field}.volumeMounts[{index}]"
        if mount.name not in volumes:
            yield Problem(f"{where}.name", no_such("volume", mount.name, volumes))
        path = mount.mount_path.rstrip("/")
        if not mount.mount_path.startswith("/") or ".." in path.split("/"):
            yield Problem(f"{where}.mountPath", f'"{mount.mount_path}" is no absolute path without ".."')
        elif not path:
            yield Problem(f"{where}.mountPath", "the root of a container cannot be mounted over")
        elif is_reserved_path(path):
            yield Problem(f"{where}.mountPath", f'"{mount.mount_path}" hides what Flowkiln mounts itself')


def _check_cluster(cluster: ClusterSpec) -> Iterator[Problem]:
    yield from _check_resources("cluster.workers.resources", cluster.workers.resources)
    yield from _check_resources("cluster.scheduler.resources", cluster.scheduler.resources)
    yield from _check_resources("cluster.agent.resources", cluster.agent.resources)
    if cluster.service_account_name is not None and cluster.service_account_annotations:
        yield Problem(
            "cluster.serviceAccountAnnotations",
            "are put on the run's own ServiceAccount, which workers do not have with a serviceAccountName",
        )


def _check_resources(field: str, resources: Resources) -> Iterator[Problem]:
    for name, request in resources.requests.items():
        limit = resources.limits.get(name)
        if limit is not None and parse_quantity(request) > parse_quantity(limit):
            yield Problem(f"{field}.requests.{name}", f"{request} is more than its limit, {limit}")
