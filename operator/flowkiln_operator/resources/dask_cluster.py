"""The DaskCluster of a run: scheduler and agent in one pod, workers in others, all under mutual TLS.

The structure is that of `dask_kubernetes.operator.make_cluster_spec`. It is repeated here because importing that
function imports distributed and another API client, and because nearly every field differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowkiln.api.cluster import WorkersSpec
from flowkiln.api.durations import parse_seconds
from flowkiln.api.flow import FlowSpec, SecretKeyRef
from flowkiln.api.names import RUN_NAME_ANNOTATION
from flowkiln.api.plan import PLAN_KEY
from flowkiln.api.pods import (
    AGENT_PORT,
    CLUSTER_NUMBER_VARIABLE,
    HTTP_PORT,
    PLAN_DIRECTORY,
    PLAN_VARIABLE,
    POD_UID_VARIABLE,
    SCHEDULER_PORT,
    SCHEDULER_VARIABLE,
    SECRETS_DIRECTORY,
    SOURCE_DIRECTORY,
    TEMPORARY_DIRECTORY,
    TLS_DIRECTORY,
    TOKEN_DIRECTORY,
)
from flowkiln.api.quantities import parse_quantity

from . import pods
from .plan import PlanWithSources, source_key
from .run import Manifest, RunIdentity

CLUSTER_DOMAIN = "cluster.local"
"""What clusters have unless somebody sets another one."""

API_VERSION = "kubernetes.dask.org/v1"
KIND = "DaskCluster"

TOKEN_SECONDS = 3600
SECRET_VOLUME = "flowkiln-secret-{index}"  # noqa: S105  a volume's name
WORKER_START = "flowkiln_operator.agent.worker_start"
"""The preload module in which a worker waits for its scheduler."""

# distributed blames every task that was only queued on a dead worker; the engine's driver counts losses itself.
ALLOWED_FAILURES = 1_000_000
# The HTTP servers of scheduler and workers only serve the health check.
HTTP_ROUTES = '["distributed.http.health"]'


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The settings of the installation for all clusters.

    `runtime_image` is the image of flows that name none, and is pulled with these Secrets of the run's namespace;
    `cluster_domain` is the DNS suffix of Services.
    """

    runtime_image: str
    runtime_image_pull_secrets: tuple[str, ...] = ()
    cluster_domain: str = CLUSTER_DOMAIN


def dask_cluster(
    run: RunIdentity, number: int, fixed: PlanWithSources, *, tls_secret: str, cluster_config: ClusterConfig
) -> Manifest:
    """Return the run's DaskCluster of this number. `tls_secret` is the name of the Secret with its certificates."""
    name = run.cluster_name(number)
    cluster = fixed.plan.spec.cluster
    builder = _Builder(run, number, fixed, tls_secret, cluster_config)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": run.metadata(name, annotations={RUN_NAME_ANNOTATION: run.name}),
        "spec": {
            "idleTimeout": 0,
            "scheduler": {
                "metadata": pods.pod_metadata(cluster.pod_template),
                "spec": builder.scheduler_pod(),
                "service": _service(name),
            },
            "worker": {
                "metadata": pods.pod_metadata(cluster.pod_template),
                "replicas": cluster.workers.replicas,
                "spec": builder.worker_pod(),
            },
        },
    }


