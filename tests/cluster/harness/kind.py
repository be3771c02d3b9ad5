"""A cluster by kind, where a Docker engine answers.

Settings: FLOWKILN_KIND_NODE_IMAGE (the node's image), FLOWKILN_KIND_CONFIG (a kind config file, to which ours adds the
audit log), FLOWKILN_TEST_IMAGE and FLOWKILN_TEST_RUNTIME_IMAGE (images that Docker has already, instead of building).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import yaml

from . import commands, kind_outage
from .commands import announced, lines_of, run
from .docker_engine import require_docker
from .ending import end
from .given_images import IMAGE, RUNTIME_IMAGE, given_images
from .images import docker, docker_store, kind_load
from .interface import HarnessError, Images
from .kind_config import AUDIT_LOG, add_audit_log, write_policy
from .kind_settings import NODE_IMAGE, given_config, node_image
from .places import cache_folder, exclusive, kept_logs_folder
from .process import Process

OLDEST = (1, 30)  # the first Kubernetes with ValidatingAdmissionPolicy in admissionregistration.k8s.io/v1
LOGS_PATIENCE = 300  # seconds
UNDER_TEST, RUNTIME_UNDER_TEST = "flowkiln-under-test", "flowkiln-runtime-under-test"  # older ones of a name go
NODES_PATIENCE = 240  # seconds


class KindCluster:
    """A kind cluster of our own, new or running. `owned`: a later session removes it when this process is gone."""

    way = "kind"

    def __init__(self, name: str, *, owned: bool = True) -> None:
        self.name = name
        self._owned = owned
        self._kind_name = f"flowkiln-{name}"
        self._built: Images | None = None
        self._folder = _folder() / name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig that kind wrote."""
        return self._folder / "kubeconfig"

    @property
    def _node(self) -> str:
        return f"{self._kind_name}-control-plane"

    def prepare(self) -> None:
        """Pull the node's image, if one is given, and find or build the images under test."""
        require_docker()
        if image := node_image():
            docker_store.ensure(image, setting=NODE_IMAGE)
        self._images_under_test()

    def start(self) -> None:
        """Create it, until its nodes are Ready."""
        require_docker()
        clean_up()
        if self._folder.exists():
            raise HarnessError(
                f"there is a cluster named {self.name} already, running or not: "
                f"`python -m tests.cluster down --name {self.name}` removes it"
            )
        policy = self._folder / "audit-policy"
        config = add_audit_log(given_config(), policy)
        self._folder.mkdir(parents=True)
        self._write_owner(Process.of(os.getpid()))
        write_policy(policy)
        (self._folder / "config.yaml").write_text(yaml.safe_dump(config))
        try:
            with announced(f"kind creates the cluster {self._kind_name}"):
                self._create()
        except BaseException as error:
            with suppress(HarnessError):  # what went wrong first is what matters
                if kept := end(self, keep_logs=isinstance(error, HarnessError)):
                    commands.say(f"the logs of the failed start are kept in {kept}")
            raise
        if not self._owned:
            self._write_owner(None)

    def stop(self) -> None:
        """Delete it."""
        run(["kind", "delete", "cluster", f"--name={self._kind_name}", f"--kubeconfig={self.kubeconfig}"])
        shutil.rmtree(self._folder, ignore_errors=True)

    def keep_logs(self) -> Path | None:
        """Let kind export its logs. It exports what it can, and what it got is kept even if that is not all."""
        kept = kept_logs_folder(self.name)
        command = ["kind", "export", "logs", f"--name={self._kind_name}", str(kept)]
        exported = run(command, check=False, timeout=LOGS_PATIENCE)
        if exported.returncode != 0:
            commands.say(f"kind could not export all logs: {exported.stderr.strip()[-commands.QUOTED_OUTPUT :]}")
        return kept

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator."""
        return commands.kubectl(self.kubeconfig, *arguments, input=input, check=check)

    def images(self) -> Images:
        """Load the images that are given, else build the product's images and load those."""
        built = self._images_under_test()
        for reference in dict.fromkeys((built.runtime, built.operator)):
            self._load_once(reference)
        return built

    def load_image(self, image: str | Path) -> None:
        """Load a docker-archive, or an image that Docker or the harness's own store has."""
        kind_load.load(docker.loadable(image) if isinstance(image, str) else image, self._kind_name)

    def build_image(self, folder: Path, base: str) -> str:
        """Build it by Docker, or by buildah where Docker cannot, and load it."""
        reference = docker.build_derived(folder, base)
        self.load_image(reference)
        return reference

    def audit_events(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the audit log holds so far."""
        for line in lines_of(["docker", "exec", self._node, "cat", AUDIT_LOG]):
            if line.endswith("\n"):  # else it is being written
                yield json.loads(line)

    def exec_in_network(
        self, command: Sequence[str], *, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the node's own image in the node's network."""
        return run(
            ["docker", "exec", "--env=KUBECONFIG=/etc/kubernetes/admin.conf", self._node, *command],
            timeout=timeout,
            check=check,
        )

    def api_server_down(self) -> AbstractContextManager[None]:
        """Take the API server away, and wait at the end until the control plane works again."""
        return kind_outage.api_server_down(self._docker_exec, self.kubectl)

    def _create(self) -> None:
        image = node_image()
        commands.run_aloud(
            ["kind", "create", "cluster", f"--name={self._kind_name}", f"--kubeconfig={self.kubeconfig}"]
            + [f"--config={self._folder / 'config.yaml'}", "--wait=300s", "--retain"]
            + ([f"--image={image}"] if image else []),
        )
        self._require_kubernetes()
        self._wait_for_all_nodes()

    def _wait_for_all_nodes(self) -> None:
        """Wait for what `kind create --wait` leaves out: the workers, and the pods that make nodes usable."""
        with announced("all nodes become ready"):
            self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={NODES_PATIENCE}s")
            self.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=180s")
            ready = ("wait", "--for=condition=Ready", "pods", "--all", "--namespace=kube-system")
            self.kubectl(*ready, f"--timeout={NODES_PATIENCE}s")

    def _require_kubernetes(self) -> None:
        version = json.loads(self.kubectl("get", "--raw=/version"))
        if (int(version["major"]), int(version["minor"].rstrip("+"))) < OLDEST:
            raise HarnessError(
                f"kind made a cluster of Kubernetes {version['gitVersion']}, and the tests need "
                f"{'.'.join(map(str, OLDEST))} or later: set {NODE_IMAGE} to a newer one, or install a newer kind"
            )

    def _images_under_test(self) -> Images:
        if self._built is None:
            self._built = _named(given) if (given := given_images()) else docker.build()
        return self._built

    def _load_once(self, reference: str) -> None:
        present = self._docker_exec("ctr", "--namespace=k8s.io", "images", "list", "--quiet").split()
        if not {reference, f"docker.io/library/{reference}", f"docker.io/{reference}"} & set(present):
            with announced(f"loading {reference}"):
                self.load_image(reference)

    def _docker_exec(self, *command: str, check: bool = True) -> str:
        return run(["docker", "exec", self._node, *command], check=check).stdout

    def _write_owner(self, owner: Process | None) -> None:
        """Write whose it is, whole or not at all."""
        record = {"pid": owner.pid, "started": owner.started} if owner else None
        unfinished = self._folder / ".owner.json"
        unfinished.write_text(json.dumps(record))
        unfinished.rename(self._folder / "owner.json")


def clean_up() -> None:
    """Delete the clusters of sessions that were interrupted."""
    with exclusive(cache_folder() / "locks" / "kind-clean-up", doing="cleaning up"):
        for file in _folder().glob("*/owner.json"):
            if (owner := _owner(file)) and not owner.alive:
                commands.say(f"cleaning up after the interrupted session of {file.parent.name}")
                KindCluster(file.parent.name).stop()


def _named(given: Images) -> Images:
    """Return the images that are given under names by which no node looks for them in a registry."""
    operator = docker.named_for_itself(given.operator, UNDER_TEST, setting=IMAGE)
    if given.runtime == given.operator:
        return Images(runtime=operator, operator=operator)
    runtime = docker.named_for_itself(given.runtime, RUNTIME_UNDER_TEST, setting=RUNTIME_IMAGE)
    return Images(runtime=runtime, operator=operator)


def _owner(file: Path) -> Process | None:
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError:  # its session has just removed it
        return None
    return Process(**record) if record else None


def _folder() -> Path:
    return cache_folder() / "kind"