@dataclass(frozen=True, slots=True)
class _Builder:
    run: RunIdentity
    number: int
    fixed: PlanWithSources
    tls_secret: str
    cluster_config: ClusterConfig

    @property
    def name(self) -> str:
        return self.run.cluster_name(self.number)

    @property
    def spec(self) -> FlowSpec:
        return self.fixed.plan.spec

    @property
    def image(self) -> str:
        return self.spec.cluster.image or self.cluster_config.runtime_image

    @property
    def pull_secrets(self) -> list[str]:
        """Return the flow's pull Secrets, and those of the runtime image if it is used."""
        cluster = self.spec.cluster
        own = [secret.name for secret in cluster.image_pull_secrets]
        more = self.cluster_config.runtime_image_pull_secrets if cluster.image is None else ()
        return list(dict.fromkeys((*own, *more)))

    @property
    def scheduler_address(self) -> str:
        host = f"{self.name}-scheduler.{self.run.namespace}.svc.{self.cluster_config.cluster_domain}"
        return f"tls://{host}:{SCHEDULER_PORT}"

    def scheduler_pod(self) -> Manifest:
        return pods.pod_spec(
            self.spec.cluster,
            service_account=self.run.service_account,
            pull_secrets=self.pull_secrets,
            containers=[self._scheduler(), self._agent()],
            volumes=[*self._common_volumes(), self._plan_volume(), _token_volume()],
        )

    def worker_pod(self) -> Manifest:
        return pods.pod_spec(
            self.spec.cluster,
            service_account=self.spec.cluster.service_account_name or self.run.service_account,
            pull_secrets=self.pull_secrets,
            containers=[self._worker()],
            volumes=[*self._common_volumes(), *_secret_volumes(secret_references(self.spec))],
        )

    def _scheduler(self) -> Manifest:
        return pods.container(
            "scheduler",
            self.spec.cluster,
            image=self.image,
            args=["dask", "scheduler", "--protocol", "tls", "--host", "0.0.0.0", "--port", str(SCHEDULER_PORT)],  # noqa: S104
            variables=[
                *self._common_variables(),
                *pods.env(
                    {
                        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(ALLOWED_FAILURES),
                        "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": f"{parse_seconds(self.spec.cluster.workers.ttl):g}s",
                        "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": HTTP_ROUTES,
                    }
                ),
            ],
            mounts=self._common_mounts(),
            resources=self.spec.cluster.scheduler.resources,
            ports=[_port("tcp-comm", SCHEDULER_PORT), _port("http-dashboard", HTTP_PORT)],
            startupProbe=pods.probe("/health", "http-dashboard", period=1, failures=300),
            readinessProbe=pods.probe("/health", "http-dashboard", period=5, failures=3),
            livenessProbe=pods.probe("/health", "http-dashboard", period=5, failures=4),
        )

    def _agent(self) -> Manifest:
        return pods.container(
            "agent",
            self.spec.cluster,
            image=self.image,
            args=["python", "-m", "flowkiln_operator.agent"],
            variables=[
                *self._common_variables(),
                *pods.env(
                    {
                        PLAN_VARIABLE: f"{PLAN_DIRECTORY}/{PLAN_KEY}",
                        CLUSTER_NUMBER_VARIABLE: str(self.number),
                        SCHEDULER_VARIABLE: f"tls://127.0.0.1:{SCHEDULER_PORT}",
                    }
                ),
                pods.env_from_field(POD_UID_VARIABLE, "metadata.uid"),
            ],
            mounts=[
                *self._common_mounts(),
                _mount("flowkiln-plan", PLAN_DIRECTORY),
                _mount("flowkiln-token", TOKEN_DIRECTORY),
            ],
            resources=self.spec.cluster.agent.resources,
            ports=[_port("http-agent", AGENT_PORT)],
            # Loading the flow imports the user's modules, however long that takes.
            startupProbe=pods.probe("/healthz", "http-agent", period=1, failures=600),
            readinessProbe=pods.probe("/healthz", "http-agent", period=5, failures=3),
            livenessProbe=pods.probe("/healthz", "http-agent", period=5, failures=4),
        )

    def _worker(self) -> Manifest:
        workers = self.spec.cluster.workers
        return pods.container(
            "worker",
            self.spec.cluster,
            image=self.image,
            args=[
                *("dask", "worker", self.scheduler_address),
                *("--name", "$(DASK_WORKER_NAME)"),
                *("--nworkers", str(workers.processes)),
                *("--nthreads", str(workers.threads)),
                *("--memory-limit", _memory_limit(workers)),
                "--no-dashboard",
                *("--preload-nanny", WORKER_START),
            ],
            variables=[
                *self._common_variables(),
                *pods.env(
                    {
                        # dask-kubernetes would set a tcp:// address.
                        "DASK_SCHEDULER_ADDRESS": self.scheduler_address,
                        "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": HTTP_ROUTES,
                        # The nanny's preload has the process they are forked from ready when the scheduler is.
                        "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",
                        # Daemonic processes may not have children: a task could not use multiprocessing.
                        "DASK_DISTRIBUTED__WORKER__DAEMON": "false",
                        # What tasks log, and what programs print, is shown beside Dask's own lines.
                        "DASK_LOGGING__FLOWKILN": "info",
                    }
                ),
            ],
            mounts=[*self._common_mounts(), *_secret_mounts(secret_references(self.spec))],
            resources=workers.resources,
        )

    def _common_variables(self) -> list[Manifest]:
        values = {
            "HOME": TEMPORARY_DIRECTORY,
            "DASK_TEMPORARY_DIRECTORY": TEMPORARY_DIRECTORY,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": f"{TLS_DIRECTORY}/ca.crt",
        }
        for role in ("SCHEDULER", "WORKER", "CLIENT"):
            values[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = f"{TLS_DIRECTORY}/tls.crt"
            values[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = f"{TLS_DIRECTORY}/tls.key"
        if self.fixed.source_paths:
            values["PYTHONPATH"] = SOURCE_DIRECTORY
        return [*pods.env(values), pods.env_from_field("FLOWKILN_POD_NAME", "metadata.name")]

    def _common_mounts(self) -> list[Manifest]:
        mounts = [_mount("flowkiln-tls", TLS_DIRECTORY), {"name": "flowkiln-tmp", "mountPath": TEMPORARY_DIRECTORY}]
        return [*mounts, _mount("flowkiln-source", SOURCE_DIRECTORY)] if self.fixed.source_paths else mounts

    def _common_volumes(self) -> list[Manifest]:
        volumes: list[Manifest] = [
            {"name": "flowkiln-tls", "secret": {"secretName": self.tls_secret, "defaultMode": 0o440}},
            {"name": "flowkiln-tmp", "emptyDir": {}},
        ]
        if self.fixed.source_paths:
            items = [{"key": source_key(index), "path": path} for index, path in enumerate(self.fixed.source_paths)]
            volumes.append({"name": "flowkiln-source", "configMap": {"name": self.run.plan_name, "items": items}})
        return volumes

    def _plan_volume(self) -> Manifest:
        items = [{"key": PLAN_KEY, "path": PLAN_KEY}]
        return {"name": "flowkiln-plan", "configMap": {"name": self.run.plan_name, "items": items}}


def secret_references(spec: FlowSpec) -> tuple[SecretKeyRef, ...]:
    """Return the keys of Secrets that tasks take as inputs, each once, in the order of their first use."""
    found: dict[tuple[str, str], SecretKeyRef] = {}
    for task in spec.tasks:
        for argument in task.inputs:
            if argument.value_from is not None:
                reference = argument.value_from.secret_key_ref
                found.setdefault((reference.name, reference.key), reference)
    return tuple(found.values())


def _keys_by_secret(references: Sequence[SecretKeyRef]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for reference in references:
        keys.setdefault(reference.name, []).append(reference.key)
    return keys


def _secret_volumes(references: Sequence[SecretKeyRef]) -> list[Manifest]:
    return [
        {
            "name": SECRET_VOLUME.format(index=index),
            "secret": {
                "secretName": secret,
                "defaultMode": 0o440,
                "items": [{"key": key, "path": key} for key in keys],
            },
        }
        for index, (secret, keys) in enumerate(_keys_by_secret(references).items())
    ]


def _secret_mounts(references: Sequence[SecretKeyRef]) -> list[Manifest]:
    return [
        _mount(SECRET_VOLUME.format(index=index), f"{SECRETS_DIRECTORY}/{secret}")
        for index, secret in enumerate(_keys_by_secret(references))
    ]


def _token_volume() -> Manifest:
    return {
        "name": "flowkiln-token",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ],
        },
    }


def _service(cluster_name: str) -> Manifest:
    return {
        "type": "ClusterIP",
        # A restart of the agent must not disconnect the workers from a healthy scheduler.
        "publishNotReadyAddresses": True,
        "selector": {"dask.org/cluster-name": cluster_name, "dask.org/component": "scheduler"},
        "ports": [
            {"name": "tcp-comm", "protocol": "TCP", "port": SCHEDULER_PORT, "targetPort": "tcp-comm"},
            {"name": "http-dashboard", "protocol": "TCP", "port": HTTP_PORT, "targetPort": "http-dashboard"},
        ],
    }


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _mount(name: str, path: str) -> Manifest:
    return {"name": name, "mountPath": path, "readOnly": True}


def _memory_limit(workers: WorkersSpec) -> str:
    """Return each process's share of the container's memory limit, in bytes, or `auto` when there is none to divide."""
    limit = parse_quantity(workers.resources.limits.get("memory", 0))
    # Kubernetes treats a limit of zero as no limit.
    return str(int(limit) // workers.processes) if limit else "auto"
